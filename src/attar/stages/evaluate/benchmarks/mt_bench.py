"""MT-Bench: eighty questions in two turns, each answer graded from 1 to 10.

`second` is the stage between the two: the first answers become the conversation that the second turn continues. Of the thirty
reference answers published for mathematics, reasoning and coding, thirteen are wrong (FastChat, pull request 3158): give a file
of better ones as `references`. Figures are means over questions; intervals resample whole questions, with both turns.
"""

from collections.abc import Sequence
from typing import Any

import polars as pl

from attar.core.errors import DataError
from attar.core.stage import role, rowwise
from attar.core.table import Table, need
from attar.stages.evaluate import questions as exam
from attar.stages.evaluate.figures.means import Draws, Part, figures_of
from attar.stages.evaluate.responses import next_turn

REFERENCED = ("math", "reasoning", "coding", "arena-hard-200")
TEMPERATURES = {"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1}
"""The sampling temperature of the published answers; 0 for all other categories."""


@role("exam")
def questions(
    *,
    source: str,
    content: str | None = None,
    references: str | None = None,
    references_content: str | None = None,
    shown: Sequence[str] = REFERENCED,
) -> Table:
    """() -> the first turns, as `exam.questions`; right answers only in the categories `shown`, from `references` where given.

    `references` holds rows of question_id and reference (a list), or is FastChat's file of reference answers.
    """
    table = exam.questions(source=source, content=content)
    need(table, "turns", "category")
    if references is not None:
        table = _replace_references(table, references, references_content)
    if "references" not in table.columns:
        return table
    seen = pl.when(pl.col("category").is_in(list(shown)))
    return table.with_columns(seen.then(pl.col(name)).alias(name) for name in ("reference", "references"))


@role("exam")
@rowwise
def second(answers: Table, *, turn: int = 2) -> Table:
    """turns, messages, response -> the next turn under `id/turn`: prompt, messages, reference, turn, prompt_error.

    A row that has no such turn, or whose earlier answer failed, asks nothing: its prompt is null, and it says why.
    """
    need(answers, "id", "turns", "messages", "response")
    out = [next_turn(row, turn) for row in answers.to_dicts()]
    kinds = {**answers.schema, "turn": pl.Int64, "prompt_error": pl.String}
    if "reference" in kinds:
        kinds["reference"] = pl.String
    return pl.DataFrame(out, schema=kinds).drop("response", "response_error", strict=False)


@role("exam")
def figures(table: Table, *, score: str = "score", bootstrap: int = 1000, seed: int = 0) -> Table:
    """question, turn, {score}, category -> id, (model,) category, figure, value, low, high, count, and who judged.

    The mean of all graded answers, by turn (`turn_1`, `turn_2`) and by category; `unscored` is the share of the others.
    """
    need(table, "question", score, "turn")
    parts = [Part("score", None, pl.lit(True)), *(Part(f"turn_{turn}", None, pl.col("turn") == turn) for turn in (1, 2))]
    if "category" in table.columns:
        names = sorted(table["category"].drop_nulls().unique())
        parts += [Part("score", name, pl.col("category") == name) for name in names]
    return figures_of(table, parts, Draws(score, count=bootstrap, seed=seed))


def _replace_references(table: Table, source: str, content: str | None) -> Table:
    """The questions with the reference answers of a file; each must belong to one of the questions."""
    by_question: dict[str, list[str | None]] = {}
    for row in exam.read_rows(source, content):
        texts: Any = row.value.get("reference")
        if texts is None and row.value.get("choices"):
            texts = row.value["choices"][0].get("turns")
        if not isinstance(texts, list) or not all(isinstance(text, str | None) for text in texts):
            raise DataError(
                f"{row.where}: no reference answers; a row needs question_id and reference, a list with one text per turn"
            )
        by_question[exam.name_of(row)] = [text or None for text in texts]
    if lost := sorted(set(by_question) - set(table["question"])):
        raise DataError(f"{source} has reference answers to {lost[0]!r}, which is not one of the questions")
    replacements = [by_question.get(name) for name in table["question"]]
    known = table["references"].to_list() if "references" in table.columns else [None] * len(table)
    references = [new if new is not None else old for new, old in zip(replacements, known, strict=True)]
    return table.with_columns(
        pl.Series("references", references, dtype=pl.List(pl.String)),
        pl.Series("reference", [texts[0] if texts else None for texts in references], dtype=pl.String),
    )
