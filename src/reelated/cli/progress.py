"""Progress bars on stderr, shown only if it is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from numba.core import event
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

errors = Console(stderr=True, highlight=False)


@contextmanager
def working(label: str = "Fitting") -> Iterator[Callable[[float], None]]:
    """Show a progress bar during the block, and yield the function that updates it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with (
        event.install_listener("numba:compile", CompileListener()),
        Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars,
    ):
        task = bars.add_task(label, total=1.0)
        yield lambda done: bars.update(task, completed=done)


class CompileListener(event.Listener):  # type: ignore[misc]
    """Print one line when numba compiles a kernel that is not cached."""

    printed = False

    def on_start(self, event: event.Event) -> None:
        """Print the line once, above the progress bar."""
        if not self.printed:
            self.printed = True
            errors.print("Compiling the engine, which takes up to a minute the first time.")

    def on_end(self, event: event.Event) -> None:
        """Do nothing; numba requires the method."""
