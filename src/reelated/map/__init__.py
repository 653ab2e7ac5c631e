"""A map of all movies: near ones are alike; its places, its colours, and the picture of it."""

from reelated.map.movie_map import MovieMap
from reelated.map.picture import draw

__all__ = ["MovieMap", "draw"]
