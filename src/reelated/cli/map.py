"""`reelated map`: draw a map of all items."""

from pathlib import Path

from reelated.cli.progress import working
from reelated.map import ItemMap, draw
from reelated.map.embedding import check_library
from reelated.map.groups import Color
from reelated.plot.saving import check_path, write_image
from reelated.recommender import Recommender


def check_map(output: Path) -> Path:
    """Return the output path; raise an `InputError` if it cannot be written or openTSNE is missing."""
    check_library()
    return check_path(output, (".svg",))


def write_map(rec: Recommender, output: Path, color: Color) -> None:
    """Compute the layout and write the SVG."""
    with working("Drawing"):
        write_image(output, draw(rec, ItemMap.of(rec), color=color).encode())
