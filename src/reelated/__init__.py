"""Reelated: from a ratings file to explained recommendations."""

import sys

try:
    from reelated import plot
    from reelated._version import __version__
    from reelated.data import ValidationReport, read, validate
    from reelated.errors import InputError
    from reelated.evaluation import evaluate, tune
    from reelated.models import BPMF, EASE, BiasModel, ItemKNN, Popularity
    from reelated.ratings import Dataset, Ratings
    from reelated.recommender import Recommender, textbook
except KeyboardInterrupt:  # Ctrl-C while the command loads its libraries, which takes a second
    if sys.argv[0] == "-m" or sys.argv[0].replace("\\", "/").rpartition("/")[2] in ("reelated", "reelated.exe"):
        sys.exit(130)
    raise

__all__ = ["BPMF", "EASE", "BiasModel", "Dataset", "InputError", "ItemKNN", "Popularity", "Ratings", "Recommender"]
__all__ += ["ValidationReport", "__version__", "evaluate", "plot", "read", "textbook", "tune", "validate"]
