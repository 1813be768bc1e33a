"""Commands that measure: `attar eval BENCHMARK`. Each reads files, and prints a table of figures with their intervals."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from attar.cli.app import JsonOption, app, print_value

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
    from attar.cli.render_results import print_win_rates
    from attar.stages.evaluate.benchmarks import alpaca_eval, alpaca_files

    battles = alpaca_files.read([*annotations, *(more or [])], against=against)
    found = alpaca_eval.figures(battles, bootstrap=bootstrap, seed=seed, difficulty_of=difficulty_of)
    print_value(found.to_dicts(), as_json, print_win_rates)


@measures.command()
def arena(
    judgments: Annotated[
        list[Path], typer.Option(metavar="FILE", help="judgments in Arena-Hard's format, or a folder of them; may be repeated")
    ],
    answers: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="the models' answers, the baseline's too: style is held even")
    ] = None,
    baseline: Annotated[str | None, typer.Option(metavar="NAME", help="against whom, where the files do not say")] = None,
    bootstrap: BootstrapOption = 1000,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Arena-Hard: the score of each model by category from its judgments, and with style held even."""
    from attar.cli.render_results import print_figures
    from attar.stages.evaluate.benchmarks import arena_files, arena_scores
    from attar.stages.evaluate.benchmarks.style import MARKS

    battles = arena_files.battles(judgments, answers=answers or [], baseline=baseline)
    found = arena_scores.figures(battles, style=MARKS if answers else (), bootstrap=bootstrap, seed=seed)
    print_value(found.to_dicts(), as_json, print_figures)
