"""Draw in batches until there is enough, or until a batch brings too little that is new.

A batch is two tables: its requests, and the rows kept from them.
"""

from collections.abc import Sequence
from math import ceil

import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table


def next_draws(draws: Table, *before: Table, wanted: int, stall: float = 0.02) -> Table:
    """a plan of draws; of each batch before it what was asked and what was kept -> as many draws as are still needed.

    By the share that the last batch kept; none once there is enough, or once that share has fallen below `stall`.
    """
    batches = _batch_sizes(before)
    if wanted < 0 or not 0 <= stall < 1:
        raise RecipeError(f"wanted {wanted}, stall {stall}: a number of rows, and a share below 1")
    missing = wanted - sum(kept for _, kept in batches)
    if missing <= 0 or _is_stalled(batches, stall):
        return draws.clear()
    asked, kept = batches[-1] if batches else (1, 1)
    return draws.head(ceil(missing * asked / kept)) if kept else draws


@reads("id")
def summarise(*before: Table, wanted: int, stall: float = 0.02) -> Table:
    """of each batch what was asked and what was kept -> id, asked, new, share, total, end: why no more was drawn."""
    batches, total, lines = _batch_sizes(before), 0, []
    for number, (asked, kept) in enumerate(batches, 1):
        total += kept
        lines.append((f"batch-{number}", asked, kept, kept / asked if asked else None, total))
    ends: list[str | None] = [None] * len(lines)
    if lines:
        short = (
            f"stalled: the last batch kept less than {stall:.0%}" if _is_stalled(batches, stall) else "no more was to be drawn"
        )
        ends[-1] = f"the {wanted:,} wanted are there" if total >= wanted else f"{wanted - total:,} short; {short}"
    kinds = {"id": pl.String, "asked": pl.Int64, "new": pl.Int64, "share": pl.Float64, "total": pl.Int64}
    return pl.DataFrame(lines, schema=kinds, orient="row").with_columns(pl.Series("end", ends, dtype=pl.String))


def _batch_sizes(tables: Sequence[Table]) -> list[tuple[int, int]]:
    if len(tables) % 2:
        raise RecipeError(f"{len(tables)} tables are no batches: each is what was asked, and what was kept of it")
    return [(len(asked), len(kept)) for asked, kept in zip(tables[::2], tables[1::2], strict=True)]


def _is_stalled(batches: Sequence[tuple[int, int]], stall: float) -> bool:
    drawn = [(asked, kept) for asked, kept in batches if asked]
    return bool(drawn) and drawn[-1][1] < stall * drawn[-1][0]
