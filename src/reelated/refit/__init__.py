"""Refits: the ratings of the store become a new version of the model, which is served only if it is sound."""

from reelated.refit.refitting import refit
from reelated.refit.versions import Attempt, Version, Versions, models_folder

__all__ = ["Attempt", "Version", "Versions", "models_folder", "refit"]
