"""Commands that add columns to a pool of chat data: score, embed; and what all commands on a pool share."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, QuietOption, app, out, watched

if TYPE_CHECKING:
    from attar.api.pool.output import Target
    from attar.api.pool.run import Choice
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
    from attar.api.pool.recipes import graders_of, scoring
    from attar.api.pool.run import Choice

    wanted = [word.strip() for word in what.split(",")]
    graders, trained = graders_of(wanted, [_spec(one, url, kind) for one in model], question or [])
    choice = Choice(scoring, pool, form, graders, {"trained": trained}, max_failures=max_failures)
    go(choice, home, quiet or as_json, Target(out_, to), lambda told: out({**told, "notes": []}, as_json, show))


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
    from attar.api.pool.run import Choice
    from attar.core.errors import RecipeError

    if own_vectors(model) is not None:
        raise RecipeError(f"--with {model!r}: those vectors are there already; name a model, or letters")
    choice = Choice(embedding, pool, form, embedder_of(model, url, kind), {"on": compared_by(on)}, max_failures=max_failures)
    notes = [embedded_by(model)]
    go(choice, home, quiet or as_json, Target(out_, to), lambda told: out({**told, "notes": notes}, as_json, show))


def go(choice: "Choice", home: Path, quiet: bool, target: "Target", tell: Callable[[dict[str, Any]], None]) -> None:
    """Carry a choice out and tell what came of it."""
    from attar.api.pool.run import Brief, carry_out
    from attar.runtime.home import Home

    with watched(None if quiet else Brief()) as watch:
        told = carry_out(choice, Home(home), watch, target)
    tell(told)


def one_of(option: str, given: str, known: tuple[str, ...]) -> str:
    """A word, if the option knows it."""
    from attar.core.errors import RecipeError, did_you_mean

    if given not in known:
        raise RecipeError(f"{option} {given!r}: {did_you_mean(given, known)}")
    return given


def compared_by(given: str) -> str:
    """What --on says."""
    return one_of("--on", given, ("conversation", "prompt", "response"))


def embedder_of(given: str, url: str | None, kind: str) -> "dict[str, Spec]":
    """The engine that embeds; none for letters, or where the pool has the vectors."""
    from attar.core.errors import RecipeError

    bare = given == "letters" or own_vectors(given) is not None
    if bare and url:
        raise RecipeError(f"--url is a server's, and {given} needs none: name its model too")
    return {} if bare else {"embedder": _spec(given, url, kind)}


def own_vectors(given: str) -> str | None:
    """The column of the pool that `column:NAME` names."""
    from attar.core.errors import RecipeError

    what, _, name = given.partition(":")
    if what != "column":
        return None
    if not name:
        raise RecipeError(f"{given!r} does not say which column has the vectors: name one, such as column:embedding")
    return name


def _spec(given: str, url: str | None, kind: str) -> "Spec":
    """The engine of RUN.yaml:ROLE, of a server's model, or of a model in this process."""
    from attar.cli.engines import role_of
    from attar.engines.base import Spec

    return role_of(given) or (Spec("http", given, {"url": url}) if url else Spec(kind, given))


def notes_on(by: str | None, tokens: float | None, cost: str | None, embedder: str | None) -> list[str]:
    """What a reader of the figures must know."""
    from attar.api.pool.recipes import TOKENS

    notes = ["no --by: the pool's own order counts, the earlier the better"] if by is None else []
    notes += [f"tokens counted as {TOKENS}"] if tokens is not None and cost is None else []
    return notes + ([embedded_by(embedder)] if embedder else [])


def embedded_by(embedder: str) -> str:
    """What the vectors say, and whose they are."""
    if embedder == "letters":
        return "embedded by letters: alike is alike in wording, not in meaning"
    column = own_vectors(embedder)
    return f"alike by the vectors in POOL's column {column!r}" if column else f"embedded by {embedder}"


def show(told: dict[str, Any]) -> None:
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
