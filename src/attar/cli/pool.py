"""The commands `score` and `embed`, which add columns to a pool, and the options that all pool commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, QuietOption, app, print_value, report_progress
from attar.cli.console import print_plain

if TYPE_CHECKING:
    from attar.api.pool.output import Target
    from attar.api.pool.run import PoolCommand
    from attar.engines.base import Spec

PoolArgument = Annotated[
    str, typer.Argument(metavar="POOL", help="file, folder, 'data/*.parquet', owner/name:config/split, s3://..., hf://...")
]
OutOption = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="OUT", help=".jsonl, .json, .parquet; no suffix: a folder")
]
ToOption = Annotated[str, typer.Option(help="OUT's format: messages, sharegpt, alpaca, prompt or preference")]
FormOption = Annotated[str | None, typer.Option("--from", help="POOL's format; detected row by row if not given")]
VerdictsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="why each row was kept or dropped: .parquet, .jsonl, .csv")
]
OnOption = Annotated[str, typer.Option(help="the text that rows are compared by: conversation, prompt or response")]
EmbedOption = Annotated[
    str,
    typer.Option(metavar="EMBEDDER", help="letters (wording, not meaning; no model), a model, RUN.yaml:ROLE, or column:NAME"),
]
ByOption = Annotated[str | None, typer.Option(metavar="EXPR", help="how good a row is; its position in POOL if not given")]
UrlOption = Annotated[str | None, typer.Option(help="URL of the server that runs the model")]
FailuresOption = Annotated[
    float, typer.Option("--max-failures", min=0, max=1, help="the share of rows that a model may fail on")
]
OutNeeded = Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help=".jsonl, .json, .parquet; no suffix: a folder")]
KindOption = Annotated[str, typer.Option(help="the kind of engine, if there is no server")]


@app.command()
def score(  # noqa: PLR0913 (a command's options)
    pool: PoolArgument,
    model: Annotated[
        list[str], typer.Option("--with", metavar="MODEL", help="a judge or a scorer; one for all of WHAT, or one for each")
    ],
    out_: OutNeeded,
    what: Annotated[str, typer.Option(metavar="WHAT", help="a rubric, or what a scorer scores; several with commas")],
    question: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="the question a scorer was trained on, if its folder does not have it"),
    ] = None,
    url: UrlOption = None,
    kind: KindOption = "local",
    to: ToOption = "messages",
    form: FormOption = None,
    max_failures: FailuresOption = 0.2,
    home: HomeOption = HOME,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score every row of a pool. Scores become columns; a missing score is null, with a reason."""
    from attar.api.pool.output import Target
    from attar.api.pool.recipes import find_graders, scoring
    from attar.api.pool.run import PoolCommand

    wanted = [word.strip() for word in what.split(",")]
    graders, trained = find_graders(wanted, [_engine_spec(one, url, kind) for one in model], question or [])
    choice = PoolCommand(scoring, pool, form, graders, {"trained": trained}, max_failures=max_failures)
    run_and_print(
        choice,
        home,
        quiet or as_json,
        Target(out_, to),
        lambda summary: print_value({**summary, "notes": []}, as_json, print_pool_summary),
    )


