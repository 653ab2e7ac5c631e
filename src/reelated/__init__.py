"""Reelated: from a ratings file to explained recommendations."""

from reelated import plot
from reelated._version import __version__
from reelated.data import Checkup, check, read
from reelated.models import BPMF, EASE, BiasModel, ItemKNN, Popularity
from reelated.ratings import Dataset, Ratings
from reelated.recommender import Recommender, textbook

__all__ = ["BPMF", "EASE", "BiasModel", "Checkup", "Dataset", "ItemKNN", "Popularity", "Ratings", "Recommender"]
__all__ += ["__version__", "check", "plot", "read", "textbook"]
