"""Recommendations with ids and titles: fitted models with their ids and catalogue."""

from reelated.recommender.explanation import Counterfactual, Explanation
from reelated.recommender.presets import textbook
from reelated.recommender.recommendations import Recommendations
from reelated.recommender.recommender import Recommender
from reelated.recommender.rows import ItemRow, Prediction, Reason, SearchHit, SimilarRow, Truncation, UserRow

__all__ = ["Counterfactual", "Explanation", "ItemRow", "Prediction", "Reason", "Recommendations"]
__all__ += ["Recommender", "SearchHit", "SimilarRow", "Truncation", "UserRow", "textbook"]
