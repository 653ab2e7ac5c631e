"""CSR matrices for the kernels: conversion, selection of rows, and statistics of columns."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels


def as_kernel_csr(matrix: Any) -> kernels.CSR:
    """Convert a SciPy CSR matrix (or CSC, by columns) for the kernels, sharing memory if the dtypes allow."""
    indptr, indices = matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False)
    return kernels.CSR(indptr, indices, np.asarray(matrix.data))


def to_indptr(lengths: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return the row pointers of rows of these lengths."""
    return np.concatenate([[0], np.cumsum(lengths)])


def as_item_matrix(data: npt.NDArray[Any], indices: npt.NDArray[Any], indptr: npt.NDArray[Any]) -> sp.csr_array:
    """Return an item × item matrix; with row pointers of 64 bits SciPy would widen the indices, too."""
    if indptr[-1] < 2**31:
        indices, indptr = indices.astype(np.int32, copy=False), indptr.astype(np.int32)
    return sp.csr_array((data, indices, indptr), shape=(len(indptr) - 1, len(indptr) - 1))


def take_rows(rows: kernels.CSR, chosen: npt.NDArray[np.integer[Any]]) -> kernels.CSR:
    """Return the chosen rows in their order, without a copy of the others."""
    lengths = np.diff(rows.indptr)[chosen]
    indptr = to_indptr(lengths)
    positions = np.arange(indptr[-1]) + np.repeat(rows.indptr[chosen] - indptr[:-1], lengths)
    return kernels.CSR(indptr, rows.indices[positions], rows.data[positions])


def take_prefixes(rows: kernels.CSR, chosen: npt.NDArray[np.integer[Any]], limit: int) -> kernels.CSR:
    """Return the entries of the chosen rows in columns below `limit`; their indices have 16 bits if they fit."""
    size, dtype = int(np.diff(rows.indptr)[chosen].sum()), np.uint16 if limit <= 2**16 else rows.indices.dtype
    indptr, indices, data = np.empty(len(chosen) + 1, np.int64), np.empty(size, dtype), np.empty(size, rows.data.dtype)
    filled = kernels.copy_prefixes(rows, chosen, int(limit), indptr, indices, data)
    return kernels.CSR(indptr, indices[:filled], data[:filled])


def as_csc(rows: kernels.CSR, n_columns: int, index_dtype: str = "int32") -> kernels.CSR:
    """Return the columns of a matrix as rows, with row numbers of `index_dtype`."""
    indptr = np.zeros(n_columns + 2, np.int64)
    indices, data = np.empty(len(rows.indices), index_dtype), np.empty_like(rows.data)
    kernels.csr_to_csc(rows, indptr, indices, data)
    return kernels.CSR(indptr[:-1], indices, data)


def sizes_and_norms(rows: kernels.CSR, n_columns: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the number of entries of each column and the Euclidean norm of the zero-filled column."""
    sizes, squares = np.zeros(n_columns, np.int64), np.zeros(n_columns)
    kernels.add_column_stats(rows, sizes, squares)
    return sizes, np.sqrt(squares)


def row_costs(by_item: Any, row_lengths: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return the cost of each item's row of the similarity: Σ over its raters of their row's length."""
    total = np.concatenate([[0.0], np.cumsum(row_lengths[by_item.indices], dtype=np.float64)])
    return np.diff(total[by_item.indptr])
