import numpy as np
import pytest

from attar.similarity import int8
from attar.similarity.pruning import Pruner, ReducedRows


@pytest.mark.skipif(not int8.is_supported(), reason="this processor does not multiply in 8 bits")
def test_each_row_asks_for_its_own_and_hits_come_in_order():
    rows = np.random.default_rng(1).standard_normal((1500, 64))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    least = np.where(np.arange(1500) % 2, 0.999, -1.1)  # itself alone, or all
    reduced = ReducedRows(Pruner(int8.Int8Products(), None), *rows.shape)
    reduced.append(rows.astype(np.float32))
    ones, others = reduced.above(slice(None), slice(None), least)
    expected = np.eye(1500, dtype=bool)
    expected[::2] = True
    assert (ones * 1500 + others).tolist() == np.flatnonzero(expected).tolist()


def test_a_product_in_8_bits_says_how_far_apart_two_rows_are_in_steps():
    rows = np.random.default_rng(2).standard_normal((200, 64)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    kept, _ = int8.Int8Products().rows(rows)
    queries, _ = int8.Int8Products().queries(kept, 0.5)
    products = queries.numpy().astype(int) @ kept.numpy().astype(int).T
    in_steps = kept.numpy()[:, :-2].astype(int)
    apart = np.square(in_steps[:, None] - in_steps[None]).sum(axis=2)
    over = products - ((127 / 5.5) ** 2 * 64 - apart / 2)  # 64 numbers of size one are 5.5 to 127 steps
    assert over.min() >= 0
    assert over.max() <= 32  # each row's part is rounded up to 16
