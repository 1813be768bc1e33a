"""The commands `select` and `dedup`, which choose rows of a pool of chat data without a recipe."""

from typing import Annotated

import typer

from attar.cli.app import HOME, HomeOption, JsonOption, QuietOption, app, print_value
from attar.cli.pool import (
    ByOption,
    EmbedOption,
    FailuresOption,
    FormOption,
    KindOption,
    OnOption,
    OutOption,
    PoolArgument,
    ToOption,
    UrlOption,
    VerdictsOption,
    check_choice,
    check_compared_text,
    collect_notes,
    find_embedder,
    print_pool_summary,
    run_and_print,
    vector_column,
)


@app.command()
def select(  # noqa: PLR0913 (a command's options)
    pool: PoolArgument,
    by: ByOption = None,
    where: Annotated[
        str | None, typer.Option(metavar="RULE", help="a condition that kept rows meet: SQL over POOL's columns")
    ] = None,
    dedup: Annotated[
        str | None, typer.Option(metavar="KINDS", help="of exact, near, semantic; near=0.8 for another limit")
    ] = None,
    diverse: Annotated[bool, typer.Option("--diverse", help="keep no two similar rows")] = False,
    alike: Annotated[float | None, typer.Option(metavar="T", help="--diverse with a cosine limit other than 0.9")] = None,
    keep: Annotated[int | None, typer.Option(min=1, metavar="N", help="how many rows")] = None,
    tokens: Annotated[float | None, typer.Option(min=0, metavar="N", help="how many tokens, instead of rows")] = None,
    cost: Annotated[
        str | None, typer.Option(metavar="EXPR", help="the tokens of a row; conversation_chars / 4 if not given")
    ] = None,
    per: Annotated[str | None, typer.Option(metavar="EXPR", help="share the kept rows among the values of EXPR")] = None,
    share: Annotated[str, typer.Option(help="even, or proportional to the rows of each value")] = "even",
    on: OnOption = "conversation",
    embed: EmbedOption = "letters",
    url: UrlOption = None,
    kind: KindOption = "local",
    out_: OutOption = None,
    to: ToOption = "messages",
    form: FormOption = None,
    verdicts: VerdictsOption = None,
    max_failures: FailuresOption = 0.2,
    home: HomeOption = HOME,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Keep the best rows of a pool, without repeats and similar rows, with a reason for every dropped row."""
    from attar.api.pool.output import Target
    from attar.api.pool.recipes import DIVERSE, TOKENS, selection
    from attar.api.pool.run import PoolCommand
    from attar.core.errors import RecipeError

    if keep is not None and tokens is not None:
        raise RecipeError("--keep (rows) and --tokens (tokens) exclude each other: give one of them")
    if cost is not None and tokens is None:
        raise RecipeError("--cost needs --tokens: it is the number of tokens of a row")
    if per is not None and keep is None and tokens is None:
        raise RecipeError("--per needs --keep or --tokens: it shares the kept rows among the values")
    dedups = _parse_dedups(dedup)
    diverse_at = (DIVERSE if alike is None else _check_limit("--alike", alike)) if diverse or alike is not None else None
    if not (where or dedups or diverse_at is not None or keep is not None or tokens is not None):
        raise RecipeError("no criterion to select by: give --keep, --tokens, --where, --dedup or --diverse")
    vectors = "semantic" in dedups or diverse_at is not None
    if embed != "letters" and not vectors:
        raise RecipeError("--embed needs --diverse or --dedup semantic")
    knobs = {
        "on": check_compared_text(on),
        "rule": where,
        "by": by,
        "dedups": dedups,
        "diverse_at": diverse_at,
        "count": keep,
        "tokens": tokens,
        "cost": cost or TOKENS,
        "per": per,
        "share": check_choice("--share", share, ("even", "proportional")),
        "vectors": vector_column(embed) if vectors else None,
    }
    rules = {"--by": by, "--where": where, "--per": per, "--cost": cost}
    choice = PoolCommand(selection, pool, form, find_embedder(embed, url, kind), knobs, rules, max_failures)
    notes = collect_notes(by, tokens, cost, embed if vectors else None)
    run_and_print(
        choice,
        home,
        quiet or as_json,
        Target(out_, to, verdicts),
        lambda summary: print_value({**summary, "notes": notes}, as_json, print_pool_summary),
    )


@app.command()
def dedup(  # noqa: PLR0913 (a command's options)
    pool: PoolArgument,
    how: Annotated[
        str, typer.Option(metavar="KINDS", help="of exact, near, semantic; near=0.8 for another limit")
    ] = "exact,near",
    by: ByOption = None,
    on: OnOption = "conversation",
    embed: EmbedOption = "letters",
    url: UrlOption = None,
    kind: KindOption = "local",
    out_: OutOption = None,
    to: ToOption = "messages",
    form: FormOption = None,
    verdicts: VerdictsOption = None,
    home: HomeOption = HOME,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Drop repeats from a pool: of similar rows the best is kept, or the first."""
    select(
        pool,
        by,
        dedup=how,
        on=on,
        embed=embed,
        url=url,
        kind=kind,
        out_=out_,
        to=to,
        form=form,
        verdicts=verdicts,
        home=home,
        quiet=quiet,
        as_json=as_json,
    )


def _parse_dedups(text: str | None) -> dict[str, float | None]:
    """Parse `exact,near=0.8` into kinds and limits."""
    from attar.api.pool.recipes import DEDUPS
    from attar.core.errors import RecipeError

    limits: dict[str, float | None] = {}
    for word in text.split(",") if text else []:
        name, equals, limit = word.strip().partition("=")
        name = check_choice("--dedup", name, tuple(DEDUPS))
        if equals and name == "exact":
            raise RecipeError("--dedup exact takes no limit: texts must be equal, apart from case and spacing")
        try:
            limits[name] = _check_limit("--dedup", float(limit)) if equals else DEDUPS[name]
        except ValueError:
            raise RecipeError(f"--dedup {word.strip()!r}: the limit must be a number, such as near=0.8") from None
    return limits


def _check_limit(option: str, value: float) -> float:
    from attar.core.errors import RecipeError

    if not 0 < value <= 1:
        raise RecipeError(f"{option} must be > 0 and <= 1, got {value}")
    return value
