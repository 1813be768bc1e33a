"""A pool: existing chat data as a table. Each of its rows becomes a row, in the pool's order, also those that cannot be parsed.

A row that cannot be parsed has only an id (from its place) and the reason in `messages_error`; a row whose answer is empty has
that reason beside its texts. The pool's own ids are kept; a row without one, or with one that an earlier row has, gets an id
from its file and line.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from attar.core.errors import DataError, did_you_mean
from attar.core.stage import reads, role, rowwise
from attar.core.table import Table, need
from attar.data import sources
from attar.data.raw import open_source
from attar.data.readers import BadRow, RowBatch, convert_rows, row_id, unique_id

On = Literal["conversation", "prompt", "response"]
CHARS = "conversation_chars"


@role("pool")
def read(*, source: str, content: str, form: str | None = None) -> Table:
    """() -> id, messages, prompt, response, messages_error, the pool's other columns; `source`, `content`: see pin_source."""
    return pl.concat(read_parts(source=source, content=content, form=form), how="diagonal")


def read_parts(*, source: str, content: str, form: str | None = None) -> Iterator[Table]:
    """Read the pool in parts; a column that appears late is missing in the parts before."""
    sources.check_unchanged(source, content)
    seen: set[str] = set()
    rows, root = open_source(source, content)
    for batch in convert_rows(rows, root, form=form, seen=seen):
        yield _in_order(batch, root, seen)


def _in_order(batch: RowBatch, root: Path, seen: set[str]) -> Table:
    """The rows of a batch in their original order; those that could not be parsed have an id and a reason."""
    ids = [unique_id(None, row_id(Path(row.file), row.line, root), seen) for row in batch.bad]
    schema = {"id": pl.String, "messages_error": pl.String}
    bad = pl.DataFrame({"id": ids, "messages_error": [_reason(row) for row in batch.bad]}, schema=schema)
    rows = pl.concat([batch.table.drop("messages_error", strict=False), bad], how="diagonal")
    places = [*batch.places, *((row.file, row.line) for row in batch.bad)]
    files = {file: Path(file) for file in {file for file, _ in places}}
    order = sorted(range(len(places)), key=lambda i: (files[places[i][0]], places[i][1]))
    empty = pl.when(pl.col("response").str.strip_chars() == "").then(pl.lit("empty answer"))
    return rows[order].with_columns([pl.coalesce("messages_error", empty)] if "response" in rows.columns else [])


def _reason(row: BadRow) -> str:
    """Why a row was set aside, without line numbers, so that equal reasons are counted together."""
    return re.sub(r"(line|column|char) \d+", r"\1 ...", row.reason)


@rowwise
def texts(table: Table, *, on: On = "conversation") -> Table:
    """messages, {on} -> id, {on} (of a conversation: all turns joined; null if blank), conversation_chars."""
    need(table, "messages", *([] if on == "conversation" else [on]))
    conversation = pl.col("messages").list.eval(pl.element().struct.field("content")).list.join("\n")
    text = conversation if on == "conversation" else pl.col(on)
    blank = text.str.strip_chars() == ""
    length = conversation.str.len_chars().cast(pl.Int64)
    return table.select("id", pl.when(~blank).then(text).alias(on), length.alias(CHARS))


@role("bookkeeping")
@rowwise
def select_columns(table: Table, *, columns: Sequence[str]) -> Table:
    """any -> id, `columns`: only what later steps read again and again."""
    need(table, *columns)
    return table.select("id", *columns)


@rowwise
def vectors(table: Table, *, column: str) -> Table:
    """{column} -> id, {column}: the pool's own vectors, unchanged."""
    if column not in table.columns:
        raise DataError(f"the pool has no column {column!r}; {did_you_mean(column, table.columns)}")
    if (kind := table[column].dtype) not in (pl.List(pl.Float32), pl.List(pl.Float64)):
        raise DataError(f"column {column!r} holds {kind}, not vectors: each must be a list of numbers, or null")
    return table.select("id", column)


@reads(lambda knobs: (knobs["column"],))
def keep_with_vectors(table: Table, *, column: str) -> Table:
    """{column} -> verdicts: a row without a vector is dropped; a vector of another length than the first is an error."""
    need(table, column)
    sizes = table.select("id", size=pl.col(column).list.len()).drop_nulls("size")
    if len(odd := sizes.filter(pl.col("size") != pl.col("size").first())):
        raise DataError(
            f"column {column!r} holds vectors of different lengths: row {sizes['id'][0]!r} has {sizes['size'][0]} numbers, "
            f"row {odd['id'][0]!r} has {odd['size'][0]}: fix the pool, or drop such rows with --where"
        )
    none, nothing = pl.col(column).is_null(), pl.lit(None, dtype=pl.String)
    reason = pl.when(none).then(pl.lit(f"no {column}")).otherwise(nothing)
    return table.select("id", (~none).alias("kept"), reason.alias("reason"), nothing.alias("because"))
