"""Readers for MovieLens and any ratings table, validation, download, cache and the bundled sample."""

from reelated.cache import cache_folder
from reelated.data.fetch import fetch
from reelated.data.files import fingerprint
from reelated.data.movielens import folds
from reelated.data.own_ratings import OwnRatings, read_own_ratings
from reelated.data.read import read, read_items
from reelated.data.report import Bin, ValidationIssue, ValidationReport
from reelated.data.validate import validate

__all__ = [
    "Bin",
    "OwnRatings",
    "ValidationIssue",
    "ValidationReport",
    "cache_folder",
    "fetch",
    "fingerprint",
    "folds",
    "read",
]
__all__ += ["read_items", "read_own_ratings", "validate"]
