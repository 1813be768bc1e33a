"""A run as one HTML page that opens offline: what the data was worth, the funnel from drawn to kept, and rows to look at."""

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from jinja2 import Environment, PackageLoader

from attar.home import Home, card, run_record
from attar.table import Table, parts, read


def write_report(home: Home, name: str, out: Path | None = None) -> Path:
    """Write a run's page; where it lies."""
    run = run_record(home, name)
    folders = {step["name"]: home.steps / step["folder"] for step in run["steps"] if card(home.steps / step["folder"])}
    scores, levels = _scores(home.steps / run["results"]["scores"] if "scores" in run["results"] else None)
    page = Environment(loader=PackageLoader("attar.report", "."), autoescape=True).get_template("page.html.jinja")
    html = page.render(
        run=run,
        scores=scores,
        levels=levels,
        steps=[_step(step, folders[step["name"]]) for step in run["steps"] if step["name"] in folders],
        examples=_examples(run, home),
        knobs=yaml.safe_dump(run["knobs"], sort_keys=False),
    )
    target = out or home.runs / f"{name}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html)
    return target


def _scores(folder: Path | None) -> tuple[list[dict[str, Any]], list[str]]:
    if folder is None or not card(folder):
        return [], []
    table = read(folder)
    levels = [level for level in table["level"].unique(maintain_order=True) if level != "all"]
    rows = table.filter(pl.col("level") == "all").to_dicts()
    for row in rows:
        own = dict(table.filter(pl.col("arm") == row["arm"]).select("level", "accuracy").iter_rows())
        row["levels"] = [own[level] for level in levels]
    return rows, levels


def _step(step: dict[str, Any], folder: Path) -> dict[str, Any]:
    found = card(folder) or {}
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


def _examples(run: dict[str, Any], home: Home) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows of the chosen set at its ends and its middle by reward, or just the first ones."""
    folder = home.steps / run["results"]["sft"] if "sft" in run["results"] else None
    if folder is None or not card(folder):
        return []
    table = read(folder)
    if table.is_empty() or not {"prompt", "response"} <= set(table.columns):
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
