"""Convert Attar's columns to the two row formats that trainers read. Other columns are kept beside them.

    sft      {"id", "messages": [turns], "instruction", "response", ...}
    pairs    {"id", "prompt": [turns], "chosen": [turn], "rejected": [turn], "instruction", ...}

Trainers infer a row's format from its column names: TRL reads a `prompt` column as prompt and completion. So the last user turn
is written as `instruction`, and other columns with names that trainers reserve get the prefix `meta_`.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from attar.core.table import Table

_RESERVED_TEXTS = ("system", "text", "completion", "conversation", "conversations", "tools", "chat_template_kwargs")
_RESERVED = frozenset((*_RESERVED_TEXTS, "label", "labels", "input_ids", "image", "images"))
_TEXTS = frozenset(("id", "messages", "prompt", "response", "reasoning", "chosen", "rejected", "parent"))
_PATH = r"^(?:~|\.{1,2})?/(?:[^/\n]+/)+([^/\n]+)/?$"


def form_of(columns: Sequence[str]) -> str | None:
    """The format that a table with these columns can be written in: sft, pairs or None."""
    if {"id", "messages", "chosen", "rejected"} <= set(columns):
        return "pairs"
    return "sft" if {"id", "messages"} <= set(columns) else None


def fault(form: str, columns: Sequence[str]) -> pl.Expr:
    """The reason why a row cannot be written; null if it can."""
    last = pl.col("messages").list.last().struct.field("role")
    empty = pl.when(pl.col("messages").list.len().fill_null(0) == 0).then(pl.lit("no conversation"))
    if form == "pairs":
        return (
            empty.when(pl.col("chosen").is_null() | pl.col("rejected").is_null())
            .then(pl.lit("no pair"))
            .when(last == "assistant")
            .then(pl.lit("its prompt ends with an answer"))
        )
    return empty.when(pl.col("response").is_null() if "response" in columns else last != "assistant").then(pl.lit("no answer"))


def public_names(form: str, columns: Sequence[str]) -> dict[str, str]:
    """The columns that are written, in order, with their public names."""
    first = ("messages", "prompt", "response") if form == "sft" else ("messages", "chosen", "rejected", "prompt")
    out = {"id": "id", "messages": "messages" if form == "sft" else "prompt"}
    for name in [*first[1:], *(name for name in columns if name not in first and name != "id")]:
        if name not in columns:
            continue
        public = "instruction" if name == "prompt" else name
        clash = public in _RESERVED or (name != "prompt" and public == "instruction" and "prompt" in columns)
        out[name] = f"meta_{public}" if clash else public
    return out


def dropped_columns(schema: Mapping[str, pl.DataType], empty: Sequence[str]) -> list[str]:
    """Columns that are not written: vectors, and those that are null in every row."""
    vectors = [name for name, kind in schema.items() if isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()]
    return sorted({*vectors, *empty} - {"id", "messages", "chosen", "rejected"})


def shape_rows(table: Table, form: str, known: Mapping[str, str]) -> Table:
    """Convert rows to a trainer's format; `known` maps the models' names in the run to their public names."""
    columns, last = table.columns, pl.col("messages").list.last().struct.field("role")
    shaped = [_redact_column(name, kind, known) for name, kind in table.schema.items() if name not in _TEXTS]
    if form == "pairs":
        shaped += [_answer(name) for name in ("chosen", "rejected")]
    elif "response" in columns:
        whole = pl.when(last == "assistant").then("messages").otherwise(pl.concat_list("messages", _answer("response")))
        shaped.append(whole.alias("messages"))
    renames = public_names(form, columns)
    return table.with_columns(shaped).select([pl.col(name).alias(public) for name, public in renames.items()])


def _answer(column: str) -> pl.Expr:
    """A text column as a conversation of one assistant turn."""
    turn = pl.struct(pl.lit("assistant").alias("role"), pl.col(column).alias("content"))
    return pl.concat_list(turn).alias(column)


def _redact_column(name: str, kind: pl.DataType, known: Mapping[str, str]) -> pl.Expr:
    """A column without local paths: only the last part of each path is kept."""

    def redact(text: pl.Expr) -> pl.Expr:
        return (text.replace(dict(known)) if known else text).str.replace(_PATH, "$1")

    if kind == pl.String:
        return redact(pl.col(name))
    if isinstance(kind, pl.Struct) and any(field.name == "engine" and field.dtype == pl.String for field in kind.fields):
        return pl.col(name).struct.with_fields(redact(pl.field("engine")).alias("engine"))
    return pl.col(name)
