"""Refits: fit a new model version to the store, and serve it only if it passes validation."""

from reelated.refit.refitting import refit
from reelated.refit.versions import RefitResult, Version, Versions, models_folder

__all__ = ["RefitResult", "Version", "Versions", "models_folder", "refit"]
