import json
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from attar.core.errors import RecipeError
from attar.stages.evaluate.benchmarks import numbers
from attar.stages.evaluate.benchmarks.number_parsing import Number, parse_single
from attar.stages.evaluate.questions import questions


def read(text, **knobs):
    answer = numbers.extract_answer(text, **knobs)
    return (str(answer.number) if answer.number else None), answer.by


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_reference_that_is_a_float_is_what_python_writes_for_it(value):
    assert numbers.parse_reference(value) == Number(Fraction(repr(value)))


@given(st.text(alphabet="0123456789.,'/-+eE^*x%$ {}\\=#boxedfrac½²million\n", max_size=60))
@example("9" * 5000)
@example("1e999999999")
@example("1e" + "9" * 5000)
@example("9^99999")
@example("\\boxed{" * 50)
@example("=" + "1 + " * 300)
def test_no_text_is_too_strange_to_be_read_or_refused(text):
    answer = numbers.extract_answer(text)
    assert (answer.number is None) == (answer.error is not None)
    if answer.number:
        assert parse_single(str(answer.number), ".").value == answer.number.value


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("First \\boxed{3}, no: \\boxed{\\frac{1}{2}}. The answer is 7.", ("0.5", "box")),
        ("\\boxed{x = 18\\text{ dollars}}", ("18", "box")),
        ("\\boxed{1 234 567}", ("1234567", "box")),
        ("\\boxed{90^\\circ}", ("90", "box")),
        ("\\boxed{2\\pi}, about 6.28", (None, "box")),
        ("\\boxed{x+5}", (None, "box")),
        ("\\boxed{\\text{yes}} 5", (None, "box")),
        ("cut \\boxed{5", ("5", "last")),
        ("3 * 6 = 18\n#### 1,018\nDone in 2 steps", ("1018", "mark")),
        ("The answer is **18** dollars. It took 3 steps.", ("18", "word")),
        ("The answer to question 3 is 10, as 2 more are left", ("10", "word")),
        ("Answer:\n\n$1,250.50\n\nChecked 3 times", ("1250.5", "word")),
        ("The answer is 3 + 4 = 7.", ("7", "word")),
        ("The final answer is: 9 eggs * $2 an egg = $18", ("18", "word")),
        ("The answer is 12, since 3x = 36.", ("12", "word")),
        ("The answer is 5. And 2 + 4 = 6.", ("5", "word")),
        ("The answer is 5? No, the answer is 6.", ("6", "word")),
        ("I have no answer. 4, then 5.", ("5", "last")),
        ("She has 5 and then 6.", ("6", "last")),
        ("She has some.", (None, None)),
    ],
)
def test_what_counts_as_the_answer(text, answer):
    assert read(text) == answer


def test_another_word_may_announce_the_answer():
    text = "Ergebnis: 1.250,5 Euro in 3 Jahren"
    assert read(text, word="Ergebnis", decimal=",") == ("1250.5", "word")
    assert read(text, decimal=",") == ("3", "last")


def table(*rows):
    schema = {"response": pl.String, "reference": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("id").with_columns(pl.col("id").cast(pl.String))


def test_a_wrong_answer_and_none_are_wrong_and_what_cannot_be_said_is_null_with_its_reason():
    out = numbers.check(
        table(
            ("so 18", "2 * 9 = <<2*9=18>>18\n#### 18"),
            ("so 19", "18"),
            ("so many", "18"),
            ("", "18"),
            (None, "18"),
            ("so 18", None),
            ("so 18", "x + 1"),
        )
    )
    assert out["correct"].to_list() == [True, False, False, False, None, None, None]
    assert out["answer"].to_list() == ["18", "19", None, None, None, "18", "18"]
    assert out["answer_error"].to_list() == [None, None, "no number", "no number", "no response", None, None]
    assert out["correct_error"].to_list()[4:] == ["no response", "no reference", "the reference: 'x + 1' is more than a number"]
    assert out["answer_by"].to_list()[:3] == ["last", "last", None]


def test_references_may_be_numbers_and_the_tolerance_is_what_was_written():
    rows = table(("0.4", ""), ("0.41", "")).with_columns(reference=pl.Series([0.1, 0.1]))
    assert numbers.check(rows, tolerance=0.3)["correct"].to_list() == [True, False]
    assert numbers.check(rows, relative=4)["correct"].to_list() == [True, True]


@pytest.mark.parametrize("knobs", [{"tolerance": -1}, {"relative": float("nan")}, {"decimal": ";"}])
def test_knobs_that_make_no_sense_are_refused(knobs):
    with pytest.raises(RecipeError, match=next(iter(knobs))):
        numbers.check(table(("1", "1")), **knobs)


def test_a_file_of_questions_with_answers_is_an_exam(tmp_path):
    file = tmp_path / "gsm.jsonl"
    file.write_text(json.dumps({"question": "2 + 2?", "answer": "2+2=<<2+2=4>>4\n#### 4"}) + "\n")
    exam = questions(source=str(file))
    assert exam.row(0, named=True) == {
        "id": "1",
        "question": "1",
        "prompt": "2 + 2?",
        "messages": [{"role": "user", "content": "2 + 2?"}],
        "reference": "2+2=<<2+2=4>>4\n#### 4",
    }
    assert numbers.check(exam.with_columns(response=pl.lit("It is 4.")))["correct"].to_list() == [True]
