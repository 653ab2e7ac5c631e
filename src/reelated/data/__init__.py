"""Readers for MovieLens and any ratings table, validation, download, cache and the bundled sample."""

from reelated.data.check import check
from reelated.data.checkup import Bin, Checkup, Finding
from reelated.data.fetch import fetch
from reelated.data.movielens import folds
from reelated.data.reading import read
from reelated.data.source import cache_folder, fingerprint

__all__ = ["Bin", "Checkup", "Finding", "cache_folder", "check", "fetch", "fingerprint", "folds", "read"]
