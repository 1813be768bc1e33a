"""How many rows each step left, what it dropped, and how that is drawn."""

import polars as pl

from attar.outputs.report import funnel
from attar.outputs.report.funnel import FunnelStep


def test_only_the_most_common_reasons_of_a_step_are_told_and_all_of_its_rows_are_counted():
    reasons = [name for number, name in enumerate("abcdef", start=1) for _ in range(number)]  # a once, f six times
    ledger = pl.DataFrame({"step": ["rule"] * 21 + [None], "reason": [*reasons, None]})
    last = funnel.ledger_steps(ledger)[-1]
    assert (last.rows, last.dropped) == (1, 21)
    assert list(last.reasons) == [("f", 6), ("e", 5), ("d", 4), ("c", 3)]


def test_a_ledger_of_a_pool_that_lost_no_row_is_the_pool_alone():
    nobody = pl.DataFrame({"step": pl.Series([None, None], dtype=pl.String), "reason": pl.Series([None] * 2, dtype=pl.String)})
    assert funnel.ledger_steps(nobody) == [FunnelStep("pool", 2, 0, [])]
    assert funnel.ledger_steps(pl.DataFrame({"id": ["a", "b"]})) == [FunnelStep("pool", 2, 0, [])]


def test_a_row_that_was_dropped_without_a_reason_is_counted_too():
    ledger = pl.DataFrame({"step": ["read", "read", None], "reason": pl.Series([None, None, None], dtype=pl.String)})
    assert list(funnel.ledger_steps(ledger)[-1].reasons) == [("no reason", 2)]


def test_a_bar_says_how_many_rows_were_dropped_unless_they_were_dropped_many_times():
    steps = [FunnelStep("pool", 12_000, 0, []), FunnelStep("rule", 9_000, 3_000, []), FunnelStep("rounds", 8_000, 40_000, [])]
    assert [bar["label"] for bar in funnel.bars(steps)] == ["12,000", "9,000  (dropped 3,000)", "8,000"]


def test_the_chart_reads_as_a_sentence_and_has_a_line_for_each_step():
    one, two = (funnel.chart([FunnelStep(f"s{i}", 9 - i, min(i, 1), []) for i in range(count)]) for count in (1, 2))
    assert two["description"] == "Rows left after each step; s0 9; s1 8"
    assert two["height"] == 2 * one["height"]
    (rows,) = two["datasets"].values()
    assert [(row["name"], row["rows"], row["before"]) for row in rows] == [("s0", 9, 9), ("s1", 8, 9)]
