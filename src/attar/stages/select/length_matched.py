"""Random rows with the lengths of a selection: a control that shows whether the selection chose more than length.

Each sampled row matches one row of the other table whose length differs by at most the share `within`; when no such pair is
left, the tolerance doubles, and so on. The sample depends only on the ids, the seed and the lengths.
"""

from math import log1p
from typing import Any

import polars as pl

from attar.core.errors import DataError, RecipeError
from attar.core.stage import as_many_as, reads
from attar.core.table import Table, verdicts
from attar.stages.select.budget import amounts
from attar.stages.select.rank import lots
from attar.stages.select.where import columns

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@as_many_as(1)
@reads(lambda knobs: columns(knobs["by"]))
def draw(table: Table, like: Table, *, by: str, within: float = 0.05, seed: int = 0) -> Table:
    """the columns of `by`, a length -> verdicts: random rows with the number and the lengths of those of `like`."""
    if not 0 < within < float("inf"):
        raise RecipeError(f"within must be > 0 and finite, got {within}; 0.05 lets lengths differ by 5%")
    wanted = _lengths(like, by).with_columns(pl.col("length").log1p())
    if wanted["length"].null_count():
        row = wanted.filter(pl.col("length").is_null())["id"][0]
        raise DataError(f"row {row!r} of `like` has no {by}: drop such rows with where.holds")
    all_rows = _lengths(table, by).with_columns(lots(table, "matched.draw", seed)).with_row_index()
    free = all_rows.drop_nulls("length").sort("lot", "id").with_columns(pl.col("length").log1p())
    drawn = [free["index"].clear()]
    width = log1p(within)
    while len(wanted) and len(free):
        free, wanted = _number_in_bins(free, width), _number_in_bins(wanted, width)
        drawn.append(free.join(wanted, on=("bin", "number"), how="semi")["index"])
        free, wanted = (
            free.join(wanted, on=("bin", "number"), how="anti", maintain_order="left"),
            wanted.join(free, on=("bin", "number"), how="anti", maintain_order="left"),
        )
        width *= 2
    kept = all_rows["index"].is_in(pl.concat(drawn).implode())
    reason = pl.when(pl.col("length").is_null()).then(pl.lit(f"no {by}")).when(~kept).then(pl.lit("not drawn"))
    out = all_rows.select("id", kept.alias("kept"), reason.alias("reason"), pl.lit(None, dtype=pl.String).alias("because"))
    return out if len(out) else verdicts([], [], [], [])


@reads(lambda knobs: columns(knobs["by"]))
def compare(table: Table, like: Table, *, by: str) -> Table:
    """the columns of `by`, of both tables -> id (rows, shared, mean, quantiles), here, there: compares their lengths."""
    here, there = _lengths(table, by), _lengths(like, by)
    shared = here["id"].is_in(there["id"].implode()).sum()
    figures: dict[str, list[Any]] = {"rows": [len(here), len(there)], "shared": [shared, shared]}
    figures["mean"] = [side["length"].mean() for side in (here, there)]
    for share in QUANTILES:
        figures[f"{share:.0%} are below"] = [side["length"].quantile(share, "linear") for side in (here, there)]
    schema = {"id": pl.String, "here": pl.Float64, "there": pl.Float64}
    return pl.DataFrame([(name, *pair) for name, pair in figures.items()], schema=schema, orient="row", strict=False)


def _lengths(table: Table, by: str) -> Table:
    return table.select("id", length=amounts(table, by, "length"))


def _number_in_bins(rows: Table, width: float) -> Table:
    """Assign rows to bins of this width (in log length) and number them within each bin."""
    binned = rows.with_columns(bin=(pl.col("length") / width).floor().cast(pl.Int64))
    return binned.with_columns(number=pl.int_range(pl.len()).over("bin"))
