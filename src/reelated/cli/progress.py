"""Progress bars on stderr, shown only if it is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

errors = Console(stderr=True, highlight=False)


@contextmanager
def working(label: str = "Fitting") -> Iterator[Callable[[float], None]]:
    """Show a progress bar during the block, and yield the function that updates it."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with compile_notice(), Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task(label, total=1.0)
        yield lambda done: bars.update(task, completed=done)


@contextmanager
def compile_notice() -> Iterator[None]:
    """Print one line if a kernel is compiled during the block, because it is not in the cache."""
    from reelated._kernels import on_compile

    printed = False

    def notice() -> None:
        nonlocal printed
        if not printed:
            printed = True
            errors.print("Compiling the engine, once: this takes some seconds.")

    with on_compile(notice):
        yield
