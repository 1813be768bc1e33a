"""A run, or several runs of one recipe, as one HTML page that opens offline, light or dark, and prints.

Its sections are made by the modules beside this one, each from tables to plain values and drawings; here they are put together.
Of several runs the scores are those of all; everything else is the first one's.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from attar.core.table import Table, parts, read, table_schema
from attar.outputs.report import (
    accuracy_curve,
    costs,
    distributions,
    examples,
    figures,
    funnel,
    judge_trust,
    lineage,
    losses,
    pairs,
    prompt_map,
)
from attar.outputs.report.arm_scores import arms, checked, differences
from attar.outputs.report.charts import Drawing
from attar.outputs.report.formatting import FILTERS
from attar.outputs.report.round_costs import by_round
from attar.outputs.report.script import script
from attar.runtime.home import Home, read_card, record_with_marks

_OWN = ("scores", "agreement", "reliability", "coverage", "prompts", "sft", "pairs", "audit", "ledger", "columns")
"""Results that have a section of their own; of the others those that are figures are shown as such."""


class _Charts(dict[str, Drawing]):
    """The drawings of a page by the name of their place."""

    def put(self, name: str, drawing: Drawing | None) -> str | None:
        """Take a drawing in; the name of its place, if there is one."""
        if drawing is None:
            return None
        self[name] = drawing
        return name


def write_report(home: Home, *names: str, out: Path | None = None) -> Path:
    """Write the page of a run, or of several that are compared; where it lies."""
    runs = [record_with_marks(home, name) for name in names]
    tables = checked(runs, [_result(home, each, "scores") for each in runs])
    place = _Charts()
    told = _scores(tables, runs) | _made(home, runs[0]) | _found(home, runs[0])
    env = Environment(loader=PackageLoader("attar.outputs.report", "."), autoescape=True, undefined=StrictUndefined)
    env.filters |= FILTERS
    env.globals["place"] = place.put
    body = env.get_template("body.html.jinja").render(run=runs[0], runs=runs, differences=differences(runs), **told)
    html = env.get_template("page.html.jinja").render(run=runs[0], runs=runs, body=body, script=script(place))
    target = out or home.runs / f"{'+'.join(names)}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html)
    return target


def _scores(tables: list[Table], runs: list[dict[str, Any]]) -> dict[str, Any]:
    compared = arms(tables)
    tasks = list(dict.fromkeys(table["count"][0] for table in tables))
    drawn = accuracy_curve.curve(compared)
    return {"arms": compared, "tasks": tasks, "curve": drawn, "bars": accuracy_curve.bars(accuracy_curve.in_bars(compared))}


def _made(home: Home, run: Mapping[str, Any]) -> dict[str, Any]:
    """What was made, from the steps and the rows that led to the result."""
    steps = lineage.done(home, run)
    line = lineage.line(steps, run["results"].get("sft"))
    ledger = _result(home, run, "ledger")
    stands = funnel.stands(line) if line else funnel.of_ledger(ledger) if ledger is not None else []
    return {
        "rounds": by_round(run["steps"], {name: step.card for name, step in steps.items()}),
        "costs": costs.costs(run, steps),
        "stands": stands,
        "funnel": funnel.chart(stands) if stands else None,
        "spreads": distributions.spreads(line) if line else [],
        "plane": prompt_map.plane(line, list(steps.values())) if line else None,
        "examples": examples.examples(line) if line else [],
        "losses": losses.losses(steps.values()),
        "knobs": yaml.safe_dump(run["knobs"], sort_keys=False, allow_unicode=True),
    }


def _found(home: Home, run: Mapping[str, Any]) -> dict[str, Any]:
    """What was found out: figures, how far the judge can be trusted, what the pairs are."""
    others = [name for name in run["results"] if name not in _OWN and _are_figures(home.steps / run["results"][name])]
    tables = ((name, _result(home, run, name)) for name in others)
    return {
        "figures": [made for name, table in tables if table is not None and (made := figures.figures(name, table))],
        "coverage": judge_trust.coverage(_result(home, run, "coverage")),
        "drawn": judge_trust.drawn(_result(home, run, "prompts")),
        "agreement": judge_trust.agreement(_result(home, run, "agreement")),
        "reliability": judge_trust.reliability(_result(home, run, "reliability")),
        "pairs": pairs.pairs(_result(home, run, "audit"), _result(home, run, "pairs")),
    }


def _are_figures(folder: Path) -> bool:
    """Whether a result is there and holds figures; others may be long, and are not read."""
    return bool(read_card(folder) and parts(folder)) and figures.are_figures(table_schema(folder))


def _result(home: Home, run: Mapping[str, Any], name: str) -> Table | None:
    """A run's result of this name; None where it has none, or not yet."""
    folder = home.steps / run["results"][name] if name in run["results"] else None
    return read(folder) if folder and read_card(folder) else None
