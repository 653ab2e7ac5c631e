"""Published ways to measure, by name: exactly their splits and measures, and the figures that others reached."""

from reelated.evaluation.protocols.ml1m import FOLDS_1M, INFINITE_AE, NCF
from reelated.evaluation.protocols.ml20m import LIANG
from reelated.evaluation.protocols.ml100k import AUDIENCE, FOLDS, MICROSOFT
from reelated.evaluation.protocols.protocol import Protocol, Published

PROTOCOLS = {one.name: one for one in (FOLDS, MICROSOFT, AUDIENCE, FOLDS_1M, NCF, INFINITE_AE, LIANG)}
"""The protocols by the names that the terminal uses."""

__all__ = ["PROTOCOLS", "Protocol", "Published"]
