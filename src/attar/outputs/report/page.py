"""The report of a run, or of several runs of one recipe: one HTML page that opens offline, light or dark, and prints.

The other modules of this folder make its sections: plain values and charts from tables. This module puts them together. For
several runs the scores are those of all runs; everything else is from the first run.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from attar.core.atomic import replace_text
from attar.core.output_lock import lock_output
from attar.core.table import Table, parts, read, table_schema
from attar.outputs.report import (
    accuracy_curve,
    costs,
    distributions,
    examples,
    figures,
    funnel,
    judge_trust,
    losses,
    pairs,
    prompt_map,
)
from attar.outputs.report.arm_scores import arms, comparable_scores, differences
from attar.outputs.report.charts import Drawing
from attar.outputs.report.formatting import FILTERS
from attar.outputs.report.lineage import build_lineage, finished_steps
from attar.outputs.report.round_costs import costs_by_round
from attar.outputs.report.script import script
from attar.runtime.home import Home, read_card, record_with_marks

_OWN_SECTIONS = (
    "scores",
    "agreement",
    "reliability",
    "coverage",
    "prompts",
    "sft",
    "pairs",
    "audit",
    "ledger",
    "columns",
    "judge-check",
)
"""Results with a section of their own; other results are shown if they are tables of figures."""


class _Charts(dict[str, Drawing]):
    """The charts of a page, by the name of their place."""

    def put(self, name: str, drawing: Drawing | None) -> str | None:
        """Add a chart and return the name of its place; None without a chart."""
        if drawing is None:
            return None
        self[name] = drawing
        return name


def write_report(home: Home, *names: str, out: Path | None = None, waiting: Callable[[str], None] | None = None) -> Path:
    """Write the page of one run or of several compared runs, and return its path.

    If another process is writing it, raise; or call `waiting` with a message, and wait.
    """
    target = out or home.runs / f"{'+'.join(names)}.html"
    runs = [record_with_marks(home, name) for name in names]
    with lock_output(target, waiting):
        replace_text(target, _render(home, runs))
    return target


def is_complete(page: Path) -> bool:
    """True if a page is there with its end: earlier versions left a part of it when the disk was full."""
    return page.is_file() and page.read_bytes().rstrip().endswith(b"</html>")


def _render(home: Home, runs: list[dict[str, Any]]) -> str:
    tables = comparable_scores(runs, [_result(home, each, "scores") for each in runs])
    page_charts = _Charts()
    sections = _score_sections(tables, runs) | _rows_sections(home, runs[0]) | _evaluation_sections(home, runs[0])
    env = Environment(loader=PackageLoader("attar.outputs.report", "."), autoescape=True, undefined=StrictUndefined)
    env.filters |= FILTERS
    env.globals["place"] = page_charts.put
    body = env.get_template("body.html.jinja").render(run=runs[0], runs=runs, differences=differences(runs), **sections)
    return env.get_template("page.html.jinja").render(run=runs[0], runs=runs, body=body, script=script(page_charts))


def _score_sections(tables: list[Table], runs: list[dict[str, Any]]) -> dict[str, Any]:
    all_arms = arms(tables)
    tasks = list(dict.fromkeys(table["count"][0] for table in tables))
    bars = accuracy_curve.bars(accuracy_curve.in_bars(all_arms))
    return {"arms": all_arms, "tasks": tasks, "curve": accuracy_curve.curve(all_arms), "bars": bars}


def _rows_sections(home: Home, run: Mapping[str, Any]) -> dict[str, Any]:
    """The sections on steps and rows: costs, funnel, distributions, map, examples, losses."""
    steps = finished_steps(home, run)
    lineage = build_lineage(steps, run["results"].get("sft"))
    ledger = _result(home, run, "ledger")
    funnel_steps = funnel.funnel_steps(lineage) if lineage else funnel.ledger_steps(ledger) if ledger is not None else []
    return {
        "rounds": costs_by_round(run["steps"], {name: step.card for name, step in steps.items()}),
        "costs": costs.costs(run, steps),
        "funnel_steps": funnel_steps,
        "funnel": funnel.chart(funnel_steps) if funnel_steps else None,
        "distributions": distributions.lineage_distributions(lineage) if lineage else [],
        "plane": prompt_map.plane(lineage, list(steps.values())) if lineage else None,
        "examples": examples.examples(lineage) if lineage else [],
        "losses": losses.losses(steps.values()),
        "remarks": run.get("remarks", []),  # records of earlier versions have none
        "knobs": yaml.safe_dump(run["knobs"], sort_keys=False, allow_unicode=True),
    }


def _evaluation_sections(home: Home, run: Mapping[str, Any]) -> dict[str, Any]:
    """The sections on evaluation: figures, the judge, prompt counts and pairs."""
    others = [name for name in run["results"] if name not in _OWN_SECTIONS and _has_figures(home.steps / run["results"][name])]
    tables = ((name, _result(home, run, name)) for name in others)
    return {
        "figures": [section for name, table in tables if table is not None and (section := figures.figures(name, table))],
        "coverage": judge_trust.coverage(_result(home, run, "coverage")),
        "prompt_counts": judge_trust.prompt_counts(_result(home, run, "prompts")),
        "judges": _judges(home, run),
        "agreement": judge_trust.agreement(_result(home, run, "agreement")),
        "reliability": judge_trust.reliability(_result(home, run, "reliability")),
        "pairs": pairs.pairs(_result(home, run, "audit"), _result(home, run, "pairs")),
    }


def _judges(home: Home, run: Mapping[str, Any]) -> list[judge_trust.CheckedJudge]:
    """The judges that were checked on built-in pairs, or by the two orders of the run's own battles."""
    folders = [folder for folder in run["results"].values() if _has_figures(home.steps / folder)]
    return judge_trust.checked_judges([read(home.steps / folder) for folder in folders])


def _has_figures(folder: Path) -> bool:
    """Whether a finished result is a table of figures; only its schema is read, because other tables may be long."""
    return bool(read_card(folder) and parts(folder)) and figures.are_figures(table_schema(folder))


def _result(home: Home, run: Mapping[str, Any], name: str) -> Table | None:
    """A run's result of this name; None if it has none or the result is not finished."""
    folder = home.steps / run["results"][name] if name in run["results"] else None
    return read(folder) if folder and read_card(folder) else None
