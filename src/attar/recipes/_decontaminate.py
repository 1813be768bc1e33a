"""What recipes do before they choose: drop the rows that ask what a benchmark asks."""

from collections.abc import Sequence

from attar.runtime.flow import Flow, Handle
from attar.stages.select import decontaminate, keep

BENCHMARKS = ("alpaca_eval", "arena_hard", "mt_bench")


def drop_benchmark_overlap(flow: Flow, rows: Handle, against: Sequence[str], column: str = "prompt") -> Handle:
    """The rows that overlap no benchmark; with none to be apart from, all rows."""
    if not against:
        return rows
    judged = flow(decontaminate.by_words, rows, column=column, **decontaminate.pin(against), name="decontaminate")
    return flow(keep.rows, rows, judged, name="apart")
