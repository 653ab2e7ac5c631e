"""Plots of ratings, similarities and users: Matplotlib figures, and image files."""

from reelated.plot.distribution import ratings
from reelated.plot.graph import neighborhood
from reelated.plot.heatmap import similarity
from reelated.plot.profile import user
from reelated.plot.saving import save

__all__ = ["neighborhood", "ratings", "save", "similarity", "user"]
