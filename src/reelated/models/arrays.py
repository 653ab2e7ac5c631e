"""Specifications of the learned arrays; a loaded model is checked, because the kernels check no bounds."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels

Array = npt.NDArray[Any]


class ArraySpec(NamedTuple):
    """Dtype, shape and values of a learned array."""

    dtype: str
    shape: tuple[str | int, ...]  # a dimension's name stands for the same size, 1 or more, in all arrays of a model
    values: str = "finite"  # a key of `_RULES`
    optional: str = ""  # the name of a dimension that may have the size 0


_RULES: dict[str, Callable[[Array], Any]] = {
    "finite": lambda array: True,
    "finite where rated": lambda array: True,
    "positive": lambda array: array > 0,
    "not negative": lambda array: array >= 0,
    "positive definite": lambda array: np.linalg.eigvalsh(np.moveaxis(array, -1, 0)) > 0,
    "positive and ascending": lambda array: np.append(array > 0, np.diff(array) >= 0),
    "a mean and a positive deviation": lambda array: array[1] > 0,
}
"""Rules for finite values."""
_NO_MASK = np.zeros(0, np.bool_)


def check_array(spec: ArraySpec, array: Array, sizes: dict[str, int], rated: Array = _NO_MASK) -> None:
    """Raise `ValueError` unless an array is as specified; add the sizes of new dimensions to `sizes`."""
    if array.dtype != np.dtype(spec.dtype) or not array.dtype.isnative or not array.flags.c_contiguous:
        raise ValueError(f"expected a contiguous array of native {spec.dtype}")
    if array.ndim != len(spec.shape):
        raise ValueError(f"expected {len(spec.shape)} dimensions")
    for name, size in zip(spec.shape, array.shape, strict=True):
        expected = sizes.setdefault(name, size) if isinstance(name, str) else name
        if size != expected or (size == 0 and name != spec.optional):
            raise ValueError(f"the size {size} of a dimension does not fit the rest")
    is_finite = np.isfinite(array)
    if spec.values == "finite where rated":
        is_finite |= np.isnan(array) & ~rated
    if not is_finite.all() or not np.all(_RULES[spec.values](array)):
        raise ValueError(f"expected other values: {spec.values}")


def check_csr(indptr: Array, indices: Array, data: Array, shape: tuple[int, int], *, diagonal: bool = True) -> None:
    """Raise `ValueError` unless a CSR matrix is canonical: kernels size their buffers for one entry per column."""
    for part in (indptr, indices):
        check_array(ArraySpec(part.dtype.name, ("n",), optional="n"), part, {})
    if indptr.dtype != indices.dtype or indices.dtype not in (np.int32, np.int64) or data.shape != indices.shape:
        raise ValueError("expected one int32 or int64 index for each value")
    if len(indptr) != shape[0] + 1 or indptr[-1] != len(indices):
        raise ValueError("the row pointers do not fit the rest")
    is_inside, is_ascending, is_finite = kernels.check_csr(indptr, indices, data, shape[1])
    if not (is_inside and is_ascending and is_finite):
        raise ValueError("expected finite values, and columns that lie inside and ascend in each row")
    if not diagonal and (np.repeat(np.arange(shape[0]), np.diff(indptr)) == indices).any():
        raise ValueError("an item is its own neighbour")
