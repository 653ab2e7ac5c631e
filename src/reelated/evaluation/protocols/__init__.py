"""Published evaluation protocols by name: their exact splits and metrics, and the figures that others published."""

from reelated.evaluation.protocols.ml1m import FOLDS_1M, INFINITE_AE, NCF
from reelated.evaluation.protocols.ml20m import LIANG
from reelated.evaluation.protocols.ml100k import AUDIENCE, FOLDS, MICROSOFT
from reelated.evaluation.protocols.protocol import Protocol, Published

PROTOCOLS = {protocol.name: protocol for protocol in (FOLDS, MICROSOFT, AUDIENCE, FOLDS_1M, NCF, INFINITE_AE, LIANG)}
"""Protocols by their names in the terminal."""

__all__ = ["PROTOCOLS", "Protocol", "Published"]
