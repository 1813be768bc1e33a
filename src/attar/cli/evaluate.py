"""The commands `attar eval BENCHMARK`: each reads files and prints a table of figures with intervals."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from attar.cli.app import JsonOption, app, print_value

measures = typer.Typer(no_args_is_help=True, help="Measure models: win rates and scores, with their intervals.")
app.add_typer(measures, name="eval")

BootstrapOption = Annotated[int, typer.Option("--bootstrap", min=0, help="bootstrap resamples of questions for the intervals")]
SeedOption = Annotated[int, typer.Option(help="the seed of the bootstrap")]


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
        typer.Option(help="the difficulty of a battle: that of the question in its row, as published, or of its own question"),
    ] = "row",
    bootstrap: BootstrapOption = 1000,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """AlpacaEval 2: win rates, plain, discrete and length-controlled, from its annotations."""
    from attar.cli.render_results import print_win_rates
    from attar.stages.evaluate.benchmarks import alpaca_eval, alpaca_files

    battles = alpaca_files.read([*annotations, *(more or [])], against=against)
    figures = alpaca_eval.figures(battles, bootstrap=bootstrap, seed=seed, difficulty_of=difficulty_of)
    print_value(figures.to_dicts(), as_json, print_win_rates)


@measures.command()
def arena(
    judgments: Annotated[
        list[Path], typer.Option(metavar="FILE", help="judgments in Arena-Hard's format, or a folder of them; may be repeated")
    ],
    answers: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="the answers of the models and the baseline, for style control")
    ] = None,
    baseline: Annotated[str | None, typer.Option(metavar="NAME", help="the baseline, if the files do not name it")] = None,
    bootstrap: BootstrapOption = 1000,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Arena-Hard: the score of each model by category from its judgments, with style control if answers are given."""
    from attar.cli.render_results import print_figures
    from attar.stages.evaluate.benchmarks import arena_files, arena_scores
    from attar.stages.evaluate.benchmarks.style import MARKS

    battles = arena_files.battles(judgments, answers=answers or [], baseline=baseline)
    figures = arena_scores.figures(battles, style=MARKS if answers else (), bootstrap=bootstrap, seed=seed)
    print_value(figures.to_dicts(), as_json, print_figures)
