import numpy as np
import pytest

from attar.similarity import nearest, pruning
from attar.similarity.backends import choose_arithmetic
from attar.similarity.int8 import is_supported


def rows_of(name: str) -> np.ndarray:
    random = np.random.default_rng(3)
    match name:
        case "clusters":
            return random.standard_normal((150, 150))[random.integers(0, 150, 1300)] + 0.3 * random.standard_normal((1300, 150))
        case "copies":
            return random.standard_normal((200, 150))[random.integers(0, 200, 1300)]
        case "all the same":
            return np.ones((300, 150))
        case "no two alike":
            return random.standard_normal((700, 150))
        case "in few directions":
            return np.pad(random.standard_normal((1300, 12)), ((0, 0), (0, 138)))
        case "of all lengths":
            return random.standard_normal((900, 150)) * np.logspace(-20, 15, 900)[:, None]
        case _:
            return random.standard_normal((3, 150))


def by_all_pairs(rows: np.ndarray, k: int, near: float) -> tuple[list[list[float]], list[int], list[int]]:
    """All cosines in 64 bits: the k largest of each row, how many are near, and the first of those."""
    units = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    cosines = units @ units.T
    np.fill_diagonal(cosines, -9)
    close = cosines >= near
    best = np.sort(cosines, axis=1)[:, ::-1][:, :k]
    return best.tolist(), close.sum(axis=1).tolist(), [int(line.argmax()) if line.any() else -1 for line in close]


@pytest.mark.parametrize("backend", ["numpy", "bfloat16", *(["int8"] if is_supported() else [])])
@pytest.mark.parametrize(
    "name", ["clusters", "copies", "all the same", "no two alike", "in few directions", "of all lengths", "three"]
)
def test_hard_cases_have_the_neighbours_that_all_pairs_give(name, backend, monkeypatch):
    monkeypatch.setattr(pruning, "_MIN_PAIRS", 0)
    monkeypatch.setattr(pruning, "_MIN_ROWS_PER_NUMBER", 0)
    monkeypatch.setattr(nearest, "_QUERY_BLOCK", 100)
    monkeypatch.setattr(nearest, "_ROW_BLOCK", 250)
    monkeypatch.setattr(nearest, "_BAND", 64)
    monkeypatch.setattr(nearest, "_PIVOTS", 16)
    rows = rows_of(name).astype(np.float32)
    for k, near in ((1, 0.913), (3, 0.5)):
        best, count, first = by_all_pairs(rows, k, near)
        found = nearest.nearest(rows, k, near, choose_arithmetic(backend))
        width = min(k, len(rows) - 1)
        np.testing.assert_allclose(found.cosine[:, :width], np.array(best)[:, :width], atol=1e-13)
        assert (found.count.tolist(), found.first.tolist()) == (count, first)
        units = rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        own = np.einsum("ij,ikj->ik", units, units[found.other[:, :width]])
        np.testing.assert_allclose(own, found.cosine[:, :width], atol=1e-6)
        assert (found.other[:, :width] != np.arange(len(rows))[:, None]).all()


def test_of_equals_the_first_is_the_nearest():
    found = nearest.nearest(np.array([[0, 1], [1, 0], [1, 0], [1, 0]], dtype=np.float32), 2, 0.99, choose_arithmetic("numpy"))
    assert found.other.tolist() == [[1, 2], [2, 3], [1, 3], [1, 2]]
    assert found.first.tolist() == [-1, 2, 1, 1]
