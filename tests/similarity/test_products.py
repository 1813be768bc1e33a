import numpy as np
import pytest
import torch

from attar.similarity import products
from attar.similarity.products import Numpy, Torch, nonzero_pairs, rounding_loss

KINDS = {"numpy": Numpy(), "torch": Torch(), "bfloat16": Torch(bfloat16=True)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_pairs_above_what_each_row_asks_for_come_in_order(kind):
    by = KINDS[kind]
    rows = by.rows(np.array([[1, 0], [0.5, 0.5], [0, 1], [-1, 0]], dtype=np.float32))[0]  # all exact in bfloat16 too
    ones, others = by.above(by.queries(rows[:2], np.array([0.25, -0.25])), rows)
    assert list(zip(ones.tolist(), others.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    ones, others = by.above(by.queries(rows[:2], 0.5), rows)  # a product of just the least is not above it
    assert list(zip(ones.tolist(), others.tolist(), strict=True)) == [(0, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_is_off_by_no_more_than_is_said(kind):
    by = KINDS[kind]
    rows = np.random.default_rng(0).standard_normal((300, 96))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kept, missing = by.rows(rows.astype(np.float32))
    exact = rows @ rows.T
    slack = by.rounding(96) + 2 * missing.error + missing.error**2
    for least in (0.1, -0.1):
        found = np.zeros(exact.shape, dtype=bool)
        found[by.above(by.queries(kept, least), kept)] = True
        assert found[exact > least + slack].all()
        assert not found[exact < least - slack].any()
        assert found.any()
        assert not found.all()


def test_only_bfloat16_takes_anything_from_rows_and_it_is_measured():
    rows = np.array([[1 / 3, 2 / 3], [0.5, 0.25]], dtype=np.float32)
    assert [KINDS[kind].rows(rows)[1].error for kind in ("numpy", "torch")] == [0.0, 0.0]
    rounded = torch.from_numpy(rows).to(torch.bfloat16).float().numpy()
    taken = KINDS["bfloat16"].rows(rows)[1]
    assert taken.error == pytest.approx(float(np.linalg.norm((rows - rounded)[0])), rel=1e-6)
    assert taken.square == pytest.approx(0.5**2 + 0.25**2)  # the shorter of the two


def test_what_is_lost_is_the_longest_difference_and_the_least_square():
    found = rounding_loss(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 3.0], [1.0, 0.0]]))
    assert found == (1.0, 1.0)


def test_hits_are_placed_alike_whatever_fits_at_once(monkeypatch):
    hits = np.random.default_rng(1).random((50, 7)) < 0.3
    expected = [place.tolist() for place in np.nonzero(hits)]
    for at_once in (1, 20, 10**6):
        monkeypatch.setattr(products, "_BLOCK_PRODUCTS", at_once)
        assert [place.tolist() for place in nonzero_pairs(50, 7, lambda few: hits[few].ravel())] == expected
    assert [place.tolist() for place in nonzero_pairs(0, 7, lambda few: hits[few].ravel())] == [[], []]
