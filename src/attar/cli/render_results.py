"""How a run's results look on a terminal: where they lie, its scores, and its figures with their 95% intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.console import Console
from rich.markup import escape

from attar.cli.render import make_grid
from attar.core.table import read

_console = Console(highlight=False, emoji=False)
_FIGURE_COLUMNS = ("id", "figure", "value", "low", "high", "count", "asked", "order", "date", "published_se", "controlled_by")
_MAX_LINES = 24
Line = Mapping[str, Any]


def print_results(record: dict[str, Any], quiet: bool) -> None:
    """What a run made: every result's place, and its scores."""
    from pathlib import Path

    if "scores" in record["results"]:
        print_scores(read(Path(record["results"]["scores"])))
    for name in (name for name in record["results"] if name.startswith("figures")):
        print_figures(read(Path(record["results"][name])).to_dicts(), name)
    if not quiet:
        _console.print()
    places = record["results"] | {name: record[name] for name in ("dataset", "report") if record.get(name)}
    for name, place in places.items():
        _console.print(f"{name:<20} {escape(place)}", soft_wrap=True)


def print_scores(scores: pl.DataFrame) -> None:
    """Accuracy by arm, with intervals."""
    table = make_grid("arm", "accuracy", "95% interval", *(f"{level}" for level in _levels(scores)), "first arm leads by")
    for arm in scores["arm"].unique(maintain_order=True):
        rows = {row["level"]: row for row in scores.filter(pl.col("arm") == arm).to_dicts()}
        whole = rows["all"]
        lead = f"{100 * whole['lead']:+.1f} ({100 * whole['lead_low']:+.1f} to {100 * whole['lead_high']:+.1f})"
        table.add_row(
            arm,
            f"{100 * whole['accuracy']:.1f}%",
            f"{100 * whole['low']:.1f} to {100 * whole['high']:.1f}",
            *(f"{100 * rows[level]['accuracy']:.1f}%" for level in _levels(scores)),
            "" if arm == scores["arm"][0] else lead,
        )
    _console.print(table)


def _levels(scores: pl.DataFrame) -> list[str]:
    return [level for level in scores["level"].unique(maintain_order=True) if level != "all"]


def print_figures(lines: Sequence[Line], title: str = "") -> None:
    """A line for each figure, with what names it: model, category, judge and so on, where they are not all the same."""
    names = [name for name in (lines[0] if lines else ()) if name not in _FIGURE_COLUMNS and _holds_texts(lines, name)]
    apart = [name for name in names if len({line[name] for line in lines}) > 1]
    table = make_grid(*apart, "figure", "value", "95% interval", "of", right=("value", "95% interval", "of"))
    for line in lines[:_MAX_LINES]:
        said = (escape(str(line[name] or "")) for name in apart)
        table.add_row(*said, line["figure"], format_number(line, 3), format_interval(line, 3), f"{line['count'] or 0:,}")
    _console.print(f"\n[bold]{escape(title)}[/]" if title else "")
    _console.print(table)
    if len(lines) > _MAX_LINES:
        _console.print(f"and {len(lines) - _MAX_LINES} more lines")
    judges = {f"{line['judge']} ({line['order'] or 'one answer at a time'})" for line in lines if line.get("judge")}
    if judges:
        _console.print(f"judged by {escape('; '.join(sorted(judges)))}", soft_wrap=True)


def print_win_rates(lines: Sequence[Line]) -> None:
    """A line for each model, the best first."""
    by_model: dict[str, dict[str, Line]] = {}
    for line in lines:
        by_model.setdefault(line["id"].rpartition("/")[0], {})[line["figure"]] = line
    told = sorted(by_model.items(), key=lambda item: -(item[1]["lc_win_rate"]["value"] or 0))
    numbers = ("LC", "95%", "s.e.", "win rate", "95% ", "discrete", "length")
    table = make_grid("model", *numbers, right=numbers)
    for name, found in told:
        lc, raw = found["lc_win_rate"], found["win_rate"]
        error = "-" if lc["published_se"] is None else f"{lc['published_se']:.2f}"
        rates = (
            format_number(lc),
            format_interval(lc),
            error,
            format_number(raw),
            format_interval(raw),
            format_number(found["discrete_win_rate"]),
        )
        table.add_row(escape(name), *rates, format_number(found["avg_length"], 0))
    _console.print(table)
    counts = sorted({found["win_rate"]["count"] for _, found in told})
    battles = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    _console.print(f"\nPercent of {battles} battles each, with 95% intervals over questions. LC is length-controlled.")
    _console.print("s.e. is its standard error as the leaderboard has it: too small, as if nothing had been fitted.")
    for remark in _remarks(told):
        _console.print(escape(remark), soft_wrap=True)


def format_number(line: Line | None, digits: int = 1) -> str:
    """A figure alone."""
    return "-" if line is None or line["value"] is None else f"{line['value']:.{digits}f}"


def format_interval(line: Line | None, digits: int = 1) -> str:
    """The interval of a figure."""
    return "" if line is None or line["low"] is None else f"{line['low']:.{digits}f} to {line['high']:.{digits}f}"


def _holds_texts(lines: Sequence[Line], name: str) -> bool:
    return all(isinstance(line[name], str | None) for line in lines)


def _remarks(told: Sequence[tuple[str, Mapping[str, Line]]]) -> list[str]:
    """What a reader must know of some of the lines."""
    remarks = []
    for name, found in told:
        lc, unjudged = found["lc_win_rate"], found["unjudged"]["value"]
        if lc["value"] is None:
            remarks.append(f"{name} has too few judged questions for a length-controlled win rate.")
        elif lc["controlled_by"] != "length, difficulty, regulariser":
            by = lc["controlled_by"] or "nothing"
            remarks.append(f"{name} is controlled by {by} alone: its LC is not on the leaderboard's scale.")
        if unjudged:
            remarks.append(f"{name} has {unjudged:.1%} of its battles unjudged; they count for nothing.")
    return remarks
