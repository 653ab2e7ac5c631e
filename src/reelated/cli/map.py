"""`reelated map`: all movies as one picture."""

from pathlib import Path

from reelated.cli.progress import working
from reelated.map import MovieMap, draw
from reelated.map.groups import Color
from reelated.map.layout import check_library
from reelated.plot.canvas import check_path, write_whole
from reelated.recommender import Recommender


def check_map(output: Path) -> Path:
    """Return the file to write to, or say why there can be none; a map needs openTSNE too."""
    check_library()
    return check_path(output, (".svg",))


def write_map(rec: Recommender, output: Path, color: Color) -> None:
    """Lay the movies out, and write the picture."""
    with working("Drawing"):
        write_whole(output, draw(rec, MovieMap.of(rec), color=color).encode())
