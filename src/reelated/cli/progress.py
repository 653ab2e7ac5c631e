"""Progress on standard error, for people only: nothing is shown where it is not a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

errors = Console(stderr=True, highlight=False)


@contextmanager
def working(label: str = "Fitting", *, compiles: bool = True) -> Iterator[Callable[[float], None]]:
    """Show a bar while the block runs, and give it the function that moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    first = "" if not compiles or is_compiled() else " (the first run compiles the engine, which takes some 20 seconds)"
    if first and not errors.is_terminal:
        errors.print(label + first)
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bars:
        task = bars.add_task(label + first, total=1.0)
        yield lambda done: bars.update(task, completed=done)


def is_compiled() -> bool:
    """Say whether the kernels' machine code is on disk from an earlier run."""
    from reelated._kernels import similarity_rows

    folder = getattr(getattr(similarity_rows, "_cache", None), "cache_path", None)
    return folder is not None and any(Path(folder).glob("*similarity_rows-*.nbc"))
