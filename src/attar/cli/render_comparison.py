"""Print a comparison of runs on the terminal: scores, leads by group, costs and example answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table as Grid

from attar.cli.console import console
from attar.core.format import format_dollars, format_seconds

_OUTCOME_NAMES = {"correct": "accuracy", "preference": "win rate", "score": "mean score"}
_MAX_CHARS = 700
"""Longer prompts and responses are truncated to this many characters."""

Line = Mapping[str, Any]


def print_comparison(comparison: Mapping[str, Any]) -> None:
    """Print a comparison given as plain data: scores, groups, costs, example answers."""
    names = [line["id"] for line in comparison["sides"]]
    _print_heading(comparison, names)
    console.print(_score_grid(comparison, names))
    for by in dict.fromkeys(line["by"] for line in comparison["figures"] if line["by"] != "all"):
        for name in names[1:]:
            console.print()
            console.print(_group_grid(comparison, names[0], name, by))
    console.print()
    console.print(_cost_grid(comparison, names))
    _print_notes(comparison)
    for name in names[1:]:
        _print_examples(comparison, names[0], name)


def _print_heading(comparison: Mapping[str, Any], names: Sequence[str]) -> None:
    judge = next((f", judged by {line['judge']}" for line in comparison["sides"] if line["judge"]), "")
    console.print(f"[bold]{escape(' against '.join(names))}[/]")
    console.print(f"{comparison['questions']:,} questions, compared by {comparison['outcome']}{escape(judge)}")
    for line in comparison["sides"]:
        notes = [f"{line['only']:,} that not all sides answered" if line["only"] else ""]
        notes.append(f"{line['unmarked']:,} without a mark" if line["unmarked"] else "")
        if any(notes):
            wrong = ", counted as wrong" if line["unmarked"] and comparison["outcome"] == "correct" else ""
            console.print(
                f"  {escape(line['id'])}: {line['questions']:,} questions, {' and '.join(filter(None, notes))}{wrong}"
            )
    console.print()


def _score_grid(comparison: Mapping[str, Any], names: Sequence[str]) -> Grid:
    grid = _make_grid("side", _OUTCOME_NAMES[comparison["outcome"]], "lead over the first", "won", "lost", "p")
    for name in names:
        score, lead = (_find_figure(comparison, name, "all", "all", figure) for figure in ("score", "lead"))
        value = f"{_format_value(comparison, score['value'])} ({_format_interval(comparison, score)})"
        _add_figures(grid, name, value, *_format_lead(comparison, lead), _format_p(lead["p"]) if lead else "")
    return grid


def _group_grid(comparison: Mapping[str, Any], first: str, name: str, by: str) -> Grid:
    grid = _make_grid(
        by, "questions", *(side.replace(":", ":\n") for side in (first, name)), "lead over the first", "won", "lost"
    )
    for group in dict.fromkeys(line["group"] for line in comparison["figures"] if line["by"] == by):
        scores = [
            _format_value(comparison, _find_figure(comparison, side, by, group, "score")["value"]) for side in (first, name)
        ]
        lead = _find_figure(comparison, name, by, group, "lead")
        _add_figures(grid, group, f"{lead['count']:,}", *scores, *_format_lead(comparison, lead))
    return grid


def _format_lead(comparison: Mapping[str, Any], lead: Line | None) -> list[str]:
    """The lead with its interval, the wins and the losses; blank for the first side."""
    if lead is None:
        return [""] * 3
    return [
        f"{_format_value(comparison, lead['value'], '+')} ({_format_interval(comparison, lead, '+')})",
        f"{lead['wins']:,}",
        f"{lead['losses']:,}",
    ]


def _add_figures(grid: Grid, name: str, *figures: str) -> None:
    grid.add_row(escape(name), *(figure.replace(" ", "\N{NO-BREAK SPACE}") for figure in figures))  # only headings may wrap


def _cost_grid(comparison: Mapping[str, Any], names: Sequence[str]) -> Grid:
    """A column for each side: its training data, the cost of training and of the exam, the cost per point."""
    grid = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("what it took", no_wrap=True)
    for name in names:
        grid.add_column(escape(name), overflow="fold")
    lengths = [_find_figure(comparison, name, "all", "all", "length") for name in names]
    _add_row(grid, "characters", [f"{length['value']:,.0f} an answer" if length else "" for length in lengths])
    for what, format_lines in (("trained on", _format_rows), ("their tokens", _format_tokens)):
        _add_row(grid, what, [format_lines([line for line in comparison["trained"] if line["side"] == name]) for name in names])
    for what, words in (("making", "training"), ("exam", "exam"), ("run", "whole run")):
        lines = [
            next((line for line in comparison["taken"] if (line["side"], line["what"]) == (name, what)), None) for name in names
        ]
        _add_row(grid, f"{words}: requests", [_format_requests(line) for line in lines])
        _add_row(
            grid,
            f"{words}: tokens",
            [f"{line['tokens_in']:,} in, {line['tokens_out']:,} out" if line else "" for line in lines],
        )
        _add_row(grid, f"{words}: cost", [_format_cost(line) for line in lines])
        _add_row(grid, f"{words}: time", [format_seconds(line["seconds"]) if line else "" for line in lines])
    for figure, words in (("gain", "points over base"), ("cost per point",) * 2, ("tokens per point",) * 2):
        _add_row(grid, words, [_format_worth(comparison, name, figure) for name in names])
    return grid


def _add_row(grid: Grid, what: str, cells: Sequence[str]) -> None:
    if any(cells):
        grid.add_row(what, *map(escape, cells))


def _format_rows(lines: Sequence[Line]) -> str:
    return ", then ".join(f"{line['rows']:,} {'pairs' if line['trains'] == 'pairs' else 'rows'}" for line in lines)


def _format_tokens(lines: Sequence[Line]) -> str:
    known = lines and all(line["tokens"] is not None for line in lines)
    return (
        ", then ".join(f"{'about ' if line['counted'] < line['rows'] else ''}{line['tokens']:,}" for line in lines)
        if known
        else ""
    )


def _format_requests(line: Line | None) -> str:
    if line is None or not line["asked"] + line["recalled"]:
        return ""
    return f"{line['asked']:,}" + (f" (plus {line['recalled']:,} from the journal)" if line["recalled"] else "")


def _format_cost(line: Line | None) -> str:
    if line is None:
        return ""
    known = "" if line["cost"] is None else format_dollars(line["cost"])
    unpriced = line["unpriced"][:3]
    unknown = (
        f"no price is known for {', '.join(unpriced)}{', ...' if unpriced != line['unpriced'] else ''}" if unpriced else ""
    )
    return "; ".join(filter(None, (known, unknown)))


def _format_worth(comparison: Mapping[str, Any], name: str, figure: str) -> str:
    line = next((line for line in comparison["worth"] if (line["side"], line["figure"]) == (name, figure)), None)
    if line is None:
        return ""
    if line["value"] is None:
        return "no gain"
    if figure == "gain":
        return f"{line['value']:+.1f} ({line['low']:+.1f} to {line['high']:+.1f})"
    format_amount = format_dollars if figure == "cost per point" else "{:,.0f}".format
    most = f"to {format_amount(line['high'])}" if line["high"] is not None else "or more"
    return f"{format_amount(line['value'])} ({format_amount(line['low'])} {most})"


def _print_notes(comparison: Mapping[str, Any]) -> None:
    console.print()
    hundredth = "1% of accuracy" if comparison["outcome"] == "correct" else "1% of the win rate"
    point = "1 on the score's scale" if comparison["point"] == 1 else hundredth
    console.print(
        "[dim]Intervals are 95% confidence intervals over questions; they do not cover the variance between trainings. "
        f"p is the exact sign test of wins against losses. A point is {point}.[/]"
    )


def _print_examples(comparison: Mapping[str, Any], first: str, name: str) -> None:
    for ahead in (name, first):
        lines = [line for line in comparison["examples"] if (line["side"], line["ahead"]) == (name, ahead)]
        if lines:
            console.print(f"\n[bold]Where {escape(ahead)} is ahead of {escape(first if ahead == name else name)}[/]")
        for line in lines:
            labels = ", ".join(filter(None, (line["category"], line["level"])))
            console.print(
                f"\n[dim]{escape(str(line['of']))}{f' ({escape(labels)})' if labels else ''}[/]\n{_format_text(line['prompt'])}"
            )
            for side, value, response in ((first, "first_value", "first_response"), (name, "value", "response")):
                console.print(
                    f"  [bold]{escape(side)}[/] [dim]{_format_mark(comparison, line[value])}[/]: {_format_text(line[response])}"
                )


def _format_mark(comparison: Mapping[str, Any], value: float) -> str:
    if comparison["outcome"] == "correct" and value in (0.0, 1.0):
        return "right" if value else "wrong"
    return f"{value:.3g}"


def _format_text(text: str | None) -> str:
    return "[dim]no answer[/]" if text is None else escape(text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]} ...")


def _find_figure(comparison: Mapping[str, Any], *place: str) -> Any:
    keys = ("side", "by", "group", "figure")
    return next((line for line in comparison["figures"] if tuple(line[key] for key in keys) == place), None)


def _format_value(comparison: Mapping[str, Any], value: float, sign: str = "") -> str:
    if comparison["outcome"] == "score":
        return f"{value + 0.0:{sign}.2f}"
    return f"{round(100 * value, 1) + 0.0:{sign}.1f}" + ("" if sign else "%")  # no -0.0


def _format_interval(comparison: Mapping[str, Any], line: Line, sign: str = "") -> str:
    return " to ".join(_format_value(comparison, line[end], sign).removesuffix("%") for end in ("low", "high"))


def _format_p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _make_grid(first: str, *columns: str) -> Grid:
    grid = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(first, overflow="fold")
    for column in columns:
        grid.add_column(escape(column), justify="right")
    return grid
