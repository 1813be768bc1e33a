"""Print a run's results on the terminal: its scores and figures with 95% intervals, and the paths of its files."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.markup import escape

from attar.cli.console import console, print_plain
from attar.cli.render import make_grid, print_remarks
from attar.core.table import read

_FIGURE_COLUMNS = ("id", "figure", "value", "low", "high", "count", "asked", "order", "date", "published_se", "controlled_by")
_MAX_LINES = 24
Line = Mapping[str, Any]


def print_results(record: dict[str, Any], quiet: bool) -> None:
    """Print a run's scores and figures, and the path of every result."""
    from pathlib import Path

    if "scores" in record["results"]:
        print_scores(read(Path(record["results"]["scores"])))
    for name in (name for name in record["results"] if name.startswith("figures")):
        print_figures(read(Path(record["results"][name])).to_dicts(), name)
    if not quiet:
        console.print()
        print_remarks(record.get("remarks", ()))
    places = record["results"] | {name: record[name] for name in ("dataset", "report") if record.get(name)}
    for name, place in places.items():
        print_plain(f"{name:<20} {place}")


def print_scores(scores: pl.DataFrame) -> None:
    """Print accuracy by arm, with intervals."""
    table = make_grid("arm", "accuracy", "95% interval", *(f"{level}" for level in _levels(scores)), "first arm leads by")
    for arm in scores["arm"].unique(maintain_order=True):
        rows = {row["level"]: row for row in scores.filter(pl.col("arm") == arm).to_dicts()}
        overall = rows["all"]
        lead = f"{100 * overall['lead']:+.1f} ({100 * overall['lead_low']:+.1f} to {100 * overall['lead_high']:+.1f})"
        table.add_row(
            arm,
            f"{100 * overall['accuracy']:.1f}%",
            f"{100 * overall['low']:.1f} to {100 * overall['high']:.1f}",
            *(f"{100 * rows[level]['accuracy']:.1f}%" for level in _levels(scores)),
            "" if arm == scores["arm"][0] else lead,
        )
    console.print(table)


def _levels(scores: pl.DataFrame) -> list[str]:
    return [level for level in scores["level"].unique(maintain_order=True) if level != "all"]


def print_figures(lines: Sequence[Line], title: str = "") -> None:
    """Print figures, one per line, with the columns that tell them varying: model, category, judge and so on."""
    names = [name for name in (lines[0] if lines else ()) if name not in _FIGURE_COLUMNS and _has_texts(lines, name)]
    varying = [name for name in names if len({line[name] for line in lines}) > 1]
    table = make_grid(*varying, "figure", "value", "95% interval", "of", right=("value", "95% interval", "of"))
    for line in lines[:_MAX_LINES]:
        labels = (escape(str(line[name] or "")) for name in varying)
        table.add_row(*labels, line["figure"], format_number(line, 3), format_interval(line, 3), f"{line['count'] or 0:,}")
    console.print(f"\n[bold]{escape(title)}[/]" if title else "")
    console.print(table)
    if len(lines) > _MAX_LINES:
        console.print(f"and {len(lines) - _MAX_LINES} more lines")
    judges = {f"{line['judge']} ({line['order'] or 'one answer at a time'})" for line in lines if line.get("judge")}
    if judges:
        console.print(f"judged by {escape('; '.join(sorted(judges)))}", soft_wrap=True)


def print_win_rates(lines: Sequence[Line]) -> None:
    """Print win rates, one model per line, the best first."""
    by_model: dict[str, dict[str, Line]] = {}
    for line in lines:
        by_model.setdefault(line["id"].rpartition("/")[0], {})[line["figure"]] = line
    ranked = sorted(by_model.items(), key=lambda item: -(item[1]["lc_win_rate"]["value"] or 0))
    numbers = ("LC", "95%", "s.e.", "win rate", "95% ", "discrete", "length")
    table = make_grid("model", *numbers, right=numbers)
    for name, figures in ranked:
        lc, raw = figures["lc_win_rate"], figures["win_rate"]
        error = "-" if lc["published_se"] is None else f"{lc['published_se']:.2f}"
        rates = (
            format_number(lc),
            format_interval(lc),
            error,
            format_number(raw),
            format_interval(raw),
            format_number(figures["discrete_win_rate"]),
        )
        table.add_row(escape(name), *rates, format_number(figures["avg_length"], 0))
    console.print(table)
    counts = sorted({figures["win_rate"]["count"] for _, figures in ranked})
    battles = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    console.print(f"\nPercent of {battles} battles each, with 95% intervals over questions. LC is length-controlled.")
    console.print("s.e. is its standard error as on the leaderboard: too small, because it ignores the fit.")
    for remark in _remarks(ranked):
        console.print(escape(remark), soft_wrap=True)


def format_number(line: Line | None, digits: int = 1) -> str:
    """Format a figure's value."""
    return "-" if line is None or line["value"] is None else f"{line['value']:.{digits}f}"


def format_interval(line: Line | None, digits: int = 1) -> str:
    """Format a figure's interval."""
    return "" if line is None or line["low"] is None else f"{line['low']:.{digits}f} to {line['high']:.{digits}f}"


def _has_texts(lines: Sequence[Line], name: str) -> bool:
    return all(isinstance(line[name], str | None) for line in lines)


def _remarks(ranked: Sequence[tuple[str, Mapping[str, Line]]]) -> list[str]:
    """Remarks on models whose figures need an explanation."""
    remarks = []
    for name, figures in ranked:
        lc, unjudged = figures["lc_win_rate"], figures["unjudged"]["value"]
        if lc["value"] is None:
            remarks.append(f"{name} has too few judged questions for a length-controlled win rate.")
        elif lc["controlled_by"] != "length, difficulty, regulariser":
            by = lc["controlled_by"] or "nothing"
            remarks.append(f"{name} is controlled by {by} alone: its LC is not on the leaderboard's scale.")
        if unjudged:
            remarks.append(f"{name} has {unjudged:.1%} of its battles unjudged; they are not counted.")
    return remarks
