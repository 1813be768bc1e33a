"""Constraints that a program can check, as in IFEval: how many of what was demanded of a response it does.

A question's `constraints` are a list of {kind, ...knobs}, as JSON text; the kinds are those of `constraint_kinds`. IFEval's own
file is read too, all 25 kinds of it. Loose is as there: by the response as it is, or without its asterisks, first or last line.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from attar.core.errors import DataError, did_you_mean
from attar.core.stage import reads, role, rowwise
from attar.core.table import COLUMNS, Table, need, turns
from attar.stages.evaluate import questions as exam
from attar.stages.evaluate.benchmarks.constraint_kinds import validate_constraint, violation
from attar.stages.evaluate.figures.accuracy import ALL, figures_table, groups, interval

_IFEVAL_KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "keywords:existence": ("includes", {"keywords": "words"}),
    "keywords:frequency": ("word", {"keyword": "word", "frequency": "count"}),
    "keywords:forbidden_words": ("excludes", {"forbidden_words": "words"}),
    "keywords:letter_frequency": ("letter", {"letter": "letter", "let_frequency": "count"}),
    "language:response_language": ("language", {"language": "language"}),
    "length_constraints:number_sentences": ("sentences", {"num_sentences": "count"}),
    "length_constraints:number_paragraphs": ("paragraphs", {"num_paragraphs": "exactly"}),
    "length_constraints:number_words": ("words", {"num_words": "count"}),
    "length_constraints:nth_paragraph_first_word": (
        "first_word",
        {"num_paragraphs": "paragraphs", "nth_paragraph": "paragraph", "first_word": "word"},
    ),
    "detectable_content:number_placeholders": ("placeholders", {"num_placeholders": "least"}),
    "detectable_content:postscript": ("postscript", {"postscript_marker": "mark"}),
    "detectable_format:number_bullet_lists": ("bullets", {"num_bullets": "exactly"}),
    "detectable_format:constrained_response": ("one_of", {}),
    "detectable_format:number_highlighted_sections": ("highlights", {"num_highlights": "least"}),
    "detectable_format:multiple_sections": ("sections", {"section_spliter": "mark", "num_sections": "least"}),
    "detectable_format:json_format": ("json", {}),
    "detectable_format:title": ("title", {}),
    "combination:two_responses": ("two_answers", {}),
    "combination:repeat_prompt": ("repeats", {"prompt_to_repeat": "request"}),
    "startend:end_checker": ("ends", {"end_phrase": "phrase"}),
    "startend:quotation": ("quoted", {}),
    "change_case:capital_word_frequency": ("capital_words", {"capital_frequency": "count"}),
    "change_case:english_capital": ("capitals", {}),
    "change_case:english_lowercase": ("lowercase", {}),
    "punctuation:no_comma": ("no_comma", {}),
}
_FIXED: dict[str, dict[str, Any]] = {
    "one_of": {"options": ["My answer is yes.", "My answer is no.", "My answer is maybe."]},
    "capitals": {"language": "en"},
    "lowercase": {"language": "en"},
}

_FOLLOWED = {"followed": "strict", "followed_loose": "loose"}


def from_ifeval(names: Sequence[str], knobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """IFEval's instructions and their arguments as constraints of ours; one that is not right is a ValueError."""
    if len(names) != len(knobs):
        raise ValueError(f"{len(names)} instructions, and arguments for {len(knobs)}")
    return [
        _from_instruction(name, {key: value for key, value in own.items() if value is not None})
        for name, own in zip(names, knobs, strict=True)
    ]


def _from_instruction(name: str, knobs: Mapping[str, Any]) -> dict[str, Any]:
    if name not in _IFEVAL_KINDS:
        raise ValueError(f"there is no instruction {name!r}; {did_you_mean(name, _IFEVAL_KINDS)}")
    kind, keys = _IFEVAL_KINDS[name]
    made: dict[str, Any] = {"kind": kind, **_FIXED.get(kind, {})}
    relation = next((knobs[key] for key in knobs if key.endswith("relation")), None)
    for theirs, ours in keys.items():
        if theirs not in knobs:
            raise ValueError(f"instruction {name!r} has no {theirs!r}")
        value = int(knobs[theirs]) if isinstance(knobs[theirs], float) else knobs[theirs]
        made |= _bounds(name, ours, value, relation)
    return validate_constraint(made)


def _bounds(name: str, ours: str, value: Any, relation: object) -> dict[str, Any]:
    """A knob of ours from one of theirs; of a count the least, or the most, or both."""
    if ours == "exactly":
        return {"least": value, "most": value}
    if ours != "count":
        return {ours: value}
    if relation not in ("at least", "less than"):
        raise ValueError(f"instruction {name!r} has the relation {relation!r}: it must be 'at least' or 'less than'")
    return {"least": value} if relation == "at least" else {"most": value - 1}