@app.command()
def embed(  # noqa: PLR0913 (a command's options)
    pool: PoolArgument,
    out_: OutNeeded,
    model: Annotated[str, typer.Option("--with", metavar="EMBEDDER", help="letters, a model, or RUN.yaml:ROLE")] = "letters",
    on: OnOption = "conversation",
    url: UrlOption = None,
    kind: KindOption = "local",
    to: ToOption = "messages",
    form: FormOption = None,
    max_failures: FailuresOption = 0.2,
    home: HomeOption = HOME,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Embed every row of a pool, as the column `embedding`."""
    from attar.api.pool.output import Target
    from attar.api.pool.recipes import embedding
    from attar.api.pool.run import PoolCommand
    from attar.core.errors import RecipeError

    if vector_column(model) is not None:
        raise RecipeError(f"--with {model!r}: the pool has these vectors already; name a model, or letters")
    choice = PoolCommand(
        embedding, pool, form, find_embedder(model, url, kind), {"on": check_compared_text(on)}, max_failures=max_failures
    )
    notes = [embedding_note(model)]
    run_and_print(
        choice,
        home,
        quiet or as_json,
        Target(out_, to),
        lambda summary: print_value({**summary, "notes": notes}, as_json, print_pool_summary),
    )


def run_and_print(
    choice: "PoolCommand", home: Path, quiet: bool, target: "Target", show: Callable[[dict[str, Any]], None]
) -> None:
    """Run a pool command and print its summary with `show`."""
    from attar.api.pool.run import PoolProgress, run_pool_command
    from attar.runtime.home import Home

    with report_progress(None if quiet else PoolProgress()) as watch:
        summary = run_pool_command(choice, Home(home), watch, target)
    show(summary)


def check_choice(option: str, value: str, known: tuple[str, ...]) -> str:
    """Return the value if the option accepts it, else raise."""
    from attar.core.errors import RecipeError, did_you_mean

    if value not in known:
        raise RecipeError(f"{option} {value!r}: {did_you_mean(value, known)}")
    return value


def check_compared_text(value: str) -> str:
    """Return the value of --on if it names one of a row's texts, else raise."""
    return check_choice("--on", value, ("conversation", "prompt", "response"))


def find_embedder(embedder: str, url: str | None, kind: str) -> "dict[str, Spec]":
    """The engine that embeds; empty for letters and for vectors that the pool has."""
    from attar.core.errors import RecipeError

    needs_no_model = embedder == "letters" or vector_column(embedder) is not None
    if needs_no_model and url:
        raise RecipeError(f"--url names a server, but {embedder} does not use one: name a model of the server, or drop --url")
    return {} if needs_no_model else {"embedder": _engine_spec(embedder, url, kind)}


def vector_column(embedder: str) -> str | None:
    """NAME of `column:NAME`; None for any other embedder."""
    from attar.core.errors import RecipeError

    prefix, _, name = embedder.partition(":")
    if prefix != "column":
        return None
    if not name:
        raise RecipeError(f"{embedder!r} does not name the column of vectors: write, for example, column:embedding")
    return name


def _engine_spec(model: str, url: str | None, kind: str) -> "Spec":
    """The engine of RUN.yaml:ROLE, of a server's model, or of a model in this process."""
    from attar.cli.engines import engine_of_role
    from attar.engines.base import Spec

    return engine_of_role(model) or (Spec("http", model, {"url": url}) if url else Spec(kind, model))


def collect_notes(by: str | None, tokens: float | None, cost: str | None, embedder: str | None) -> list[str]:
    """Notes that explain the figures of the summary."""
    from attar.api.pool.recipes import TOKENS

    notes = ["no --by: earlier rows of the pool are preferred"] if by is None else []
    notes += [f"tokens counted as {TOKENS}"] if tokens is not None and cost is None else []
    return notes + ([embedding_note(embedder)] if embedder else [])


def embedding_note(embedder: str) -> str:
    """A note about the vectors that rows are compared by."""
    if embedder == "letters":
        return "embedded by letters: similarity is of wording, not of meaning"
    column = vector_column(embedder)
    return f"compared by the vectors in POOL's column {column!r}" if column else f"embedded by {embedder}"


def print_pool_summary(summary: dict[str, Any]) -> None:
    """Print how many rows each step dropped, how many are kept, and the files written."""
    print_plain(f"{summary['rows']:>11,}  rows in {summary['source']}")
    for step, dropped in summary["dropped"].items():
        reason = next(iter(dropped["reasons"])) + (", ..." if len(dropped["reasons"]) > 1 else "")
        groups = f"; {dropped['groups']:,} groups of similar rows" if dropped["groups"] and step != "budget" else ""
        print_plain(f"{-dropped['rows']:>11,}  {step:<9} {reason}{groups}")
    print_plain(f"{summary['kept']:>11,}  kept, {summary['characters']:,} characters, {summary['seconds']} s")
    for note in summary["notes"]:
        print_plain(f"{'':>11}  {note}")
    if refused := summary.get("refused"):
        print_plain(f"{refused['rows']:>11,}  not in OUT: {refused['reason']}; all in {refused['aside']}")
    if summary.get("replaced"):
        print_plain(f"{'':>11}  replaces POOL's own column: {', '.join(summary['replaced'])}")
    for name in ("out", "verdicts"):
        if summary.get(name):
            print_plain(f"{name:>11}  {summary[name]}")
    print_plain(f"{'':>11}  attar why {summary['run']} ID  shows a row's history")
