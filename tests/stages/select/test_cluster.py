import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.similarity.matrix import unit
from attar.stages.select import cluster


def table_of(rows):
    ids = [f"r{i:04}" for i in range(len(rows))]
    return pl.DataFrame({"id": ids, "embedding": np.asarray(rows, dtype=np.float32).tolist()})


def heaps(groups, each, width=16, seed=0):
    """Rows in far-apart heaps, shuffled, and the heap of each."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.repeat(np.arange(groups), each))
    return unit(np.eye(width)[which] + 0.005 * rng.standard_normal((len(which), width))), which


def same_groups(one, other):
    return len({*zip(one, other, strict=True)}) == len({*one}) == len({*other})


@pytest.mark.parametrize("seed", range(8))
def test_heaps_that_lie_apart_are_found(seed):
    rows, which = heaps(12, 20, seed=seed)
    found = cluster.group(table_of(rows), clusters=12, seed=seed)
    assert same_groups(found["cluster"].to_list(), which.tolist())


def test_groups_depend_on_ids_and_seed_and_not_on_the_order_of_rows():
    rows = unit(np.random.default_rng(0).standard_normal((300, 8)))
    table = table_of(rows)
    straight, back = cluster.group(table, clusters=9, seed=1), cluster.group(table.reverse(), clusters=9, seed=1)
    assert back.reverse()["cluster"].equals(straight["cluster"])
    assert not same_groups(straight["cluster"].to_list(), cluster.group(table, clusters=9, seed=2)["cluster"].to_list())


def test_each_row_is_in_the_cluster_whose_mean_is_nearest_at_the_distance_that_is_said(monkeypatch):
    monkeypatch.setattr(cluster, "_CONVERGED", 10**9)
    rows = unit(np.random.default_rng(3).standard_normal((200, 6)))
    found = cluster.group(table_of(rows), clusters=7, iterations=200)
    label = found["cluster"].to_numpy()
    means = np.array([rows[label == k].astype(np.float64).mean(axis=0) for k in range(7)])
    distances = ((rows[:, None].astype(np.float64) - means) ** 2).sum(axis=2)
    assert (label == distances.argmin(axis=1)).all()
    np.testing.assert_allclose(found["cluster_distance"], distances.min(axis=1), atol=1e-5)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 10**6), st.sampled_from([1, 7, 64]))
def test_the_nearest_centre_is_found_whatever_the_block(clusters, count, seed, block):
    rng = np.random.default_rng(seed)
    rows, centres = (rng.standard_normal((n, 5)).astype(np.float32) for n in (count, clusters))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "_ROWS", block)
        patch.setattr(cluster, "_CENTRES", block)
        label, near = cluster.nearest(rows, centres)
    distances = ((rows[:, None].astype(np.float64) - centres) ** 2).sum(axis=2)
    np.testing.assert_allclose(distances[np.arange(count), label], distances.min(axis=1), atol=1e-4)
    np.testing.assert_allclose((rows.astype(np.float64) ** 2).sum(axis=1) - 2 * near, distances.min(axis=1), atol=1e-4)


def test_an_empty_cluster_starts_again_at_the_farthest_row():
    rows = unit(np.array([[1, 0], [1, 0.1], [1, 0.2], [-1, 0]]))
    centres = np.array([[1, 0], [0, -9]], dtype=np.float32)  # nobody is near the second
    label, near = cluster.nearest(rows, centres)
    assert label.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(cluster._means(rows, label, near, centres), [rows.mean(axis=0), rows[3]], atol=1e-6)


def test_on_a_sample_of_the_rows_every_row_still_gets_a_cluster():
    rows, which = heaps(5, 400)
    found = cluster.group(table_of(rows), clusters=5, sample=20)
    assert same_groups(found["cluster"].to_list(), which.tolist())


def test_copies_make_fewer_clusters_and_a_row_without_vector_is_in_none():
    table = pl.concat(
        [table_of([[1, 0], [1, 0], [0, 1]]), pl.DataFrame({"id": ["none"], "embedding": [None]})], how="vertical_relaxed"
    )
    found = cluster.group(table, clusters=3)
    assert found["cluster"].n_unique() == 3  # two, and null
    assert found["cluster"][0] == found["cluster"][1]
    assert found.to_dicts()[3] == {"id": "none", "cluster": None, "cluster_distance": None}


def test_there_are_no_more_clusters_than_rows():
    found = cluster.group(table_of([[1, 0], [0, 1]]), clusters=5)
    assert sorted(found["cluster"]) == [0, 1]


def test_a_number_of_clusters_that_cannot_be_and_a_vector_without_direction_are_refused():
    table = table_of([[1, 0], [0, 1]])
    for clusters in (0, -1):
        with pytest.raises(RecipeError, match="clusters must be >= 1, got "):
            cluster.group(table, clusters=clusters)
    with pytest.raises(DataError, match="r0001"):
        cluster.group(table_of([[1, 0], [0, 0]]), clusters=1)
    assert len(cluster.group(table.clear(), clusters=1)) == 0


GROUPED = pl.DataFrame({"id": list("abcdefg"), "cluster": [0, 0, 1, 1, 2, 2, None], "score": [1, 2, 3, 3, None, 5, 9]})


def kept(out):
    return out.filter("kept")["id"].to_list()


def test_of_each_cluster_the_best_unused_row_is_picked():
    assert kept(cluster.pick(GROUPED, keep=3, by="score")) == ["b", "c", "f"]
    out = cluster.pick(GROUPED, GROUPED.filter(pl.col("id").is_in(["b", "f"])), keep=3, by="score")
    assert kept(out) == ["a", "c"]  # of the third only e is left, which has no score
    assert out["reason"].to_list() == [
        None, "used before", None, "another of its cluster is picked", "no score", "used before", "no cluster",
    ]  # fmt: skip
    assert out["because"].to_list() == [None, None, None, "c", None, None, None]
    assert columns_read(cluster.pick, {"by": "score"}) == ("cluster", "score")


def test_clusters_that_were_used_least_are_picked_first():
    used = GROUPED.filter(pl.col("id").is_in(["a", "c"]))
    for seed in range(5):
        assert kept(cluster.pick(GROUPED, used, keep=1, seed=seed))[0] in "ef"
        assert len(kept(cluster.pick(GROUPED, used, keep=2, seed=seed))) == 2


def test_rounds_use_every_row_once_and_every_cluster_before_any_twice():
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"id": [f"r{i}" for i in range(100)], "cluster": rng.integers(0, 12, 100)})
    used = table.clear()
    for number in range(60):
        new = table.filter(cluster.pick(table, used, keep=5, seed=number)["kept"])
        assert new["cluster"].is_unique().all()
        assert not set(new["id"]) & set(used["id"])
        used = pl.concat([used, new])
        told = cluster.coverage(table, used).to_dicts()[0]
        assert told["touched"] == min(12, 5 * (number + 1))
        if len(used) == 100:
            break
    assert told == {"id": "coverage", "rows": 100, "used": 100, "clusters": 12, "touched": 12, "share": 1.0}


def test_which_are_picked_depend_on_ids_and_seed_and_not_on_the_order_of_rows():
    table = pl.DataFrame({"id": [f"r{i}" for i in range(60)], "cluster": [i % 20 for i in range(60)]})
    picks = [set(kept(cluster.pick(table, keep=10, seed=seed))) for seed in (1, 2)]
    assert set(kept(cluster.pick(table.reverse(), keep=10, seed=1))) == picks[0] != picks[1]
    assert kept(cluster.pick(table.clear(), keep=3)) == []
