"""Evaluation: hide a part of the ratings, measure a recommender on it, compare recommenders."""

from reelated.evaluation.evaluation import Difference, Evaluation, Measure, compare
from reelated.evaluation.protocols import PROTOCOLS, Protocol, Published
from reelated.evaluation.report import write_report
from reelated.evaluation.running import evaluate
from reelated.evaluation.splits import (
    SPLITS,
    Split,
    by_time,
    given,
    given_folds,
    held_out_users,
    leave_last_out,
    random_folds,
    within_items,
    within_users,
)
from reelated.evaluation.tuning import Tuning, tune

__all__ = ["PROTOCOLS", "SPLITS", "Difference", "Evaluation", "Measure", "Protocol", "Published", "Split", "Tuning"]
__all__ += ["by_time", "compare", "evaluate", "given", "given_folds", "held_out_users", "leave_last_out"]
__all__ += ["random_folds", "tune", "within_items", "within_users", "write_report"]
