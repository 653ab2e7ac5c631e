"""Evaluation: hide a part of the ratings, measure a recommender on it, compare recommenders."""

from reelated.evaluation.evaluate import evaluate
from reelated.evaluation.new_users import NewUserRow, evaluate_new_users
from reelated.evaluation.protocols import PROTOCOLS, Protocol, Published
from reelated.evaluation.report import write_report
from reelated.evaluation.result import Evaluation, MetricRow, PairedComparison, compare
from reelated.evaluation.splits import (
    SPLITS,
    Split,
    by_time,
    held_out_users,
    leave_last_out,
    predefined_folds,
    predefined_split,
    random_folds,
    within_items,
    within_users,
)
from reelated.evaluation.tuning import Tuning, tune

__all__ = ["PROTOCOLS", "SPLITS", "Evaluation", "MetricRow", "NewUserRow", "PairedComparison", "Protocol"]
__all__ += ["Published", "Split", "Tuning", "by_time", "compare", "evaluate", "evaluate_new_users"]
__all__ += ["held_out_users", "leave_last_out", "predefined_folds", "predefined_split", "random_folds", "tune"]
__all__ += ["within_items", "within_users", "write_report"]
