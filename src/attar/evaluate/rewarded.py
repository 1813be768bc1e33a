"""Battles that a reward model decides: the more an answer is rewarded over the other, the surer its win (Bradley and Terry)."""

import polars as pl

from attar.stage import rowwise
from attar.table import Table, need, put


@rowwise
def prefer(battles: Table, *, own: str = "reward", other: str = "against_reward") -> Table:
    """{own}, {other} -> preference (the chance that the first is better, if rewards are log-odds), preference_error."""
    need(battles, own, other)
    lead = pl.col(own) - pl.col(other)
    values = battles.select(1 / (1 + (-lead).exp())).to_series()
    errors = battles.select(pl.when(lead.is_null()).then(pl.lit("a reward is missing"))).to_series()
    return put(battles, "preference", values.to_list(), errors.to_list(), pl.Float64)
