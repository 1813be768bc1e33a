import polars as pl
import pytest
from stages_for_tests import learn

from attar.core.table import write_part
from attar.runtime.flow import Step
from attar.runtime.home import write_json
from attar.runtime.trained_models import train_or_reuse

ROWS = pl.DataFrame({"id": ["a", "b"], "n": [1, 2]})
CURVE = pl.DataFrame({"id": ["step-1"], "loss": [0.25]})


@pytest.fixture
def train(home):
    """Train or reuse as a step of this fingerprint, and complete it; returns if it was trained, and the model's identity."""

    def go(fingerprint, manner="same", rows=ROWS, weights="w", complete=True):
        step = Step("train", learn, (), None, {}, manner, fingerprint)
        folder = home.folder(step)
        folder.mkdir(parents=True)
        trained = []

        def fit(into):
            trained.append(into)
            into.mkdir()
            (into / "model.safetensors").write_text(weights)
            return CURVE

        curve = train_or_reuse(step, home, [rows], fit)
        assert curve.equals(CURVE)
        if complete:
            write_part(curve, folder, 0, 1)
            write_json(folder / "card.json", {"fingerprint": fingerprint})
        assert trained in ([], [folder / "model"])
        return bool(trained), (folder / "known_as").read_text()

    return go


def test_a_training_with_the_same_rows_and_settings_is_reused(train):
    assert train("first") == (True, "first")
    assert train("second") == (False, "first")


def test_other_rows_or_other_settings_are_trained(train):
    train("first", weights="w1")
    assert train("second", rows=ROWS.with_columns(n=pl.lit(3)), weights="w2") == (True, "second")
    assert train("third", manner="other", weights="w3") == (True, "third")


def test_a_training_that_was_not_completed_is_not_reused(train):
    train("first", complete=False)
    assert train("second", weights="v") == (True, "second")


def test_equal_weights_keep_the_name_of_the_first_model_that_has_them(train):
    assert train("first", manner="a", weights="w") == (True, "first")
    assert train("second", manner="b", weights="v") == (True, "second")
    assert train("third", manner="c", weights="w") == (True, "first")
