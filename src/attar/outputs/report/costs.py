"""What a run took: by engine and by step, in asks, tokens, time and, where a price is known, money.

Figures are of all tries of the run, so that what was stopped and resumed counts once. A step that another run of the home had
already made took nothing here; it is counted with what it took then, for that is what its rows cost.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from attar.outputs.report import charts
from attar.outputs.report.formatting import format_duration
from attar.outputs.report.funnel import count_drop_reasons
from attar.outputs.report.lineage import Step, numberless

_SHOWN = 10
"""Steps in the drawing; the rest of them are one line."""


@dataclass(slots=True)
class CostTotals:
    """What was asked, recalled, read and written; `cost` is None where an engine has no price."""

    asked: int = 0
    recalled: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    cost: float | None = 0.0
    steps: int = 0

    def add(self, card: Mapping[str, Any], engine: bool) -> None:
        """Count a step's card in."""
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
    """What all took, what each engine took (by role and model), a line a step, and where the time went."""

    whole: CostTotals
    engines: Mapping[tuple[str, str], CostTotals]
    steps: Sequence[Mapping[str, Any]]
    drawing: charts.Drawing | None = field(default=None)


def costs(run: Mapping[str, Any], steps: Mapping[str, Step]) -> Costs:
    """What a run took, from its record and its steps' cards."""
    whole, by_engine, lines = CostTotals(), dict[tuple[str, str], CostTotals](), []
    for made in run["steps"]:
        if (step := steps.get(made["name"])) is None:
            continue
        engine = made.get("engine")
        whole.add(step.card, bool(engine))
        if engine:
            by_engine.setdefault((made.get("role") or "trained here", engine), CostTotals()).add(step.card, True)
        own = CostTotals()
        own.add(step.card, bool(engine))
        lines.append(
            {"name": step.name, "stage": step.stage, "rows": step.rows, "engine": engine, "spent": own, "why": _why(step)}
        )
    return Costs(whole, by_engine, lines, _time(lines) if whole.seconds >= 1 else None)


def _why(step: Step) -> list[tuple[str, int]]:
    """Why rows failed or were dropped in a step, the commonest reasons."""
    return (Counter(step.card.get("errors") or {}) + count_drop_reasons(step)).most_common(4)


def by_time(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The steps that took longest, those of rounds or batches together, and the rest as one."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        found.setdefault(numberless(line["name"]), []).append(line)
    taken = [(same[0]["name"] if len(same) == 1 else f"{name} ({len(same)} steps)", same) for name, same in found.items()]
    ranked = sorted(
        ((name, sum(line["spent"].seconds for line in same), len(same)) for name, same in taken), key=lambda t: -t[1]
    )
    out = [{"step": name, "seconds": seconds} for name, seconds, _ in ranked[:_SHOWN]]
    if rest := ranked[_SHOWN:]:
        out.append(
            {"step": f"{sum(count for *_, count in rest)} other steps", "seconds": sum(seconds for _, seconds, _ in rest)}
        )
    return [{**line, "told": format_duration(line["seconds"])} for line in out]


def _time(lines: Sequence[Mapping[str, Any]]) -> charts.Drawing:
    import altair as alt

    rows = by_time(lines)
    whole = charts.of(rows).encode(y=alt.Y("step:N", sort=None, title=None), x=alt.X("seconds:Q", title=None, axis=None))
    text = whole.mark_text(align="left", dx=8).encode(text="told:N")
    about = "Time by step: " + "; ".join(f"{row['step']} {row['told']}" for row in rows)
    return charts.drawing(whole.mark_bar(height=14) + text, about, width=charts.WIDE, height=charts.height_of(len(rows), 24))
