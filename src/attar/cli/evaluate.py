"""Commands that measure: `attar eval BENCHMARK`. Each reads files, and prints a table of figures with their intervals."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from attar.cli.app import JsonOption, app, out

if TYPE_CHECKING:
    from rich.table import Table as Grid

measures = typer.Typer(no_args_is_help=True, help="Measure models: win rates and scores, with their intervals.")
app.add_typer(measures, name="eval")

BootstrapOption = Annotated[int, typer.Option("--bootstrap", min=0, help="draws of whole questions that intervals are made of")]
SeedOption = Annotated[int, typer.Option(help="another seed makes other draws")]


@measures.command()
def alpaca(  # noqa: PLR0913 (a command's options)
    annotations: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="annotations in AlpacaEval's format, or a folder of them; may be repeated"),
    ],
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="further files")] = None,
    against: Annotated[str | None, typer.Option(metavar="NAME", help="only battles with this baseline")] = None,
    difficulty_of: Annotated[
        Literal["row", "question"],
        typer.Option(help="whose difficulty a battle has: of the question at its row, as published, or of its own question"),
    ] = "row",
    bootstrap: BootstrapOption = 1000,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """AlpacaEval 2: win rates, plain, discrete and length-controlled, from its annotations."""
    from attar.evaluate import alpaca_eval, alpaca_files

    battles = alpaca_files.read([*annotations, *(more or [])], against=against)
    found = alpaca_eval.figures(battles, bootstrap=bootstrap, seed=seed, difficulty_of=difficulty_of)
    out(found.to_dicts(), as_json, _show_win_rates)


def grid(*columns: str, right: tuple[str, ...] = ()) -> "Grid":
    """A table for figures; columns named in `right` hold numbers, which are never broken."""
    from rich.table import Table as Grid

    made = Grid(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", no_wrap=column in right, overflow="fold")
    return made


def number(line: dict[str, Any] | None, digits: int = 1) -> str:
    """A figure alone."""
    return "-" if line is None or line["value"] is None else f"{line['value']:.{digits}f}"


def interval(line: dict[str, Any] | None, digits: int = 1) -> str:
    """The interval of a figure."""
    return "" if line is None or line["low"] is None else f"{line['low']:.{digits}f} to {line['high']:.{digits}f}"


def _show_win_rates(lines: list[dict[str, Any]]) -> None:
    """A line for each model, the best first."""
    from rich.console import Console
    from rich.markup import escape

    by_model: dict[str, dict[str, dict[str, Any]]] = {}
    for line in lines:
        by_model.setdefault(line["id"].rpartition("/")[0], {})[line["figure"]] = line
    told = sorted(by_model.items(), key=lambda item: -(item[1]["lc_win_rate"]["value"] or 0))
    numbers = ("LC", "95%", "s.e.", "win rate", "95% ", "discrete", "length")
    table = grid("model", *numbers, right=numbers)
    for name, found in told:
        lc, raw = found["lc_win_rate"], found["win_rate"]
        error = "-" if lc["published_se"] is None else f"{lc['published_se']:.2f}"
        rates = (number(lc), interval(lc), error, number(raw), interval(raw), number(found["discrete_win_rate"]))
        table.add_row(escape(name), *rates, number(found["avg_length"], 0))
    console = Console(highlight=False)
    console.print(table)
    counts = sorted({found["win_rate"]["count"] for _, found in told})
    battles = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    console.print(f"\nPercent of {battles} battles each, with 95% intervals over questions. LC is length-controlled.")
    console.print("s.e. is its standard error as the leaderboard has it: too small, as if nothing had been fitted.")
    for remark in _remarks(told):
        console.print(escape(remark), soft_wrap=True)


def _remarks(told: list[tuple[str, dict[str, dict[str, Any]]]]) -> list[str]:
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
