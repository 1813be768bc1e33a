"""How a comparison looks on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from attar.core.format import format_dollars, format_seconds

_console = Console(highlight=False, emoji=False)  # RUN:x: is no emoji, nor is what a model wrote
_OUTCOME_NAMES = {"correct": "accuracy", "preference": "win rate", "score": "mean score"}
_MAX_CHARS = 700
"""Characters of a prompt or a response that are shown."""

Line = Mapping[str, Any]


def print_comparison(told: Mapping[str, Any]) -> None:
    """A comparison as plain data: scores, groups, what it took, answers to look at."""
    names = [line["id"] for line in told["sides"]]
    _print_heading(told, names)
    _console.print(_score_grid(told, names))
    for by in dict.fromkeys(line["by"] for line in told["figures"] if line["by"] != "all"):
        for name in names[1:]:
            _console.print()
            _console.print(_group_grid(told, names[0], name, by))
    _console.print()
    _console.print(_cost_grid(told, names))
    _print_notes(told)
    for name in names[1:]:
        _print_examples(told, names[0], name)


def _print_heading(told: Mapping[str, Any], names: Sequence[str]) -> None:
    judge = next((f", judged by {line['judge']}" for line in told["sides"] if line["judge"]), "")
    _console.print(f"[bold]{escape(' against '.join(names))}[/]")
    _console.print(f"{told['questions']:,} questions, compared by {told['outcome']}{escape(judge)}")
    for line in told["sides"]:
        left = [f"{line['only']:,} that not all have" if line["only"] else ""]
        left.append(f"{line['unmarked']:,} without a mark" if line["unmarked"] else "")
        if any(left):
            wrong = ", counted as wrong" if line["unmarked"] and told["outcome"] == "correct" else ""
            _console.print(
                f"  {escape(line['id'])}: {line['questions']:,} questions, {' and '.join(filter(None, left))}{wrong}"
            )
    _console.print()


def _score_grid(told: Mapping[str, Any], names: Sequence[str]) -> Grid:
    grid = _make_grid("side", _OUTCOME_NAMES[told["outcome"]], "over the first", "won", "lost", "p")
    for name in names:
        score, lead = (_find_figure(told, name, "all", "all", figure) for figure in ("score", "lead"))
        own = f"{_format_value(told, score['value'])} ({_format_interval(told, score)})"
        _add_figures(grid, name, own, *_format_lead(told, lead), _format_p(lead["p"]) if lead else "")
    return grid


def _group_grid(told: Mapping[str, Any], first: str, name: str, by: str) -> Grid:
    grid = _make_grid(by, "questions", *(side.replace(":", ":\n") for side in (first, name)), "over the first", "won", "lost")
    for group in dict.fromkeys(line["group"] for line in told["figures"] if line["by"] == by):
        scores = [_format_value(told, _find_figure(told, side, by, group, "score")["value"]) for side in (first, name)]
        lead = _find_figure(told, name, by, group, "lead")
        _add_figures(grid, group, f"{lead['count']:,}", *scores, *_format_lead(told, lead))
    return grid


def _format_lead(told: Mapping[str, Any], lead: Line | None) -> list[str]:
    """How far it is ahead, and how many it won and lost."""
    if lead is None:
        return [""] * 3
    return [
        f"{_format_value(told, lead['value'], '+')} ({_format_interval(told, lead, '+')})",
        f"{lead['wins']:,}",
        f"{lead['losses']:,}",
    ]


def _add_figures(grid: Grid, name: str, *figures: str) -> None:
    grid.add_row(escape(name), *(figure.replace(" ", "\N{NO-BREAK SPACE}") for figure in figures))  # headings fold, figures not


def _cost_grid(told: Mapping[str, Any], names: Sequence[str]) -> Grid:
    """A column for each side: what its model was trained on, what making it and asking it took, what a point cost."""
    grid = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("what it took", no_wrap=True)
    for name in names:
        grid.add_column(escape(name), overflow="fold")
    lengths = [_find_figure(told, name, "all", "all", "length") for name in names]
    _add_row(grid, "characters", [f"{length['value']:,.0f} an answer" if length else "" for length in lengths])
    for what, of in (("trained on", _format_rows), ("tokens of these", _format_tokens)):
        _add_row(grid, what, [of([line for line in told["trained"] if line["side"] == name]) for name in names])
    for what, words in (("making", "making"), ("exam", "exam"), ("run", "whole run")):
        found = [next((line for line in told["taken"] if (line["side"], line["what"]) == (name, what)), None) for name in names]
        _add_row(grid, f"{words}: asked", [_format_requests(line) for line in found])
        _add_row(
            grid,
            f"{words}: tokens",
            [f"{line['tokens_in']:,} in, {line['tokens_out']:,} out" if line else "" for line in found],
        )
        _add_row(grid, f"{words}: cost", [_format_cost(line) for line in found])
        _add_row(grid, f"{words}: time", [format_seconds(line["seconds"]) if line else "" for line in found])
    for figure, words in (("gain", "points over base"), ("cost per point",) * 2, ("tokens per point",) * 2):
        _add_row(grid, words, [_format_worth(told, name, figure) for name in names])
    return grid


def _add_row(grid: Grid, what: str, cells: Sequence[str]) -> None:
    if any(cells):
        grid.add_row(what, *map(escape, cells))


def _format_rows(lines: Sequence[Line]) -> str:
    return ", then ".join(f"{line['rows']:,} {'pairs' if '.prefer.' in line['stage'] else 'rows'}" for line in lines)


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
    return f"{line['asked']:,}" + (f" (and {line['recalled']:,} from the journal)" if line["recalled"] else "")


def _format_cost(line: Line | None) -> str:
    if line is None:
        return ""
    known = "" if line["cost"] is None else format_dollars(line["cost"])
    some = line["unpriced"][:3]
    unknown = f"no price is known for {', '.join(some)}{', ...' if some != line['unpriced'] else ''}" if some else ""
    return "; ".join(filter(None, (known, unknown)))


def _format_worth(told: Mapping[str, Any], name: str, figure: str) -> str:
    line = next((line for line in told["worth"] if (line["side"], line["figure"]) == (name, figure)), None)
    if line is None:
        return ""
    if line["value"] is None:
        return "nothing was gained"
    if figure == "gain":
        return f"{line['value']:+.1f} ({line['low']:+.1f} to {line['high']:+.1f})"
    amount = format_dollars if figure == "cost per point" else "{:,.0f}".format
    most = f"to {amount(line['high'])}" if line["high"] is not None else "or more"
    return f"{amount(line['value'])} ({amount(line['low'])} {most})"


def _print_notes(told: Mapping[str, Any]) -> None:
    _console.print()
    hundredth = "a hundredth of the share" if told["outcome"] == "correct" else "a hundredth of a win"
    point = "one of the score" if told["point"] == 1 else hundredth
    _console.print(
        "[dim]Intervals are of 95% and over questions; what another training would have come to they do not say. "
        f"p is of an exact sign test of won against lost. A point is {point}.[/]"
    )


def _print_examples(told: Mapping[str, Any], first: str, name: str) -> None:
    for ahead in (name, first):
        found = [line for line in told["examples"] if (line["side"], line["ahead"]) == (name, ahead)]
        if found:
            _console.print(f"\n[bold]Where {escape(ahead)} is ahead of {escape(first if ahead == name else name)}[/]")
        for line in found:
            labels = ", ".join(filter(None, (line["category"], line["level"])))
            _console.print(
                f"\n[dim]{escape(str(line['of']))}{f' ({escape(labels)})' if labels else ''}[/]\n{_format_text(line['prompt'])}"
            )
            for who, value, said in ((first, "first_value", "first_response"), (name, "value", "response")):
                _console.print(
                    f"  [bold]{escape(who)}[/] [dim]{_format_mark(told, line[value])}[/]: {_format_text(line[said])}"
                )


def _format_mark(told: Mapping[str, Any], value: float) -> str:
    if told["outcome"] == "correct" and value in (0.0, 1.0):
        return "right" if value else "wrong"
    return f"{value:.3g}"


def _format_text(said: str | None) -> str:
    return "[dim]no answer[/]" if said is None else escape(said if len(said) <= _MAX_CHARS else f"{said[:_MAX_CHARS]} ...")


def _find_figure(told: Mapping[str, Any], *place: str) -> Any:
    keys = ("side", "by", "group", "figure")
    return next((line for line in told["figures"] if tuple(line[key] for key in keys) == place), None)


def _format_value(told: Mapping[str, Any], value: float, sign: str = "") -> str:
    if told["outcome"] == "score":
        return f"{value + 0.0:{sign}.2f}"
    return f"{round(100 * value, 1) + 0.0:{sign}.1f}" + ("" if sign else "%")  # no -0.0


def _format_interval(told: Mapping[str, Any], line: Line, sign: str = "") -> str:
    return " to ".join(_format_value(told, line[end], sign).removesuffix("%") for end in ("low", "high"))


def _format_p(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _make_grid(first: str, *columns: str) -> Grid:
    grid = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(first, overflow="fold")
    for column in columns:
        grid.add_column(escape(column), justify="right")
    return grid
