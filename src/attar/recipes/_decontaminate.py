"""Decontamination, as recipes do it before they select: drop the rows that overlap with a benchmark's prompts."""

from collections.abc import Sequence

from attar.runtime.flow import Flow, Handle
from attar.stages.select import decontaminate, keep

BENCHMARKS = ("alpaca_eval", "arena_hard", "mt_bench")


def drop_benchmark_overlap(flow: Flow, rows: Handle, against: Sequence[str], column: str = "prompt") -> Handle:
    """The rows that overlap with none of these benchmarks; all rows if `against` is empty."""
    if not against:
        return rows
    judged = flow(decontaminate.by_words, rows, column=column, **decontaminate.pin(against), name="decontaminate")
    return flow(keep.rows, rows, judged, name="apart")
