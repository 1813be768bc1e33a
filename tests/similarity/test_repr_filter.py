import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError
from attar.similarity import pruning, repr_filter
from attar.similarity.backends import choose_arithmetic
from attar.similarity.int8 import is_supported

BACKENDS = ("numpy", "torch", "bfloat16", *(["int8"] if is_supported() else []))


def filter_rows(rows, *, threshold=0.9, keep=None, backend="auto", block=None):
    return repr_filter.filter_rows(rows, threshold, keep, choose_arithmetic(backend), block)


def one_by_one(rows: np.ndarray, threshold: float, keep: int | None = None) -> tuple[list[int], list[int]]:
    """The rule as it is written, a row at a time in 64 bits: which rows are kept, and what crowded each row out."""
    rows = rows.astype(np.float64)
    kept, by = [], [-1] * len(rows)
    for i, row in enumerate(rows):
        if keep is not None and len(kept) >= keep:
            break
        cosines = (rows[kept] * row).sum(axis=1) / np.sqrt((rows[kept] ** 2).sum(axis=1) * (row**2).sum())
        crowding = np.flatnonzero(cosines > threshold)
        if len(crowding):
            by[i] = kept[crowding[0]]
        else:
            kept.append(i)
    return kept, by


def clustered(count: int, width: int, centres: int, spread: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    middles = random.standard_normal((centres, width))
    return (middles[random.integers(0, centres, count)] + spread * random.standard_normal((count, width))).astype(np.float32)


@pytest.fixture
def always_pruned(monkeypatch):
    monkeypatch.setattr(pruning, "_MIN_PAIRS", 0)
    monkeypatch.setattr(pruning, "_MIN_SAMPLE", 0)
    monkeypatch.setattr(pruning, "_READ_NS", -1000)  # so that any width seems cheaper than whole rows
    monkeypatch.setattr(pruning, "_CHECK_NS", 1e-9)


@settings(max_examples=1000)
@given(
    st.lists(st.tuples(*[st.integers(-3, 3)] * 4).filter(any), max_size=40),
    st.sampled_from([-0.5, 0.0, 0.5, 0.6, 0.8, 0.9, 1.0]),
    st.none() | st.integers(0, 12),
    st.sampled_from([1, 3, 1024]),
)
def test_the_same_rows_are_kept_as_by_walking_one_by_one_ties_and_duplicates_among_them(rows, threshold, keep, block):
    matrix = np.array(rows, dtype=np.float32).reshape(len(rows), 4)
    kept, by = one_by_one(matrix, threshold, keep)
    found = filter_rows(matrix, threshold=threshold, keep=keep, block=block, backend="numpy")
    assert (found.kept.tolist(), found.by.tolist()) == (kept, by)


def near_the_threshold(width: int, threshold: float, off: float) -> np.ndarray:
    """Rows whose cosine with one of twenty centres is the threshold, give or take."""
    random = np.random.default_rng(1)
    centres = np.linalg.qr(random.standard_normal((width, 20)))[0].T
    rows = [*centres]
    for i in range(700):
        aside = random.standard_normal(width)
        aside -= centres.T @ (centres @ aside)
        cosine = threshold + random.uniform(-off, off)
        rows.append(cosine * centres[i % 20] + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside))
    return np.array(rows, dtype=np.float32)


HARD = {
    "clusters": clustered(900, 96, 60, 0.3, 0),
    "copies": clustered(900, 96, 60, 0.0, 0),
    "all the same": np.ones((500, 96), dtype=np.float32),
    "within a millionth of the threshold": near_the_threshold(96, 0.9, 1e-6),
    "within a hundredth of the threshold": near_the_threshold(96, 0.9, 1e-2),
    "a chain, each like the one before": np.cumsum(clustered(600, 96, 600, 0.0, 3) * 0.35, axis=0).astype(np.float32),
    "of all lengths": clustered(600, 96, 40, 0.3, 4) * np.logspace(-30, 15, 600, dtype=np.float32)[:, None],
    "no two alike": clustered(600, 96, 600, 0.0, 5),
    "in few directions": np.pad(clustered(600, 12, 80, 0.3, 6), ((0, 0), (0, 84))),
    "double precision": clustered(600, 96, 40, 0.3, 7).astype(np.float64),
    "half precision": clustered(600, 96, 40, 0.3, 8).astype(np.float16),
    "column by column": np.asfortranarray(clustered(600, 96, 40, 0.3, 9)),
    "of another byte order": clustered(600, 96, 40, 0.3, 10).astype(">f4"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", HARD)
def test_hard_cases_are_decided_as_in_64_bits_in_any_block_and_arithmetic(name, backend, always_pruned):
    for threshold, keep in ((0.9, None), (0.7, None), (0.99, 137), (0.9, 1)):
        expected = one_by_one(HARD[name], threshold, keep)
        for block in (64, 1024):
            found = filter_rows(HARD[name], threshold=threshold, keep=keep, backend=backend, block=block)
            assert (found.kept.tolist(), found.by.tolist()) == expected, (threshold, keep, block)


@pytest.mark.parametrize("backend", BACKENDS)
def test_whole_rows_are_multiplied_where_the_short_ones_let_too_many_through(backend, always_pruned, monkeypatch):
    monkeypatch.setattr(repr_filter, "_MAX_PASS_RATE_INVERSE", 10**9)
    rows = HARD["clusters"]
    found = filter_rows(rows, threshold=0.9, backend=backend)
    assert found.kept.tolist() == one_by_one(rows, 0.9)[0]


def test_a_large_matrix_is_filtered_from_a_memory_map_as_from_memory(tmp_path):
    rows = clustered(5000, 128, 2500, 0.35, 9)
    np.save(tmp_path / "rows.npy", rows)
    kept, by = one_by_one(rows, 0.85)
    found = filter_rows(np.load(tmp_path / "rows.npy", mmap_mode="r"), threshold=0.85)
    assert (found.kept.tolist(), found.by.tolist()) == (kept, by)
    assert 1000 < len(kept) < 4900


def test_a_dropped_row_has_its_cosine_with_the_row_that_crowded_it_out():
    found = filter_rows(np.array([[1, 0], [4, 3], [24, 7], [0, 1]], dtype=np.float32), threshold=0.9)
    assert found.kept.tolist() == [0, 1, 3]
    assert found.by.tolist() == [-1, -1, 0, -1]
    assert found.cosine[2] == pytest.approx(0.96, abs=1e-15)  # 24/25, and the same with (4, 3): the first kept one counts
    assert np.isnan(found.cosine[[0, 1, 3]]).all()


def test_rows_behind_the_last_that_was_needed_are_not_looked_at():
    rows = np.eye(6, dtype=np.float32)
    rows[1] = rows[0]
    found = filter_rows(rows, keep=2)
    assert (found.kept.tolist(), found.by.tolist(), found.seen) == ([0, 2], [-1, 0, -1, -1, -1, -1], 3)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_row_without_direction_is_an_error_that_names_it(bad):
    rows = np.ones((3000, 8), dtype=np.float32)
    rows[2999] = bad
    with pytest.raises(DataError, match="row 2999 is a zero or non-finite vector"):
        filter_rows(rows)
