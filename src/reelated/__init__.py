"""Reelated: from a ratings file to explained recommendations."""

from reelated import plot
from reelated._version import __version__
from reelated.data import ValidationReport, read, validate
from reelated.errors import InputError
from reelated.evaluation import evaluate, tune
from reelated.models import BPMF, EASE, BiasModel, ItemKNN, Popularity
from reelated.ratings import Dataset, Ratings
from reelated.recommender import Recommender, textbook

__all__ = ["BPMF", "EASE", "BiasModel", "Dataset", "InputError", "ItemKNN", "Popularity", "Ratings", "Recommender"]
__all__ += ["ValidationReport", "__version__", "evaluate", "plot", "read", "textbook", "tune", "validate"]
