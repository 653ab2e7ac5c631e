"""A map on which similar items are close: layout, colours and picture."""

from reelated.map.movie_map import MovieMap
from reelated.map.picture import draw

__all__ = ["MovieMap", "draw"]
