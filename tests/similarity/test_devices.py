import numpy as np
import pytest

from attar.core.errors import EngineError
from attar.similarity.devices import centre_finder


def halves(centres):
    return np.einsum("ij,ij->i", centres, centres) / 2


def test_torch_finds_the_nearest_centre_of_each_row_and_says_how_near_it_is():
    random = np.random.default_rng(3)
    rows, centres = (random.standard_normal((count, 24)).astype(np.float32) for count in (3000, 2100))
    label, near = centre_finder(centres, halves(centres), "cpu")(rows)
    exact = rows.astype(float) @ centres.T.astype(float) - (centres.astype(float) ** 2).sum(axis=1) / 2
    assert (label == exact.argmax(axis=1)).mean() > 0.999
    assert near == pytest.approx(exact.max(axis=1), abs=1e-4)


def test_a_device_that_is_not_there_is_named():
    centres = np.eye(3, dtype=np.float32)
    with pytest.raises(EngineError, match="device 'abacus': "):
        centre_finder(centres, halves(centres), "abacus")
