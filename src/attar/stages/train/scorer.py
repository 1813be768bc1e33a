"""Train a scorer: a language model that answers a question about a prompt (and its response) with a number.

It is supervised fine-tuning with a template that adds nothing to the question; loss lies on the number and the end of text.
The folder says how the scorer is to be asked (`scorer.json`). A row without a score is left out, and so is one of more than
`max_length` tokens: cut, it would have lost its number.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from attar.core import scorer_prompts
from attar.core.errors import DataError, EngineError
from attar.core.scorer_prompts import Question
from attar.core.stage import reads, trains
from attar.core.table import COLUMNS, Table, need, turns
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.stages.train import sft
from attar.stages.train.load_model import base_of

_TURN_TEMPLATE = (
    "{% for turn in messages %}{% if turn['role'] == 'assistant' %}"
    "{% generation %}{{ turn['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ turn['content'] }}{% endif %}{% endfor %}"
)


def _columns_read(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    asked = scorer_prompts.resolve_question(knobs["what"], knobs["question"], knobs["labels"])
    return ("prompt", *(["response"] if asked.on_response else []), knobs["column"])


@trains(on="labels")
@reads(_columns_read)
def train(  # noqa: PLR0913 (what a trainer's user expects to set)
    table: Table,
    *,
    engine: Spec,
    into: Path,
    what: str = "complexity",
    question: str | None = None,
    labels: Sequence[int] | None = None,
    column: str = "score",
    epochs: float = 6.0,
    lr: float = 2e-5,
    batch: int = 512,
    accumulate: int | None = None,
    max_length: int = 2048,
    warmup: float = 0.1,
    schedule: str = "cosine",
    lora: int | None = None,
    qlora: bool = False,
    seed: int = 0,
) -> Table:
    """prompt, response (where the question has a place for it), {column} -> the training curve, and the scorer in `into`."""
    asked = scorer_prompts.resolve_question(what, question, labels)
    need(table, "id", *_columns_read({"what": what, "question": question, "labels": labels, "column": column}))
    base = base_of(engine)
    rows = _scored_conversations(table, asked, column)
    fitting = rows.filter([_token_count(base, talk) <= max_length for talk in rows["messages"].to_list()])
    if fitting.is_empty():
        raise DataError(
            f"there is no row to train a scorer on: of {len(table)} rows {len(rows)} have a {column}, and none of those "
            f"is of at most {max_length} tokens"
        )
    into.mkdir(parents=True, exist_ok=True)
    template = into / "chat_template.jinja"
    template.write_text(_chat_template(base.tokenizer, engine.model))
    curve = sft.train(
        fitting,
        engine=engine,
        into=into,
        epochs=epochs,
        lr=lr,
        batch=batch,
        accumulate=accumulate,
        max_length=max_length,
        warmup=warmup,
        schedule=schedule,
        template=str(template),
        lora=lora,
        qlora=qlora,
        seed=seed,
    )
    left = {"without a score": len(table) - len(rows), "too long": len(rows) - len(fitting)}
    scorer_prompts.write_question(into, asked, {"trained on": len(fitting), **left})
    return curve


def _scored_conversations(table: Table, asked: Question, column: str) -> Table:
    """The scored rows as conversations: the question, and its number."""
    texts = ["prompt", *(["response"] if asked.on_response else [])]
    able = table.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in (column, *texts)))
    labels = {float(number): label for number, label in zip(asked.numbers, asked.labels, strict=True)}
    talks, said = [], []
    for row in able.iter_rows(named=True):
        if row[column] not in labels:
            raise DataError(f"row {row['id']}: {column} is {row[column]!r}, not one of the labels {', '.join(asked.labels)}")
        said.append(labels[row[column]])
        question = asked.about(row["prompt"], row["response"] if asked.on_response else "")
        talks.append(turns(("user", question), ("assistant", said[-1])))
    made = {"id": able["id"], "messages": pl.Series(talks, dtype=COLUMNS["messages"])}
    return pl.DataFrame({**made, "response": pl.Series(said, dtype=pl.String)})


def _token_count(base: Local, talk: list[dict[str, str]]) -> int:
    """The tokens of a question, its number and the end of text."""
    return len(base.tokens("".join(turn["content"] for turn in talk))) + 1


def _chat_template(tokenizer: Any, model: str) -> str:
    """A chat template that puts nothing around a turn but the BOS, where the tokenizer has one, and the end of an answer."""
    if tokenizer.eos_token is None:
        raise EngineError(f"{model} cannot be trained as a scorer: its tokenizer has no token that ends a text")
    begins = tokenizer.bos_token_id is not None and tokenizer.bos_token_id in tokenizer.encode("")
    return ("{{ bos_token }}" if begins else "") + _TURN_TEMPLATE
