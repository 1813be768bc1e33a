import json

import polars as pl
import pytest

from attar.core.errors import DataError
from attar.core.stage import columns_read
from attar.stages.evaluate.benchmarks import constraints
from attar.statistics.intervals import wilson

OFFICIAL = [
    ("keywords:existence", {"keywords": ["a", "b"]}, {"kind": "includes", "words": ["a", "b"]}),
    ("keywords:frequency", {"keyword": "a", "frequency": 2, "relation": "less than"}, {"kind": "word", "word": "a", "most": 1}),
    ("keywords:forbidden_words", {"forbidden_words": ["a"]}, {"kind": "excludes", "words": ["a"]}),
    (
        "keywords:letter_frequency",
        {"letter": "q", "let_frequency": 2, "let_relation": "at least"},
        {"kind": "letter", "letter": "q", "least": 2},
    ),
    ("language:response_language", {"language": "de"}, {"kind": "language", "language": "de"}),
    ("length_constraints:number_sentences", {"num_sentences": 4, "relation": "less than"}, {"kind": "sentences", "most": 3}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 4}, {"kind": "paragraphs", "least": 4, "most": 4}),
    ("length_constraints:number_words", {"num_words": 300.0, "relation": "at least"}, {"kind": "words", "least": 300}),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "Elm"},
        {"kind": "first_word", "paragraphs": 3, "paragraph": 2, "word": "Elm"},
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 3}, {"kind": "placeholders", "least": 3}),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, {"kind": "postscript", "mark": "P.S."}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}, {"kind": "bullets", "least": 3, "most": 3}),
    (
        "detectable_format:constrained_response",
        {},
        {"kind": "one_of", "options": ["My answer is yes.", "My answer is no.", "My answer is maybe."]},
    ),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 3}, {"kind": "highlights", "least": 3}),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Day", "num_sections": 3},
        {"kind": "sections", "mark": "Day", "least": 3},
    ),
    ("detectable_format:json_format", {}, {"kind": "json"}),
    ("detectable_format:title", {}, {"kind": "title"}),
    ("combination:two_responses", {}, {"kind": "two_answers"}),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say"}, {"kind": "repeats", "request": "Say"}),
    ("startend:end_checker", {"end_phrase": "Bye."}, {"kind": "ends", "phrase": "Bye."}),
    ("startend:quotation", {}, {"kind": "quoted"}),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        {"kind": "capital_words", "least": 2},
    ),
    ("change_case:english_capital", {}, {"kind": "capitals", "language": "en"}),
    ("change_case:english_lowercase", {}, {"kind": "lowercase", "language": "en"}),
    ("punctuation:no_comma", {}, {"kind": "no_comma"}),
]


def test_all_25_instructions_of_ifeval_become_constraints_of_ours():
    names, knobs, ours = zip(*OFFICIAL, strict=True)
    unused = {"num_sentences": None, "relation": None, "letter": None}  # as datasets fill up what a row has not
    assert constraints.from_ifeval(names, [unused | own for own in knobs]) == list(ours)
    assert len(set(names)) == 25


