"""Train a scorer: a language model that answers a question about a prompt (and its response) with a number.

This is supervised fine-tuning with a chat template that adds nothing to the question; the loss covers the number and the
end-of-text token. `scorer.json` in the model folder stores the question. Rows without a score are left out, and so are rows
longer than `max_length` tokens, which would lose their number when truncated.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
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
from attar.stages.train.trainer import TrainingSettings

_TURN_TEMPLATE = (
    "{% for turn in messages %}{% if turn['role'] == 'assistant' %}"
    "{% generation %}{{ turn['content'] + eos_token }}{% endgeneration %}"
    "{% else %}{{ turn['content'] }}{% endif %}{% endfor %}"
)


def _columns_read(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    question = scorer_prompts.resolve_question(knobs["what"], knobs["question"], knobs["labels"])
    return ("prompt", *(["response"] if question.on_response else []), knobs["column"])


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
    settings = TrainingSettings.from_knobs(locals())
    resolved = scorer_prompts.resolve_question(what, question, labels)
    need(table, "id", *_columns_read({"what": what, "question": question, "labels": labels, "column": column}))
    base = base_of(engine)
    rows = _scored_conversations(table, resolved, column)
    fitting = rows.filter([_token_count(base, messages) <= max_length for messages in rows["messages"].to_list()])
    if fitting.is_empty():
        raise DataError(
            f"no row to train a scorer on: {len(rows)} of {len(table)} rows have a {column}, and none of those has at most "
            f"{max_length} tokens"
        )
    into.mkdir(parents=True, exist_ok=True)
    template = into / "chat_template.jinja"
    template.write_text(_chat_template(base.tokenizer, engine.model))
    curve = sft.train(fitting, engine=engine, into=into, template=str(template), **asdict(settings))
    left_out = {"without a score": len(table) - len(rows), "too long": len(rows) - len(fitting)}
    scorer_prompts.write_question(into, resolved, {"trained on": len(fitting), **left_out})
    return curve


def _scored_conversations(table: Table, question: Question, column: str) -> Table:
    """The scored rows as conversations: the question about the row, and its number as the answer."""
    texts = ["prompt", *(["response"] if question.on_response else [])]
    scored = table.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in (column, *texts)))
    labels = {float(number): label for number, label in zip(question.numbers, question.labels, strict=True)}
    conversations, answers = [], []
    for row in scored.iter_rows(named=True):
        if row[column] not in labels:
            raise DataError(f"row {row['id']}: {column} is {row[column]!r}, not one of the labels {', '.join(question.labels)}")
        answers.append(labels[row[column]])
        text = question.about(row["prompt"], row["response"] if question.on_response else "")
        conversations.append(turns(("user", text), ("assistant", answers[-1])))
    return pl.DataFrame(
        {
            "id": scored["id"],
            "messages": pl.Series(conversations, dtype=COLUMNS["messages"]),
            "response": pl.Series(answers, dtype=pl.String),
        }
    )


def _token_count(base: Local, messages: list[dict[str, str]]) -> int:
    """How many tokens a question, its number and the end-of-text token have."""
    return len(base.tokens("".join(turn["content"] for turn in messages))) + 1


def _chat_template(tokenizer: Any, model: str) -> str:
    """A chat template that adds only the BOS token, if the tokenizer has one, and the end-of-text token after an answer."""
    if tokenizer.eos_token is None:
        raise EngineError(f"{model} cannot be trained as a scorer: its tokenizer has no end-of-text token")
    adds_bos = tokenizer.bos_token_id is not None and tokenizer.bos_token_id in tokenizer.encode("")
    return ("{{ bos_token }}" if adds_bos else "") + _TURN_TEMPLATE
