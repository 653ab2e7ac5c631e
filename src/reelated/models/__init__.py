"""The models: one estimator, one file, in scikit-learn's manner, in numbers."""

from reelated.models.baseline import Baseline
from reelated.models.explanation import Explanation
from reelated.models.knn import ItemKNN
from reelated.models.lists import TopN

MODELS = {"item-knn": ItemKNN, "baseline": Baseline}
"""The models by the names that the terminal and saved models use."""

__all__ = ["MODELS", "Baseline", "Explanation", "ItemKNN", "TopN"]
