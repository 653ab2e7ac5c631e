"""The answers in names: fitted models with their ids and catalogue."""

from reelated.recommender.answers import Answers
from reelated.recommender.explanation import Why, Without
from reelated.recommender.presets import PRESETS, textbook
from reelated.recommender.recommender import Recommender
from reelated.recommender.rows import ItemRow, Match, Prediction, Reason, Short, SimilarRow, UserRow

__all__ = [
    "PRESETS",
    "Answers",
    "ItemRow",
    "Match",
    "Prediction",
    "Reason",
    "Recommender",
    "Short",
    "SimilarRow",
    "UserRow",
    "Why",
    "Without",
    "textbook",
]
