"""Vectors as rows of a matrix: from a table's column or a memory map, validated and normalised.

A vector without a direction (zero, or not finite) is an error that names its row. It never counts as dissimilar to all others.
"""

from collections.abc import Callable

import numpy as np

from attar.core.errors import DataError
from attar.core.table import Table

Matrix = np.ndarray
RowName = Callable[[int], str]
_CHUNK = 8192


def matrix(table: Table, column: str) -> Matrix:
    """A vector column without nulls as (rows, width), values unchanged; all vectors must have one width and a direction."""
    vectors = table[column]
    if vectors.null_count():
        raise DataError(f"column {column!r} has no vector in row {table['id'][int(vectors.is_null().arg_max() or 0)]!r}")
    widths = vectors.list.len().unique().sort().to_list()
    if len(widths) > 1:
        raise DataError(f"column {column!r} holds vectors of {len(widths)} lengths: {', '.join(map(str, widths[:4]))}")
    if not widths:
        return np.zeros((0, 1), dtype=np.float32)
    rows = vectors.explode().to_numpy().astype(np.float32, copy=False).reshape(len(table), widths[0])
    for start in range(0, len(rows), _CHUNK):
        lengths(rows[start : start + _CHUNK], lambda i, start=start: f"column {column!r}: row {table['id'][start + i]!r}")
    return rows


def lengths(block: Matrix, name: RowName) -> Matrix:
    """Each row's Euclidean length, in float64 so that no finite vector overflows; a row without direction is an error."""
    wide = block.astype(np.float64)
    sizes = np.sqrt(np.einsum("ij,ij->i", wide, wide))
    if invalid := np.flatnonzero(~(np.isfinite(sizes) & (sizes > 0))).tolist():
        raise DataError(f"{name(invalid[0])} is a zero or non-finite vector: it has no direction to compare")
    return sizes


def unit(block: Matrix, name: RowName = lambda i: f"row {i}", dtype: type[np.floating] = np.float32) -> Matrix:
    """The rows at length one, each value rounded once."""
    return (block / lengths(block, name)[:, None]).astype(dtype, copy=False)


def units(rows: Matrix) -> Matrix:
    """All rows at length one, in chunks, so that a memory map is never held in float64."""
    whole = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _CHUNK):
        whole[start : start + _CHUNK] = unit(rows[start : start + _CHUNK], lambda i, start=start: f"row {start + i}")
    return whole


def cosines(left: Matrix, right: Matrix) -> Matrix:
    """The cosine of row i of `left` and row i of `right`, in float64: the value that is compared with a threshold."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    return np.einsum("ij,ij->i", a, b) / np.sqrt(np.einsum("ij,ij->i", a, a) * np.einsum("ij,ij->i", b, b))
