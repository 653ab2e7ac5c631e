"""`TopN`: the best items of several rows, ragged and never padded."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class TopN(NamedTuple):
    """The best items of each row.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_rows + 1,)
        Row `u` holds the places `indptr[u]` to `indptr[u + 1]` of the other two.
    items : ndarray of int32
        Item numbers, best first; of equal scores the lower number first.
    scores : ndarray of float64
        What they were ranked by.
    """

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]

    def row(self, u: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return the items and scores of one row.

        Parameters
        ----------
        u : int
            The number of the row.

        Returns
        -------
        items : ndarray of int32
        scores : ndarray of float64
        """
        part = slice(self.indptr[u], self.indptr[u + 1])
        return self.items[part], self.scores[part]
