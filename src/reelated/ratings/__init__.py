"""Ratings: external ids on one side, the rows and columns of a sparse users × items matrix on the other."""

from reelated.ratings.dataset import Dataset
from reelated.ratings.frames import FrameLike
from reelated.ratings.ids import Ids
from reelated.ratings.matrix import NO_TIME, Feedback, Ratings, Scale

__all__ = ["NO_TIME", "Dataset", "Feedback", "FrameLike", "Ids", "Ratings", "Scale"]
