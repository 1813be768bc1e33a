"""Commands that add columns to a pool of chat data: score, embed; and what all commands on a pool share."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, QuietOption, app, print_value, report_progress

if TYPE_CHECKING:
    from attar.api.pool.output import Target
    from attar.api.pool.run import PoolCommand
    from attar.engines.base import Spec

PoolArgument = Annotated[str, typer.Argument(metavar="POOL", help="chat data of any format: a file, a folder, owner/name")]
OutOption = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="OUT", help=".jsonl, .json, .parquet; no suffix: a folder")
]
ToOption = Annotated[str, typer.Option(help="OUT's format: messages, sharegpt, alpaca, prompt or preference")]
FormOption = Annotated[str | None, typer.Option("--from", help="POOL's format; detected row by row if not given")]
VerdictsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="why each row was kept or dropped: .parquet, .jsonl, .csv")
]
OnOption = Annotated[str, typer.Option(help="what rows are compared by: conversation, prompt or response")]
EmbedOption = Annotated[
    str,
    typer.Option(metavar="EMBEDDER", help="letters (wording, not meaning; no model), a model, RUN.yaml:ROLE, or column:NAME"),
]
ByOption = Annotated[str | None, typer.Option(metavar="EXPR", help="how good a row is; its own order in POOL if not given")]
UrlOption = Annotated[str | None, typer.Option(help="of the server whose model it is")]
FailuresOption = Annotated[
    float, typer.Option("--max-failures", min=0, max=1, help="the share of rows that a model may fail on")
]
OutNeeded = Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help=".jsonl, .json, .parquet; no suffix: a folder")]
KindOption = Annotated[str, typer.Option(help="the kind of engine, where it is no server")]


@app.command()
def score(  # noqa: PLR0913 (a command's options)
    pool: PoolArgument,
    model: Annotated[list[str], typer.Option("--with", metavar="MODEL", help="a judge or a scorer; or one for each of WHAT")],
    out_: OutNeeded,
    what: Annotated[str, typer.Option(metavar="WHAT", help="a rubric, or what a scorer is for; several with commas")],
    question: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="what a scorer is asked, where its folder does not say")
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
    """Score every row of a pool; scores become columns, null with a reason where there is none."""
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
        lambda told: print_value({**told, "notes": []}, as_json, print_pool_summary),
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
    """Give every row of a pool a vector, as the column `embedding`."""
    from attar.api.pool.output import Target
    from attar.api.pool.recipes import embedding
    from attar.api.pool.run import PoolCommand
    from attar.core.errors import RecipeError

    if vector_column(model) is not None:
        raise RecipeError(f"--with {model!r}: those vectors are there already; name a model, or letters")
    choice = PoolCommand(
        embedding, pool, form, find_embedder(model, url, kind), {"on": check_compared_text(on)}, max_failures=max_failures
    )
    notes = [embedding_note(model)]
    run_and_print(
        choice,
        home,
        quiet or as_json,
        Target(out_, to),
        lambda told: print_value({**told, "notes": notes}, as_json, print_pool_summary),
    )


def run_and_print(
    choice: "PoolCommand", home: Path, quiet: bool, target: "Target", tell: Callable[[dict[str, Any]], None]
) -> None:
    """Carry a choice out and tell what came of it."""
    from attar.api.pool.run import PoolProgress, run_pool_command
    from attar.runtime.home import Home

    with report_progress(None if quiet else PoolProgress()) as watch:
        told = run_pool_command(choice, Home(home), watch, target)
    tell(told)


def check_choice(option: str, given: str, known: tuple[str, ...]) -> str:
    """A word, if the option knows it."""
    from attar.core.errors import RecipeError, did_you_mean

    if given not in known:
        raise RecipeError(f"{option} {given!r}: {did_you_mean(given, known)}")
    return given


def check_compared_text(given: str) -> str:
    """What --on says."""
    return check_choice("--on", given, ("conversation", "prompt", "response"))


def find_embedder(given: str, url: str | None, kind: str) -> "dict[str, Spec]":
    """The engine that embeds; none for letters, or where the pool has the vectors."""
    from attar.core.errors import RecipeError

    bare = given == "letters" or vector_column(given) is not None
    if bare and url:
        raise RecipeError(f"--url is a server's, and {given} needs none: name its model too")
    return {} if bare else {"embedder": _engine_spec(given, url, kind)}


def vector_column(given: str) -> str | None:
    """The column of the pool that `column:NAME` names."""
    from attar.core.errors import RecipeError

    what, _, name = given.partition(":")
    if what != "column":
        return None
    if not name:
        raise RecipeError(f"{given!r} does not say which column has the vectors: name one, such as column:embedding")
    return name


def _engine_spec(given: str, url: str | None, kind: str) -> "Spec":
    """The engine of RUN.yaml:ROLE, of a server's model, or of a model in this process."""
    from attar.cli.engines import engine_of_role
    from attar.engines.base import Spec

    return engine_of_role(given) or (Spec("http", given, {"url": url}) if url else Spec(kind, given))


def collect_notes(by: str | None, tokens: float | None, cost: str | None, embedder: str | None) -> list[str]:
    """What a reader of the figures must know."""
    from attar.api.pool.recipes import TOKENS

    notes = ["no --by: the pool's own order counts, the earlier the better"] if by is None else []
    notes += [f"tokens counted as {TOKENS}"] if tokens is not None and cost is None else []
    return notes + ([embedding_note(embedder)] if embedder else [])


def embedding_note(embedder: str) -> str:
    """What the vectors say, and whose they are."""
    if embedder == "letters":
        return "embedded by letters: alike is alike in wording, not in meaning"
    column = vector_column(embedder)
    return f"alike by the vectors in POOL's column {column!r}" if column else f"embedded by {embedder}"


def print_pool_summary(told: dict[str, Any]) -> None:
    """What became of a pool."""
    say = sys.stdout.write
    say(f"{told['rows']:>11,}  rows in {told['source']}\n")
    for step, dropped in told["dropped"].items():
        reason = next(iter(dropped["reasons"])) + (", ..." if len(dropped["reasons"]) > 1 else "")
        groups = f"; {dropped['groups']:,} groups of the like" if dropped["groups"] and step != "budget" else ""
        say(f"{-dropped['rows']:>11,}  {step:<9} {reason}{groups}\n")
    say(f"{told['kept']:>11,}  kept, {told['characters']:,} characters, {told['seconds']} s\n")
    for note in told["notes"]:
        say(f"{'':>11}  {note}\n")
    if refused := told.get("refused"):
        say(f"{refused['rows']:>11,}  not in OUT: {refused['reason']}; all in {refused['aside']}\n")
    if told.get("replaced"):
        say(f"{'':>11}  in place of POOL's own: {', '.join(told['replaced'])}\n")
    for name in ("out", "verdicts"):
        if told.get(name):
            say(f"{name:>11}  {told[name]}\n")
    say(f"{'':>11}  attar why {told['run']} ID  tells a row's story\n")
