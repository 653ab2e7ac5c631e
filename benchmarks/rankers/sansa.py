"""SANSA: EASE by sparse approximate factors, as many weights in each as the defaults of Reelated have.

It needs the headers of SuiteSparse (`apt install libsuitesparse-dev`); those of Debian 12 take scikit-sparse 0.4.
"""

from importlib.metadata import version as version_of

import numpy as np
from sansa import (
    SANSA,
    CHOLMODGramianFactorizerConfig,
    ICFGramianFactorizerConfig,
    SANSAConfig,
    UMRUnitLowerTriangleInverterConfig,
)

REQUIRES = ("scikit-sparse<0.5", "sansa>=1.1")
MODELS = ("SANSA, l2 150, 74 weights",)
WEIGHTS = 74
MAX_ITEMS = 20_000
"""Up to here the exact factorisation is used, which is more accurate; beyond, the incomplete one."""


def version():
    """Return the version."""
    return version_of("sansa")


def fit(X, model, threads):
    """Fit."""
    exact = X.shape[1] <= MAX_ITEMS
    config = SANSAConfig(
        l2=150.0,
        weight_matrix_density=min(1.0, WEIGHTS / X.shape[1]),
        gramian_factorizer_config=CHOLMODGramianFactorizerConfig() if exact else ICFGramianFactorizerConfig(),
        lower_triangle_inverter_config=UMRUnitLowerTriangleInverterConfig(scans=1, finetune_steps=5),
    )
    return SANSA(config).fit(X)


def recommend(model, X, users, n):
    """Return the best `n` items of some users, the seen removed."""
    parts = np.array_split(users, max(1, len(users) // 1000))
    return np.concatenate([model.recommend(X[part], k=n, mask_input=True)[0] for part in parts])
