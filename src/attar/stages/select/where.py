"""Keep the rows for which a rule over columns holds; the rule is an SQL expression."""

import re
from collections.abc import Mapping
from typing import Any

import polars as pl

from attar.core.errors import RecipeError
from attar.core.stage import reads
from attar.core.table import Table, need

_COUNT = re.compile(
    r"""('(?:[^']|'')*'|"[^"]*")|\b(?:char_length|character_length|octet_length|bit_length|length|len|array_length|strpos)\s*\(""",
    re.IGNORECASE,
)
"""A quoted text, or a function that returns unsigned integers in polars, where  length(a) - length(b) < 0  would wrap."""


def expression(rule: str) -> pl.Expr:
    """An SQL expression over columns, such as  reward > 0 AND length(prompt) > 20."""
    try:
        return pl.sql_expr(_cast_counts(rule))
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"rule {rule!r} is no expression: {str(error).splitlines()[0]}") from error


def _cast_counts(rule: str) -> str:
    """The rule with every such function's number made a whole number with a sign."""
    out, at = [], 0
    while found := _COUNT.search(rule, at):
        if found[1]:
            out.append(rule[at : found.end()])
            at = found.end()
            continue
        if (end := _closing_bracket(rule, found.end())) > len(rule):
            break
        inner = _cast_counts(rule[found.end() : end - 1])
        out.append(f"{rule[at : found.start()]}CAST({found[0]}{inner}) AS BIGINT)")
        at = end
    return "".join(out) + rule[at:]


def _closing_bracket(rule: str, start: int) -> int:
    """The place behind the bracket that closes the one opened before `start`; behind the rule, where none does."""
    depth, quote = 1, ""
    for place in range(start, len(rule)):
        letter = rule[place]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter == "(") - (letter == ")")
        if not depth:
            return place + 1
    return len(rule) + 1


def columns(rule: str) -> tuple[str, ...]:
    """The columns that a rule reads."""
    return tuple(dict.fromkeys(expression(rule).meta.root_names()))


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return (*columns(knobs["rule"]), "response_error?")


@reads(_reads)
def holds(table: Table, *, rule: str) -> Table:
    """the columns of `rule` -> verdicts: kept where it is true; where a column is null, so that it is neither, dropped.

    A row that has no answer is dropped whatever the rule is.
    """
    need(table, *columns(rule))
    try:
        judged = table.select("id", expression(rule).alias("true"), _without_answer(table).alias("unanswered"))
    except pl.exceptions.PolarsError as error:
        raise RecipeError(f"rule {rule!r} does not work on these columns: {str(error).splitlines()[0]}") from error
    if judged["true"].dtype != pl.Boolean:
        raise RecipeError(f"rule {rule!r} is {judged['true'].dtype}, not true or false")
    reason = (
        pl.when(pl.col("unanswered").is_not_null())
        .then("unanswered")
        .when(pl.col("true").is_null())
        .then(pl.lit(f"unknown: {rule}"))
        .when(~pl.col("true"))
        .then(pl.lit(f"not: {rule}"))
    )
    return judged.select(
        "id",
        (pl.col("true").fill_null(False) & pl.col("unanswered").is_null()).alias("kept"),
        reason.alias("reason"),
        pl.lit(None, dtype=pl.String).alias("because"),
    )


def _without_answer(table: Table) -> pl.Expr:
    """Why a row has no answer, as a reason to drop it; null if it has one, or was never to have one."""
    if "response_error" not in table.columns:
        return pl.lit(None, dtype=pl.String)
    return pl.when(pl.col("response_error").is_not_null()).then(pl.format("no answer: {}", "response_error"))
