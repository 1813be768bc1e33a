import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attar.similarity import int8
from attar.similarity.products import Arithmetic, Numpy, Torch
from attar.similarity.pruning import Pruner, ReducedRows

KINDS = {"numpy": Numpy(), "bfloat16": Torch(bfloat16=True)} | ({"8 bits": int8.Int8Products()} if int8.is_supported() else {})
WIDTHS = (3, 16, 96)


def just_above(width: int, threshold: float, seed: int) -> np.ndarray:
    """Rows and as many others, each with one of the first a hair above the threshold; three are hard to quantise."""
    random = np.random.default_rng(seed)
    ones = random.standard_normal((30, width))
    ones[:3] = int8._rotation(width).T[:3]  # rotated, these have one nonzero number each
    ones /= np.linalg.norm(ones, axis=1, keepdims=True)
    aside = random.standard_normal(ones.shape)
    aside -= np.einsum("ij,ij->i", aside, ones)[:, None] * ones
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    cosine = threshold + 1e-9
    return np.concatenate([ones, cosine * ones + np.sqrt(1 - cosine**2) * aside])


def reduced_rows(rows: np.ndarray, by: Arithmetic, directions: np.ndarray | None = None) -> ReducedRows:
    pruner = Pruner(by, directions)
    reduced = ReducedRows(pruner, *rows.shape)
    reduced.append(pruner.reduce(rows))
    return reduced


@pytest.mark.parametrize("by", KINDS)
@settings(max_examples=60)
@given(st.sampled_from([-0.5, 0.0, 0.6, 0.9, 0.95, 0.999]), st.sampled_from(WIDTHS), st.integers(0, 2**32 - 1), st.booleans())
def test_no_pair_above_a_cosine_is_kept_back_whatever_stands_for_the_rows(by, threshold, width, seed, shortened):
    rows = just_above(width, threshold, seed)
    few = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))[0][:, : width // 2] if shortened else None
    for limit in (threshold, np.full(len(rows), threshold)):
        passed = set(zip(*reduced_rows(rows, KINDS[by], few).above(slice(None), slice(None), limit), strict=True))
        assert {(i, i + 30) for i in range(30)} <= passed
    for i in range(30):
        alone = reduced_rows(rows[[i, i + 30]], KINDS[by], few)  # what is lost of others makes up for nothing
        assert len(alone.above(slice(0, 1), slice(1, 2), threshold)[0])


@pytest.mark.parametrize("by", KINDS)
def test_of_random_rows_only_those_near_a_cosine_pass_beside_those_above_it(by):
    rows = np.random.default_rng(0).standard_normal((2000, 96)) + 1.5
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines, threshold = rows @ rows.T, 0.8
    ones, others = reduced_rows(rows, KINDS[by]).above(slice(None), slice(None), threshold)
    assert cosines[ones, others].min() > threshold - 0.05
    assert (cosines > threshold).sum() <= len(ones) < (cosines > threshold - 0.05).sum()
