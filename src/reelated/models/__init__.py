"""The models: one estimator, one file, in scikit-learn's manner, in numbers."""

from reelated.models.baseline import Baseline
from reelated.models.drawn import DrawnModel
from reelated.models.ease import EASE
from reelated.models.explanation import Explanation, Explanations
from reelated.models.gaussian import Gaussian
from reelated.models.item_item import ItemItemModel
from reelated.models.knn import ItemKNN
from reelated.models.lists import TopN
from reelated.models.popularity import Popularity
from reelated.models.sittings import predict_at

MODELS = {"ease": EASE, "item-knn": ItemKNN, "popularity": Popularity, "baseline": Baseline, "gaussian": Gaussian}
"""The models by the names that the terminal and saved models use."""

__all__ = [
    "EASE",
    "MODELS",
    "Baseline",
    "DrawnModel",
    "Explanation",
    "Explanations",
    "Gaussian",
    "ItemItemModel",
    "ItemKNN",
    "Popularity",
    "TopN",
]
__all__ += ["predict_at"]
