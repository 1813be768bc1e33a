"""Print whether a judge can judge, figure by figure, and what to do if it cannot."""

from collections.abc import Mapping
from typing import Any

from rich.markup import escape

from attar.cli.console import console
from attar.cli.render import make_grid
from attar.stages.evaluate.judging.judge_check import TITLES

_SHARES = ("judged", "mass", "right", "disagrees", "first_shown")
_WAYS = {"pointwise": "by rating answers one by one", "pairwise": "by comparing two answers"}


def print_judge_check(result: Mapping[str, Any]) -> None:
    """Print the figures of a judge, and the verdict on each way of judging."""
    table = make_grid("", "way", "figure", "value", "95% interval", "of", right=("value", "95% interval", "of"))
    for line in result["figures"]:
        share = line["figure"] in _SHARES
        value = "-" if line["value"] is None else _number(line["value"], share)
        interval = "" if line["low"] is None else f"{_number(line['low'], share)} to {_number(line['high'], share)}"
        mark = "[red]✗[/]" if line["unable"] else "[green]✓[/]"
        table.add_row(mark, line["way"], TITLES[line["figure"]], value, interval, f"{line['count']:,}")
    console.print(table)
    console.print()
    for way, able in result["able"].items():
        why = "; ".join(text for text in result["reasons"] if text.startswith(way)).replace(f"{way}, ", "")
        verdict = "[green]able[/]" if able else f"[red]unable[/]: {escape(why)}"
        console.print(f"{escape(result['judge'])} {_WAYS[way]}: {verdict}", soft_wrap=True)
    if result["reasons"]:
        console.print(
            "what to do: name a larger judge, or a reward model as rewarder. Recipes refuse to select by this judge, unless "
            "the knob force_judge is true.",
            soft_wrap=True,
        )


def _number(value: float, share: bool) -> str:
    return f"{value:.0%}" if share else f"{value:.2f}"
