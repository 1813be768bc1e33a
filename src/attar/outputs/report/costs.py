"""The cost of a run by engine and by step: requests, tokens, time and, where prices are known, money.

Numbers are sums over all attempts of the run, so that a run that was stopped and resumed counts every request once. A step
whose result another run of the home had already made is counted with its original cost, because that is what its rows cost.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attar.core.format import format_seconds
from attar.outputs.report import charts
from attar.outputs.report.funnel import count_drop_reasons
from attar.outputs.report.lineage import FinishedStep, replace_numbers

_SHOWN = 10
"""Steps in the chart; the others are one line together."""


@dataclass(slots=True)
class CostTotals:
    """Requests, journal hits (`recalled`), tokens, time and money; `cost` is None if an engine has no price."""

    asked: int = 0
    recalled: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost: float | None = 0.0
    steps: int = 0

    def add(self, card: Mapping[str, Any], engine: bool) -> None:
        """Add the numbers of a step's card."""
        spent = card.get("spent") or {}
        for key in ("asked", "recalled", "tokens_in", "tokens_out"):
            setattr(self, key, getattr(self, key) + (spent.get(key) or card.get(key) or 0))
        self.failed += card.get("failed") or 0
        self.seconds += card.get("seconds") or 0.0
        self.steps += 1
        if engine:
            cost = card.get("cost")
            self.cost = None if cost is None or self.cost is None else self.cost + cost


@dataclass(frozen=True, slots=True)
class Costs:
    """Totals of the run and of each engine (by role and model), one line per step, and the chart of time."""

    total: CostTotals
    engines: Mapping[tuple[str, str], CostTotals]
    steps: Sequence[Mapping[str, Any]]
    drawing: charts.Drawing | None = field(default=None)


def costs(run: Mapping[str, Any], steps: Mapping[str, FinishedStep]) -> Costs:
    """The cost of a run, from its record and its steps' cards."""
    total = CostTotals()
    by_engine: dict[tuple[str, str], CostTotals] = {}
    lines: list[dict[str, Any]] = []
    for recorded in run["steps"]:
        if (step := steps.get(recorded["name"])) is None:
            continue
        engine = recorded.get("engine")
        total.add(step.card, bool(engine))
        if engine:
            by_engine.setdefault((recorded.get("role") or "trained here", engine), CostTotals()).add(step.card, True)
        step_totals = CostTotals()
        step_totals.add(step.card, bool(engine))
        lines.append(
            {
                "name": step.name,
                "stage": step.stage,
                "rows": step.rows,
                "engine": engine,
                "spent": step_totals,
                "why": _common_reasons(step),
            }
        )
    return Costs(total, by_engine, lines, _time_chart(lines) if total.seconds >= 1 else None)


def _common_reasons(step: FinishedStep) -> list[tuple[str, int]]:
    """The most common reasons why rows failed or were dropped in a step."""
    return (Counter(step.card.get("errors") or {}) + count_drop_reasons(step)).most_common(4)


def slowest_steps(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The steps that took longest, steps of rounds or batches summed, and the rest as one line."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_name.setdefault(replace_numbers(line["name"]), []).append(line)
    groups = [(same[0]["name"] if len(same) == 1 else f"{name} ({len(same)} steps)", same) for name, same in by_name.items()]
    ranked = sorted(
        ((name, sum(line["spent"].seconds for line in same), len(same)) for name, same in groups), key=lambda t: -t[1]
    )
    out = [{"step": name, "seconds": seconds} for name, seconds, _ in ranked[:_SHOWN]]
    if rest := ranked[_SHOWN:]:
        out.append(
            {"step": f"{sum(count for *_, count in rest)} other steps", "seconds": sum(seconds for _, seconds, _ in rest)}
        )
    return [{**line, "label": format_seconds(line["seconds"])} for line in out]


def _time_chart(lines: Sequence[Mapping[str, Any]]) -> charts.Drawing:
    import altair as alt

    rows = slowest_steps(lines)
    base = charts.chart_of(rows).encode(y=alt.Y("step:N", sort=None, title=None), x=alt.X("seconds:Q", title=None, axis=None))
    text = base.mark_text(align="left", dx=8).encode(text="label:N")
    about = "Time by step: " + "; ".join(f"{row['step']} {row['label']}" for row in rows)
    return charts.drawing(base.mark_bar(height=14) + text, about, width=charts.WIDE, height=charts.height_of(len(rows), 24))