@role("exam")
def questions(*, source: str, content: str | None = None, split: str | None = None) -> Table:
    """() -> id, question, prompt, messages, constraints: of a file or a dataset on the Hub, in our form or IFEval's."""
    lines = []
    for row in exam.read_rows(source, content, split):
        try:
            lines.append(_question(row))
        except ValueError as error:
            raise DataError(f"{row.where}: {error}") from error
    schema = {name: COLUMNS.get(name, pl.String) for name in ("id", "question", "prompt", "messages", "constraints")}
    return pl.DataFrame(lines, schema=schema, orient="row")


def _question(row: exam.SourceRow) -> tuple[Any, ...]:
    said = row.value
    if not isinstance(asked := said.get("prompt"), str):
        raise ValueError("a question must be an object with a 'prompt'")
    if "instruction_id_list" in said:
        demands = from_ifeval(said["instruction_id_list"], said.get("kwargs") or ())
    else:
        demands = _parse_constraints(said.get("constraints"))
    name = str(said["key"]) if "key" in said else exam.name_of(row)
    return name, name, asked, turns(("user", asked)), json.dumps(demands, ensure_ascii=False)


def _parse_constraints(value: object) -> list[dict[str, Any]]:
    """Constraints out of JSON text or a list, each as it should be; what is not is a ValueError."""
    if isinstance(value, str):
        value = json.loads(value)
    if not isinstance(value, list) or not value:
        raise ValueError("'constraints' must be a list of one or more, each with its 'kind'")
    return [validate_constraint(item) for item in value]


@role("exam")
@rowwise
def check(table: Table) -> Table:
    """response, constraints -> followed, followed_loose (one each), missed (why, of what is not), correct, correct_loose.

    `correct` is whether all are followed; without a response it is null, and `correct_error` says so.
    """
    need(table, "id", "response", "constraints")
    lines = []
    for name, response, said in zip(table["id"], table["response"], table["constraints"].to_list(), strict=True):
        try:
            demands = _parse_constraints(said)
        except ValueError as error:
            raise DataError(f"row {name!r}, column 'constraints': {error}") from error
        lines.append((None, None, None, None, None, "no response") if response is None else _check_response(response, demands))
    kinds = {"followed": pl.List(pl.Boolean), "followed_loose": pl.List(pl.Boolean), "missed": pl.List(pl.String)}
    kinds |= {"correct": pl.Boolean, "correct_loose": pl.Boolean, "correct_error": pl.String}
    return table.with_columns(pl.DataFrame(lines, schema=kinds, orient="row").get_columns())


def _check_response(response: str, demands: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    why = [violation(response, demand) for demand in demands]
    strict = [reason is None for reason in why]
    others = _variants(response)
    loose = [
        good or any(violation(other, demand) is None for other in others) for good, demand in zip(strict, demands, strict=True)
    ]
    return strict, loose, [reason for reason in why if reason], all(strict), all(loose), None


def _variants(response: str) -> list[str]:
    """The response without its first line, its last, both; and each without asterisks."""
    lines = response.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    return [*(text.replace("*", "") for text in (response, *cut)), *cut]


def _reads(knobs: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in ("constraints", *_FOLLOWED, knobs["question"], knobs["model"]) if name)


@role("exam")
@reads(_reads)
def figures(table: Table, *, question: str | None = "question", model: str | None = None) -> Table:
    """constraints, followed, followed_loose, {question}, {model} -> id, {model}, kind, figure, value, low, high, count.

    `prompt_...` is the share of answers that follow all constraints, `instruction_...` that of constraints which are followed;
    of one kind the latter alone. Answers without a verdict are left out; `unscored` is their share.
    """
    need(table, *_reads({"question": question, "model": model}))
    rows = table.with_columns(pl.col(question or "id").alias("_question"))
    lines = [{**names, **line} for names, own in groups(rows, model, ()) for line in _lines(own)]
    return figures_table(lines, [*([model] if model else []), "kind"])


def _lines(rows: Table) -> Iterator[dict[str, Any]]:
    """The figures of one model's answers."""
    scored = rows.drop_nulls("followed")
    kinds = [[demand["kind"] for demand in _parse_constraints(said)] for said in scored["constraints"].to_list()]
    long = scored.select("_question", *_FOLLOWED, kind=pl.Series(kinds, dtype=pl.List(pl.String)))
    each = long.explode("kind", *_FOLLOWED)
    for column, grade in _FOLLOWED.items():
        yield _line(ALL, f"prompt_{grade}", long.select("_question", good=pl.col(column).list.all()))
        for kind in (ALL, *sorted(each["kind"].unique())):
            part = each if kind == ALL else each.filter(pl.col("kind") == kind)
            yield _line(kind, f"instruction_{grade}", part.select("_question", good=column))
    yield _line(ALL, "unscored", rows.select("_question", good=pl.col("followed").is_null()))


def _line(kind: str, figure: str, rows: Table) -> dict[str, Any]:
    own = rows.group_by("_question", maintain_order=True).agg(pl.col("good").sum(), count=pl.len())
    return {"kind": kind, "figure": figure, **interval(own["good"].to_list(), own["count"].to_list()), "count": len(rows)}
