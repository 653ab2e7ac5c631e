"""Models in the style of scikit-learn, one estimator per file; users and items are row and column indices."""

from reelated.models.bias import BiasModel
from reelated.models.bpmf import BPMF
from reelated.models.contributions import ItemContributions, PairContributions
from reelated.models.ease import EASE
from reelated.models.item_knn import ItemKNN
from reelated.models.linear_item import LinearItemModel, LinearRater
from reelated.models.popularity import Popularity
from reelated.models.topn import TopN

MODELS = {"ease": EASE, "item-knn": ItemKNN, "popularity": Popularity, "bias": BiasModel, "bpmf": BPMF}
"""Model name, as in the terminal and in saved models → class."""

__all__ = ["BPMF", "EASE", "MODELS", "BiasModel", "ItemContributions", "ItemKNN", "LinearItemModel", "LinearRater"]
__all__ += ["PairContributions", "Popularity", "TopN"]
