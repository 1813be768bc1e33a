import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import RecipeError
from attar.stages.annotate import approximate_neighbours


def table(rows):
    values = pl.Series([None if row is None else list(map(float, row)) for row in rows], dtype=pl.List(pl.Float32))
    return pl.DataFrame({"id": [f"r{i}" for i in range(len(rows))], "embedding": values})


def clustered(count, width, centres, spread, seed):
    random = np.random.default_rng(seed)
    middles = random.standard_normal((centres, width))
    return (middles[random.integers(0, centres, count)] + spread * random.standard_normal((count, width))).astype(np.float32)


def distances(rows):
    """Between all pairs, in double precision; none of a row to itself."""
    unit = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    apart = np.stack([((unit - row) ** 2).sum(axis=1) for row in unit])
    np.fill_diagonal(apart, np.inf)
    return apart


@given(seed=st.integers(0, 2**32), count=st.integers(1, 40), width=st.integers(2, 5), k=st.integers(1, 3))
@settings(max_examples=40)
def test_with_effort_enough_every_row_has_what_all_its_pairs_give(seed, count, width, k):
    rng = np.random.default_rng(seed)
    rows = rng.integers(-2, 3, (count, width)) + 0.3 * rng.random((count, width)) + 0.01
    rows = rows.astype(np.float32)
    apart = distances(rows)
    out = approximate_neighbours.measure(table(rows), near=0.31, k=k, probes=10**6)
    nearest = np.sort(apart, axis=1)[:, :k]
    for i, line in enumerate(apart):
        found = out.row(i, named=True)
        close = np.flatnonzero(line <= 0.31)
        assert found["neighbour_distance"] == (pytest.approx(nearest[i, 0], abs=1e-12) if count > 1 else None)
        assert found["repeats"] == len(close)
        assert found["repeat_of"] == (f"r{close[0]}" if len(close) and close[0] < i else None)
        if k > 1:
            there = nearest[i][np.isfinite(nearest[i])]
            assert found["neighbour_distances"] == pytest.approx(there, abs=1e-12)
            named = [apart[i, int(name[1:])] for name in found["neighbours"]]
            assert named == pytest.approx(there, abs=1e-12)
    assert set(out["neighbour_recall"]) == ({1.0} if count > 1 else {None})


@pytest.mark.parametrize("k", [1, 5])
def test_the_recall_told_is_the_share_of_the_nearest_that_was_found(k):
    rows = clustered(3000, 24, 40, 0.9, seed=1)
    out = approximate_neighbours.measure(table(rows), k=k, sample=3000, probes=1)
    nearest = np.sort(distances(rows), axis=1)[:, :k]
    told = np.array(out["neighbour_distances" if k > 1 else "neighbour_distance"].to_list(), dtype=object)
    found = 0
    for i in range(len(rows)):
        found += sum(distance <= nearest[i, -1] + 1e-9 for distance in (told[i] if k > 1 else [told[i]]))
    assert found < 0.98 * nearest.size  # or there is nothing to tell
    assert out["neighbour_recall"].unique().to_list() == [pytest.approx(found / nearest.size, abs=1e-6)]
    few = approximate_neighbours.measure(table(rows), k=k, sample=500, probes=1)["neighbour_recall"][0]
    assert few == pytest.approx(found / nearest.size, abs=0.06)  # of 500 rows: three standard errors


def test_what_is_missed_never_makes_a_row_nearer_or_a_repeat():
    rows = np.concatenate([clustered(2000, 16, 30, 0.3, seed=2), clustered(40, 16, 30, 0.3, seed=2)])
    apart = distances(rows)
    out = approximate_neighbours.measure(table(rows), near=0.02, probes=1)
    told = out["neighbour_distance"].fill_null(np.inf).to_numpy()
    assert (told >= apart.min(axis=1) - 1e-6).all()
    assert (told > apart.min(axis=1) + 1e-6).any()  # or nothing was missed
    assert (out["repeats"].to_numpy() <= (apart <= 0.02 + 1e-6).sum(axis=1)).all()
    for i, name in enumerate(out["repeat_of"]):
        assert name is None or (int(name[1:]) < i and apart[i, int(name[1:])] <= 0.02 + 1e-6)


