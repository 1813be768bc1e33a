"""Battles like those of AlpacaEval, with a win rate that is known."""

import numpy as np
import polars as pl


def sigma(x):
    return 1 / (1 + np.exp(-x))


def battles(preference, longer, **more):
    count = len(preference)
    return pl.DataFrame(
        {
            "id": [f"b{i}" for i in range(count)],
            "question": [f"q{i:04d}" for i in range(count)],
            "preference": preference,
            "chars": 5000 + np.asarray(longer),
            "against_chars": [5000] * count,
            **more,
        }
    )


def judged_battles(difficulty, longer, ability, **more):
    """Battles as the benchmark's judge sees them, and the win rate with the lengths alike."""
    preference = sigma(ability + difficulty + 2 * np.tanh(longer / longer.std(ddof=1)))
    prompts = {"prompt": [f"question {i}" for i in range(len(longer))]}
    return battles(preference, longer, **prompts, **more), 100 * sigma(ability + difficulty).mean()
