"""Vectors in columns: from Arrow lists to numpy arrays, and from arrays to a list column.

No Python lists of numbers are made on the way: they take many times the memory of an array.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl


def column_arrays(column: Any) -> list[np.ndarray | None] | None:
    """The rows of an Arrow column of float lists as arrays; None for any other column, or if a list contains a null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not pa.types.is_floating(kind.value_type) or (flat := column.flatten()).null_count:
        return None
    numbers = flat.to_numpy(zero_copy_only=False)
    numbers = numbers.astype(np.float32) if numbers.dtype == np.float16 else numbers
    ends = np.cumsum(pc.list_value_length(column).fill_null(0).to_numpy()).tolist()  # type: ignore[attr-defined] # made at run time
    spans = zip(column.is_valid().to_pylist(), [0, *ends], ends, strict=False)
    return [numbers[start:stop] if valid else None for valid, start, stop in spans]


def list_dtype(vectors: Sequence[np.ndarray]) -> pl.List:
    """The list type that holds all vectors without loss: float32 only if every vector is float32."""
    return pl.List(pl.Float32 if all(vector.dtype == np.float32 for vector in vectors) else pl.Float64)


def vector_series(name: str, vectors: Sequence[np.ndarray | None], kind: pl.List) -> pl.Series:
    """A list column, null where there is no vector."""
    import pyarrow as pa

    bits = np.float32 if kind.inner == pl.Float32 else np.float64
    ends = np.cumsum([0, *(0 if vector is None else len(vector) for vector in vectors)])
    flat = np.concatenate([np.zeros(0, dtype=bits), *(vector for vector in vectors if vector is not None)], dtype=bits)
    missing = pa.array([vector is None for vector in vectors], type=pa.bool_())
    return pl.Series(name, pa.LargeListArray.from_arrays(pa.array(ends), pa.array(flat), mask=missing), dtype=kind)
