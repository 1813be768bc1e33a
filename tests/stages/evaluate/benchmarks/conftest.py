import numpy as np
import polars as pl
import pytest
from alpaca_for_tests import sigma

from attar.stages.evaluate.benchmarks import alpaca_eval, length_control
from attar.stages.evaluate.benchmarks.length_control import text_hash


@pytest.fixture
def world(monkeypatch):
    """200 questions of our own in place of AlpacaEval's: their difficulties. The judge likes length, by 2 on tanh."""
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 1.5, 200)
    gaps = {"concise": rng.normal(-0.8, 0.6, 200), "verbose": rng.normal(0.8, 0.6, 200)}
    made = {"text": pl.Series([text_hash(f"question {i}") for i in range(200)], dtype=pl.UInt64), "difficulty": difficulty}
    for name, gap in gaps.items():
        made |= {f"{name}_longer": gap, f"{name}_preference": sigma(2 * np.tanh(gap) + difficulty)}
    table = pl.DataFrame(made)
    for module in (length_control, alpaca_eval):
        monkeypatch.setattr(module, "alpaca_eval_questions", lambda: table)
    return difficulty
