"""Published evaluation protocols by name: their exact splits and metrics, and the figures that others published."""

from reelated.evaluation.protocols.interactions import AMAZON_BOOK, AMAZON_CDS, GOWALLA, ML1M_LCFN, YELP
from reelated.evaluation.protocols.movielens_protocols import (
    AUDIENCE,
    FOLDS,
    FOLDS_1M,
    INFINITE_AE,
    LIANG,
    MICROSOFT,
    NCF,
)
from reelated.evaluation.protocols.protocol import Protocol, Published

RATING_PROTOCOLS = (FOLDS, MICROSOFT, AUDIENCE, FOLDS_1M, NCF, INFINITE_AE, LIANG)
INTERACTION_PROTOCOLS = (ML1M_LCFN, AMAZON_CDS, GOWALLA, YELP, AMAZON_BOOK)
PROTOCOLS = {protocol.name: protocol for protocol in (*RATING_PROTOCOLS, *INTERACTION_PROTOCOLS)}
"""Protocols by their names in the terminal."""

__all__ = ["INTERACTION_PROTOCOLS", "PROTOCOLS", "RATING_PROTOCOLS", "Protocol", "Published"]
