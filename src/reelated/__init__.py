"""Reelated: from a ratings file to explained recommendations."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reelated._version import __version__

if TYPE_CHECKING:
    from reelated import plot
    from reelated.data.read import read
    from reelated.data.report import ValidationReport
    from reelated.data.validate import validate
    from reelated.errors import InputError
    from reelated.evaluation.evaluate import evaluate
    from reelated.evaluation.tuning import tune
    from reelated.models import BPMF, EASE, BiasModel, ItemKNN, Popularity
    from reelated.ratings import Dataset, Ratings
    from reelated.recommender import Recommender, textbook

__all__ = ["BPMF", "EASE", "BiasModel", "Dataset", "InputError", "ItemKNN", "Popularity", "Ratings", "Recommender"]
__all__ += ["ValidationReport", "__version__", "evaluate", "plot", "read", "textbook", "tune", "validate"]

_MODULES = {
    "data": ("ValidationReport", "read", "validate"),
    "errors": ("InputError",),
    "evaluation": ("evaluate", "tune"),
    "models": ("BPMF", "EASE", "BiasModel", "ItemKNN", "Popularity"),
    "ratings": ("Dataset", "Ratings"),
    "recommender": ("Recommender", "textbook"),
}


def __getattr__(name: str) -> Any:
    """Import a public name or a package on first use: importing NumPy, numba and polars takes most of a second."""
    for module, names in _MODULES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"reelated.{module}"), name)
            return value
    if name in ("data", "errors", "evaluation", "models", "plot", "ratings", "recommender"):
        return import_module(f"reelated.{name}")
    raise AttributeError(f"module 'reelated' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
