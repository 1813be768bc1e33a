import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.similarity.matrix import unit
from attar.stages.select import coreset

CASES = st.tuples(st.integers(1, 60), st.integers(1, 70), st.sampled_from([2, 3, 8, 40]), st.integers(0, 10**6), st.booleans())


def rows_of(count, width, seed, coarse):
    """Unit rows in 64 bits; coarse ones are full of copies and ties."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-1, 2, (count, width)).astype(float) if coarse else rng.standard_normal((count, width))
    rows[~rows.any(axis=1)] = 1.0
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def table_of(rows, **more):
    ids = [f"r{i:03}" for i in range(len(rows))]
    return pl.DataFrame({"id": ids, "embedding": rows.astype(np.float32).tolist(), **more})


def check_steps(kept, keep, rows, worth):
    """Each step is the best there is, no copy is kept, of copies the first is, and it ends only where nothing is left."""
    cosines = rows @ rows.T
    for step, row in enumerate(kept):
        worths = worth(cosines, kept[:step])
        assert worths[row] >= worths.max() - 1e-5 * max(1.0, abs(worths.max()))
        copies = np.flatnonzero(cosines[row] > 1 - 1e-9)
        assert row == copies[0]
    assert len(set(kept)) == len(kept) <= keep
    assert len(kept) == keep or (cosines[kept].max(axis=0) > 1 - 3e-6).all()


def apartness(cosines, kept):
    if not kept:
        return np.where(np.arange(len(cosines)) == 0, 1.0, 0.0)
    return 1 - cosines[kept].max(axis=0)


def raised(cosines, kept):
    cover = np.maximum(cosines[kept].max(axis=0), 0) if kept else np.zeros(len(cosines))
    return np.maximum(cosines - cover, 0).sum(axis=1)


@pytest.mark.parametrize(("choose", "worth"), [(coreset.choose_farthest, apartness), (coreset.choose_representative, raised)])
@settings(max_examples=200)
@given(case=CASES, at_once=st.sampled_from([1, 3, 10, 256]))
def test_every_step_is_the_best_there_is_however_many_are_looked_at_at_once(choose, worth, case, at_once):
    count, keep, width, seed, coarse = case
    rows = rows_of(count, width, seed, coarse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coreset, "_CANDIDATES", at_once)
        patch.setattr(coreset, "_MOST_COSINES", at_once * count)
        patch.setattr(coreset, "_ROWS", at_once)
        chosen = choose(rows.astype(np.float32), keep)
    check_steps(chosen.kept, keep, rows, worth)
    cosines = (rows @ rows.T)[:, chosen.kept]
    np.testing.assert_allclose(chosen.cosine, cosines.max(axis=1), atol=1e-5)
    np.testing.assert_allclose((rows * rows[chosen.by]).sum(axis=1), cosines.max(axis=1), atol=1e-5)


# Directions in a plane, in degrees: two near 0, one at 90, one at 100.
PLANE = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d", "none"],
        "score": [1.0, 2.0, 3.0, None, 9.0],
        "embedding": [*([np.cos(t), np.sin(t)] for t in np.radians([0, 5, 100, 90])), None],
    },
    schema_overrides={"embedding": pl.List(pl.Float32)},
)


def test_k_center_begins_with_the_best_row_and_then_goes_as_far_as_it_can():
    out = coreset.k_center(PLANE, by="score", keep=2)
    assert out.to_dicts() == [
        {"id": "a", "kept": True, "reason": None, "because": None},
        {"id": "b", "kept": False, "reason": "cosine 0.996 with a kept row", "because": "a"},
        {"id": "c", "kept": True, "reason": None, "because": None},
        {"id": "d", "kept": False, "reason": "no score", "because": None},
        {"id": "none", "kept": False, "reason": "no embedding", "because": None},
    ]
    assert coreset.k_center(PLANE, keep=2).filter("kept")["id"].to_list() == ["a", "c"]
    assert columns_read(coreset.k_center, {"by": "score * 2"}) == ("embedding", "score")


def test_facility_takes_the_row_that_stands_for_most():
    # 60 degrees is most like all of 0, 60 and 90; then 0, which it stands for least
    table = table_of(np.array([[np.cos(t), np.sin(t)] for t in np.radians([0, 60, 90])]))
    assert coreset.facility(table, keep=1).filter("kept")["id"].to_list() == ["r001"]
    assert coreset.facility(table, keep=2).filter("kept")["id"].to_list() == ["r000", "r001"]


def test_of_two_copies_the_better_is_kept_and_never_both():
    table = table_of(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]), score=[1, 2, 3])
    for stage in (coreset.k_center, coreset.facility):
        out = stage(table, by="score", keep=3)
        assert out.filter("kept")["id"].to_list() == ["r001", "r002"]
        assert out["because"].to_list() == ["r002", None, None]


@pytest.mark.parametrize("choose", [coreset.choose_farthest, coreset.choose_representative])
def test_rows_that_differ_by_less_than_the_rounding_are_copies(choose):
    rng = np.random.default_rng(1)
    rows = rows_of(20, 40, 1, coarse=False)[np.tile(np.arange(20), 15)] + 1e-6 * rng.standard_normal((300, 40))
    assert sorted(row % 20 for row in choose(unit(rows), 300).kept) == list(range(20))


def test_too_many_rows_to_hold_against_each_other_are_refused(monkeypatch):
    monkeypatch.setattr(coreset, "MOST_ROWS", 3)
    with pytest.raises(RecipeError, match="5 rows are more than the limit of 3: keep fewer rows first"):
        coreset.facility(table_of(np.eye(5)), keep=1)


def test_a_vector_without_direction_is_named():
    with pytest.raises(DataError, match="r001"):
        coreset.k_center(table_of(np.array([[1.0, 0.0], [0.0, 0.0]])), keep=1)


def test_vectors_of_two_lengths_are_refused_by_the_name_of_their_column():
    with pytest.raises(DataError, match="column 'mini' holds vectors of 2 lengths: 1, 2"):
        coreset.facility(pl.DataFrame({"id": ["a", "b"], "mini": [[1.0], [1.0, 0.0]]}), column="mini", keep=1)


CLUSTERED = pl.DataFrame({"id": list("abcdefg"), "score": [7, 6, 5, 4, 3, 2, None], "cluster": [0, 0, 0, 0, 1, None, 1]})


def test_each_cluster_gives_its_best_row_in_turn_and_what_one_lacks_goes_to_others():
    out = coreset.quota(CLUSTERED, by="score", keep=4)
    assert out.filter("kept")["id"].to_list() == ["a", "b", "c", "e"]
    assert out.to_dicts()[3] == {"id": "d", "kept": False, "reason": "rank 4 of its cluster, 3 of it kept", "because": "c"}
    assert out["reason"].to_list()[5:] == ["no cluster", "no score"]
    assert coreset.quota(CLUSTERED, by="score", keep=1).filter("kept")["id"].to_list() == ["a"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=25), st.integers(0, 30))
def test_no_cluster_has_two_rows_more_than_one_that_could_give_another(rows, keep):
    table = pl.DataFrame(
        {"id": [f"{i:02}" for i in range(len(rows))], "cluster": [a for a, _ in rows], "score": [b for _, b in rows]},
        schema={"id": pl.String, "cluster": pl.Int64, "score": pl.Int64},
    )
    kept = table.filter(coreset.quota(table, by="score", keep=keep)["kept"])
    assert len(kept) == min(keep, len(rows))
    sizes = {cluster: sum(a == cluster for a, _ in rows) for cluster in range(4)}
    given_rows = {cluster: kept.filter(pl.col("cluster") == cluster) for cluster in range(4)}
    for one, its in given_rows.items():
        for other in given_rows.values():
            assert len(other) <= len(its) + 1 or len(its) == sizes[one]
        ranked = sorted((-b, f"{i:02}") for i, (a, b) in enumerate(rows) if a == one)
        assert sorted(its["id"]) == sorted(name for _, name in ranked[: len(its)])


@pytest.mark.parametrize("stage", [coreset.k_center, coreset.facility, coreset.quota])
def test_nothing_to_choose_from_is_no_verdict_and_none_to_keep_keeps_none(stage):
    table = table_of(np.eye(3), cluster=[0, 0, 1])
    assert len(stage(table.clear(), keep=2)) == 0
    none = stage(table, keep=0)
    assert none["kept"].to_list() == [False] * 3
    assert none["because"].null_count() == 3
    with pytest.raises(RecipeError, match="keep -1"):
        stage(table, keep=-1)
