"""A run, or several runs of one recipe, as one HTML page that opens offline.

It shows what the data was worth, round by round where there are rounds, how far the judge can be trusted, the funnel from drawn
to kept, and rows to look at. Of several runs the scores are those of all; everything else is the first one's.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from jinja2 import Environment, PackageLoader

from attar.home import Home, card, run_record
from attar.report import curve, trust
from attar.report.arms import arms, checked, differences
from attar.report.resources import by_round
from attar.report.words import FILTERS
from attar.table import Table, parts, read


def write_report(home: Home, *names: str, out: Path | None = None) -> Path:
    """Write the page of a run, or of several that are compared; where it lies."""
    runs = [run_record(home, name) for name in names]
    run = runs[0]
    tables = checked(runs, [_result(home, each, "scores") for each in runs])
    compared = arms(tables)
    folders = {step["name"]: home.steps / step["folder"] for step in run["steps"]}
    cards = {name: found for name, folder in folders.items() if (found := card(folder))}
    page = Environment(loader=PackageLoader("attar.report", "."), autoescape=True)
    page.filters |= FILTERS
    html = page.get_template("page.html.jinja").render(
        run=run,
        runs=runs,
        differences=differences(runs),
        arms=compared,
        tasks=list(dict.fromkeys(table["count"][0] for table in tables)),
        bars=curve.in_bars(compared),
        curve=curve.curve(compared),
        frame=curve.FRAME,
        rounds=by_round(run["steps"], cards),
        coverage=trust.coverage(_result(home, run, "coverage")),
        drawn=trust.drawn(_result(home, run, "prompts")),
        agreement=trust.agreement(_result(home, run, "agreement")),
        reliability=trust.reliability(_result(home, run, "reliability")),
        steps=[_step(step, cards[step["name"]], folders[step["name"]]) for step in run["steps"] if step["name"] in cards],
        examples=_examples(_result(home, run, "sft")),
        knobs=yaml.safe_dump(run["knobs"], sort_keys=False),
    )
    target = out or home.runs / f"{'+'.join(names)}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html)
    return target


def _result(home: Home, run: dict[str, Any], name: str) -> Table | None:
    """A run's result of this name; None where it has none, or not yet."""
    folder = home.steps / run["results"][name] if name in run["results"] else None
    return read(folder) if folder and card(folder) else None


def _step(step: dict[str, Any], found: dict[str, Any], folder: Path) -> dict[str, Any]:
    reasons: Counter[str] = Counter(found["errors"])
    dropped = _dropped(folder)
    return {**found, "name": step["name"], "stage": step["stage"], "reasons": (reasons + dropped).most_common(4)}


def _dropped(folder: Path) -> Counter[str]:
    """Reasons of a verdict table, those that differ only by a rank taken together."""
    if "kept" not in pl.read_parquet_schema(parts(folder)[0]):
        return Counter()
    reasons = pl.scan_parquet(parts(folder)).filter(~pl.col("kept")).select(pl.col("reason").str.replace(r"^rank \d+", "rank"))
    counted = reasons.group_by("reason").len().collect()
    return Counter(dict(counted.iter_rows()))


def _examples(table: Table | None) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows of the chosen set at its ends and its middle by reward, or just the first ones."""
    if table is None or table.is_empty() or not {"prompt", "response"} <= set(table.columns):
        return []
    if "reward" not in table.columns:
        return [("Chosen rows", _rows(table.head(5).with_columns(reward=None)))]
    ranked = table.sort(["reward", "id"], descending=[True, False], nulls_last=True)
    middle = max(0, len(ranked) // 2 - 2)
    return [
        ("Chosen: the highest rewards", _rows(ranked.head(4))),
        ("Chosen: the middle", _rows(ranked[middle : middle + 4])),
        ("Chosen: the lowest rewards", _rows(ranked.tail(4))),
    ]


def _rows(table: Table) -> list[dict[str, Any]]:
    return table.select("id", "prompt", "response", "reward").to_dicts()
