"""Reelated: from a ratings file to explained recommendations."""

__version__ = "0.1.0"

from reelated.data import read
from reelated.models import Baseline, ItemKNN
from reelated.ratings import Dataset, Ratings
from reelated.recommender import Recommender, recipe

__all__ = ["Baseline", "Dataset", "ItemKNN", "Ratings", "Recommender", "read", "recipe"]
