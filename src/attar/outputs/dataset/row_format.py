"""From our columns to the two shapes that trainers read, with everything else that is known of a row beside them.

    sft      {"id", "messages": [turns], "instruction", "response", ...}
    pairs    {"id", "prompt": [turns], "chosen": [turn], "rejected": [turn], "instruction", ...}

Trainers tell a row's kind by its columns: TRL takes one with a `prompt` for a prompt with a completion, so the text of the last
user turn goes out as `instruction`; other columns with a name that means something to a trainer get `meta_` before it.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from attar.core.table import Table

_SPOKEN = ("system", "text", "completion", "conversation", "conversations", "tools", "chat_template_kwargs")
_TAKEN = frozenset((*_SPOKEN, "label", "labels", "input_ids", "image", "images"))
_TEXTS = frozenset(("id", "messages", "prompt", "response", "reasoning", "chosen", "rejected", "parent"))
_PATH = r"^(?:~|\.{1,2})?/(?:[^/\n]+/)+([^/\n]+)/?$"


def form_of(columns: Sequence[str]) -> str | None:
    """What a table with these columns can go out as: sft, pairs, or not at all."""
    if {"id", "messages", "chosen", "rejected"} <= set(columns):
        return "pairs"
    return "sft" if {"id", "messages"} <= set(columns) else None


def fault(form: str, columns: Sequence[str]) -> pl.Expr:
    """Why a row cannot go out; null where it can."""
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


def names(form: str, columns: Sequence[str]) -> dict[str, str]:
    """The names under which columns go out, in their order."""
    first = ("messages", "prompt", "response") if form == "sft" else ("messages", "chosen", "rejected", "prompt")
    out = {"id": "id", "messages": "messages" if form == "sft" else "prompt"}
    for name in [*first[1:], *(name for name in columns if name not in first and name != "id")]:
        if name not in columns:
            continue
        told = "instruction" if name == "prompt" else name
        clash = told in _TAKEN or (name != "prompt" and told == "instruction" and "prompt" in columns)
        out[name] = f"meta_{told}" if clash else told
    return out


def left_out(schema: Mapping[str, pl.DataType], nothing_in: Sequence[str]) -> list[str]:
    """Columns that do not go out: those that are null in every row, and vectors."""
    vectors = [name for name, kind in schema.items() if isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()]
    return sorted({*vectors, *nothing_in} - {"id", "messages", "chosen", "rejected"})


def shaped(table: Table, form: str, known: Mapping[str, str]) -> Table:
    """Rows as they go out; `known` are models by what the cards call them, and what they may be called in public."""
    columns, last = table.columns, pl.col("messages").list.last().struct.field("role")
    made = [_public(name, kind, known) for name, kind in table.schema.items() if name not in _TEXTS]
    if form == "pairs":
        made += [_answer(name) for name in ("chosen", "rejected")]
    elif "response" in columns:
        whole = pl.when(last == "assistant").then("messages").otherwise(pl.concat_list("messages", _answer("response")))
        made.append(whole.alias("messages"))
    out = names(form, columns)
    return table.with_columns(made).select([pl.col(name).alias(told) for name, told in out.items()])


def _answer(column: str) -> pl.Expr:
    """A text as a conversation of one assistant's turn."""
    turn = pl.struct(pl.lit("assistant").alias("role"), pl.col(column).alias("content"))
    return pl.concat_list(turn).alias(column)


def _public(name: str, kind: pl.DataType, known: Mapping[str, str]) -> pl.Expr:
    """A column without the paths of this machine: of a folder or a file its name is left."""

    def bare(text: pl.Expr) -> pl.Expr:
        return (text.replace(dict(known)) if known else text).str.replace(_PATH, "$1")

    if kind == pl.String:
        return bare(pl.col(name))
    if isinstance(kind, pl.Struct) and any(field.name == "engine" and field.dtype == pl.String for field in kind.fields):
        return pl.col(name).struct.with_fields(bare(pl.field("engine")).alias("engine"))
    return pl.col(name)