def test_more_probes_find_more():
    rows = table(clustered(4000, 32, 60, 1.0, seed=3))
    recalls = [
        approximate_neighbours.measure(rows, probes=probes, sample=4000)["neighbour_recall"][0] for probes in (1, 4, 16, 64)
    ]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.85 < 0.99 < recalls[-1]


def test_rows_that_go_through_in_many_pieces_find_the_same(monkeypatch):
    rows = clustered(700, 8, 20, 0.5, seed=5)
    apart = distances(rows)
    monkeypatch.setattr(approximate_neighbours, "_BLOCK", 7)
    monkeypatch.setattr(approximate_neighbours, "_TILE", 5)
    out = approximate_neighbours.measure(table(rows), near=0.05, k=2, sample=100, probes=10**6)
    assert np.array(out["neighbour_distances"].to_list()) == pytest.approx(np.sort(apart, axis=1)[:, :2], abs=1e-6)
    assert out["repeats"].to_list() == (apart <= 0.05).sum(axis=1).tolist()
    assert out["neighbour_recall"].unique().to_list() == [1.0]


def test_rows_that_32_bits_cannot_tell_apart_are_told_apart():
    angles = 1 + 1e-3 * np.random.default_rng(6).random(300)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    angles = np.arctan2(*rows.astype(np.float64).T[::-1])
    apart = np.abs(angles[:, None] - angles)
    np.fill_diagonal(apart, np.inf)
    out = approximate_neighbours.measure(table(rows), near=1e-8, k=2, probes=10**6)
    nearest = np.argsort(apart, axis=1)[:, :2]
    clear = np.diff(np.sort(apart, axis=1)[:, :3], axis=1).min(axis=1) > 1e-9
    assert clear.sum() > 200  # the others have two that are equally far, to within 64 bits
    names = [[f"r{i}" for i in row] for row in nearest[clear]]
    assert out["neighbours"].filter(pl.Series(clear)).to_list() == names
    assert out["repeats"].to_list() == (apart <= 1e-4).sum(axis=1).tolist()
    assert out["neighbour_recall"].unique().to_list() == [1.0]


def test_copies_are_found_however_many_there_are_and_wherever_they_stand():
    rows = clustered(3000, 16, 50, 1.0, seed=4)
    rows[::3] = rows[0]
    out = approximate_neighbours.measure(table(rows), near=1e-6, probes=2)
    copies = out.filter(pl.int_range(pl.len()) % 3 == 0)
    assert copies["repeats"].to_list() == [999] * 1000
    assert copies["repeat_of"].to_list() == [None, *["r0"] * 999]
    assert out.filter(pl.int_range(pl.len()) % 3 != 0)["repeats"].max() == 0


def test_a_row_without_a_vector_has_no_neighbours_and_is_nobodys():
    out = approximate_neighbours.measure(table([(1, 0), None, (1, 0.01), (0, 1)]), near=0.1)
    assert out["id"].to_list() == ["r0", "r1", "r2", "r3"]
    assert out["repeat_of"].to_list() == [None, None, "r0", None]
    assert out["repeats"].to_list() == [1, None, 1, 0]
    assert out["neighbour_recall"].to_list() == [1.0] * 4


def test_no_vectors_have_no_neighbours_and_no_recall():
    columns = ["id", "neighbour_distance", "repeats", "repeat_of", "neighbour_recall"]
    assert approximate_neighbours.measure(table([])).columns == columns
    assert approximate_neighbours.measure(table([None])).row(0) == ("r0", None, None, None, None)
    assert approximate_neighbours.measure(table([(1, 0)])).row(0) == ("r0", None, 0, None, None)
    assert approximate_neighbours.measure(table([(1, 0), (0, 1)]), k=3)["neighbours"].to_list() == [["r1"], ["r0"]]


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"probes": 0}, "probes must be >= 1, got 0"),
        ({"sample": 0}, "sample must be >= 1, got 0"),
        ({"k": 0}, "k must be >= 1, got 0"),
    ],
)
def test_a_knob_that_finds_nothing_is_refused(knobs, told):
    with pytest.raises(RecipeError, match=told):
        approximate_neighbours.measure(table([(1, 0), (0, 1)]), **knobs)
