from datetime import UTC, datetime

import polars as pl

from attar.engines.base import Spec
from attar.stages.evaluate.judging.provenance import add_provenance, copy_provenance, provenance_of

ROWS = pl.DataFrame({"id": ["a", "b"]})
FIGURES = pl.DataFrame({"figure": ["score"], "value": [0.5]})


def test_every_row_says_who_judged_it_in_which_words_and_order_and_when():
    out = add_provenance(ROWS, Spec("http", "some/judge", {}), asked="ours:1f", order="both", date="2026-01-02")
    assert out.columns == ["id", "judge", "asked", "order", "date"]
    assert set(out.drop("id").rows()) == {(Spec("http", "some/judge", {}).name, "ours:1f", "both", "2026-01-02")}
    day = add_provenance(ROWS, Spec("fake", "j"), asked="x")
    assert set(day.select("order", "date").rows()) == {(None, datetime.now(UTC).date().isoformat())}


def test_figures_say_all_judges_of_their_rows_and_the_first_and_the_last_day():
    days = ("2026-03-01", "2026-01-02", "2026-02-01")
    rows = pl.concat(
        add_provenance(ROWS, Spec("fake", name), asked="w", date=day) for name, day in zip("bab", days, strict=True)
    )
    assert provenance_of(rows) == {"judge": "a, b", "asked": "w", "order": None, "date": "2026-01-02 to 2026-03-01"}
    assert provenance_of(rows.filter(pl.col("judge") == "a"))["date"] == "2026-01-02"
    assert copy_provenance(FIGURES, rows).row(0, named=True) == {"figure": "score", "value": 0.5, **provenance_of(rows)}


def test_figures_of_rows_that_no_judge_has_seen_stay_as_they_are():
    assert copy_provenance(FIGURES, ROWS).equals(FIGURES)
    assert copy_provenance(FIGURES, ROWS.with_columns(judge=pl.lit("j"))).columns == ["figure", "value", "judge"]