def test_files_of_ours_and_of_ifeval_are_read_and_what_is_wrong_says_where(tmp_path):
    file = tmp_path / "exam.jsonl"
    theirs = {"key": 1000, "prompt": "Write.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    ours = {"prompt": "Go on.", "constraints": [{"kind": "words", "most": 9}]}
    file.write_text(f"{json.dumps(theirs)}\n{json.dumps(ours)}\n")
    exam = constraints.questions(source=str(file))
    assert exam.select("id", "question", "prompt").rows() == [("1000", "1000", "Write."), ("2", "2", "Go on.")]
    assert [json.loads(text) for text in exam["constraints"]] == [[{"kind": "no_comma"}], [{"kind": "words", "most": 9}]]
    for change, why in (
        (
            {"instruction_id_list": ["punctuation:no_coma"]},
            "row 1: there is no instruction 'punctuation:no_coma'; did you mean",
        ),
        ({"kwargs": []}, "row 1: 1 instructions, and arguments for 0"),
        ({"instruction_id_list": ["startend:end_checker"]}, "row 1: instruction 'startend:end_checker' has no 'end_phrase'"),
        ({"prompt": None}, "row 1: a question must be an object with a 'prompt'"),
    ):
        file.write_text(json.dumps(theirs | change))
        with pytest.raises(DataError, match=why):
            constraints.questions(source=str(file))


def answers(*rows):
    """Rows of question, response and constraints."""
    schema = {"question": pl.String, "response": pl.String, "constraints": pl.String}
    told = [(question, response, json.dumps(demands)) for question, response, demands in rows]
    table = pl.DataFrame(told, schema=schema, orient="row").with_row_index("id")
    return table.with_columns(pl.col("id").cast(pl.String))


SHORT, PLAIN, END = {"kind": "words", "most": 3}, {"kind": "no_comma"}, {"kind": "ends", "phrase": "Bye."}


def test_each_constraint_is_judged_strictly_and_loosely_and_each_failure_has_its_reason():
    out = constraints.check(
        answers(
            ("p", "So, bye.", [SHORT, PLAIN, END]),
            ("q", "Here, you are:\nBye.*", [PLAIN, END]),
            ("r", "", [SHORT]),
            ("s", None, [SHORT]),
            ("t", "Sure, here:\nAll is well.\nBye, then.", [PLAIN]),
        )
    )
    assert out["followed"].to_list() == [[True, False, True], [False, False], [False], None, [False]]
    assert out["followed_loose"].to_list() == [[True, False, True], [True, True], [False], None, [True]]
    assert out["missed"].to_list()[:3] == [
        ["no_comma: 1 commas"],
        ["no_comma: 1 commas", "ends: does not end with 'Bye.'"],
        ["words: is empty"],
    ]
    assert out.select("correct", "correct_loose", "correct_error").rows() == [
        (False, False, None),
        (False, True, None),
        (False, False, None),
        (None, None, "no response"),
        (False, True, None),
    ]


def test_constraints_may_be_lists_and_wrong_ones_name_their_row():
    rows = answers(("p", "a", [SHORT]), ("q", "a", [END]))
    kinds = pl.List(pl.Struct({"kind": pl.String, "most": pl.Int64, "phrase": pl.String}))
    lists = rows.with_columns(constraints=pl.Series([[SHORT], [END]], dtype=kinds))
    assert constraints.check(lists)["correct"].to_list() == [True, False]
    for said, why in (
        ("[]", "must be a list of one or more"),
        ('[{"kind": "x"}]', "no kind of constraint 'x'"),
        (None, "list"),
    ):
        with pytest.raises(DataError, match=f"row '0', column 'constraints': .*{why}"):
            constraints.check(rows.with_columns(constraints=pl.lit(said, dtype=pl.String)))


def test_figures_are_those_worked_out_by_hand():
    rows = answers(("p", "So, bye.", [SHORT, PLAIN]), ("q", "a b c d", [SHORT]), ("r", "a", [SHORT, PLAIN]), ("s", None, [END]))
    out = constraints.figures(constraints.check(rows))
    told = {row["id"]: (row["value"], row["count"]) for row in out.to_dicts()}
    assert told == {
        "all/prompt_strict": (pytest.approx(1 / 3), 3),
        "all/instruction_strict": (pytest.approx(3 / 5), 5),
        "no_comma/instruction_strict": (0.5, 2),
        "words/instruction_strict": (pytest.approx(2 / 3), 3),
        "all/prompt_loose": (pytest.approx(1 / 3), 3),
        "all/instruction_loose": (pytest.approx(3 / 5), 5),
        "no_comma/instruction_loose": (0.5, 2),
        "words/instruction_loose": (pytest.approx(2 / 3), 3),
        "all/unscored": (0.25, 4),
    }
    low, high = out.row(by_predicate=pl.col("id") == "all/prompt_strict", named=True), wilson(1, 3)
    assert (low["low"], low["high"]) == (pytest.approx(high[0]), pytest.approx(high[1]))
    assert columns_read(constraints.figures, {"model": "model"})[-2:] == ("question", "model")


def test_constraints_of_one_question_that_go_together_are_no_surer_than_questions():
    both = [{"kind": "no_comma"}, {"kind": "words", "most": 2}]
    rows = answers(*((f"q{i}", "a" if i < 12 else "a, b, c", both) for i in range(30)))
    told = {row["id"]: row for row in constraints.figures(constraints.check(rows)).to_dicts()}
    prompt, each = told["all/prompt_strict"], told["all/instruction_strict"]
    assert (each["value"], each["count"]) == (prompt["value"], 60)
    assert each["high"] - each["low"] >= prompt["high"] - prompt["low"]


def test_models_have_figures_of_their_own():
    rows = answers(("p", "a", [PLAIN]), ("p", "a,", [PLAIN])).with_columns(model=pl.Series(["one", "two"]))
    out = constraints.figures(constraints.check(rows), model="model")
    strict = out.filter(pl.col("id").str.ends_with("all/prompt_strict"))
    assert strict.select("id", "model", "value").rows() == [
        ("one/all/prompt_strict", "one", 1),
        ("two/all/prompt_strict", "two", 0),
    ]
