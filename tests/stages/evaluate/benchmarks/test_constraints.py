import json
from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read
from attar.stages.evaluate.benchmarks import constraint_kinds, constraints
from attar.stages.evaluate.benchmarks.constraint_kinds import missed, sound
from attar.stages.evaluate.benchmarks.constraint_tasks import tasks
from attar.statistics.intervals import wilson

FOLLOWED = [
    ({"kind": "words", "least": 4, "most": 4}, "I don't know"),
    ({"kind": "words", "most": 2}, "\u0939\u093f\u0928\u094d\u0926\u0940 \u0917\u093e\u0928\u093e"),
    ({"kind": "sentences", "least": 3, "most": 3}, 'Dr. Low left at 5 p.m. today, e.g. by bus. "Why?" Nobody\nknows.'),
    ({"kind": "sentences", "least": 2, "most": 2}, "so it goes. and on it goes."),
    ({"kind": "sentences", "most": 2}, "1. J. Smith came... and went. 2. Then all was well"),
    ({"kind": "paragraphs", "least": 2, "most": 2}, "***\nOne\n***\nTwo"),
    ({"kind": "bullets", "least": 3, "most": 3}, "Text\n* one\n - two\n*three\n**bold** no"),
    ({"kind": "highlights", "least": 2, "most": 2}, "A *b* and **c d** and ** ** and *\n*"),
    ({"kind": "sections", "mark": "Part", "least": 2}, "Part 1\na\nPart2\nb\npart 3"),
    ({"kind": "placeholders", "least": 2, "most": 2}, "Dear [name], [] and [no\nend"),
    ({"kind": "capital_words", "least": 4, "most": 4}, "I'm at the NATO-UN (USA) A. Yes."),
    ({"kind": "letter", "letter": "K", "least": 3, "most": 3}, "Kick"[:4] + " k"),
    ({"kind": "word", "word": "cat", "least": 2, "most": 2}, "Cats concatenate"),
    ({"kind": "includes", "words": ["a.b", "Sun"]}, "A.B and sunny"),
    ({"kind": "excludes", "words": ["sun", "a.b"]}, "sunny aXb"),
    ({"kind": "capitals"}, "ALL 3 OF US!"),
    ({"kind": "lowercase"}, "all 3 of us!"),
    ({"kind": "first_word", "paragraphs": 2, "paragraph": 2, "word": "Then"}, "One\n\n\n\n'then, two"),
    ({"kind": "postscript", "mark": "P.S."}, "Bye.\np. s. More"),
    ({"kind": "postscript", "mark": "P.P.S"}, "Bye. P.P.S More"),
    ({"kind": "title"}, "<<A <title>>>\ntext"),
    ({"kind": "json"}, '```JSON\n{"a": [1, null]}\n```'),
    ({"kind": "one_of", "options": ["Yes.", "No."]}, "I say: No."),
    ({"kind": "two_answers", "between": "******"}, "******\nOne\n******\nTwo\n******"),
    ({"kind": "repeats", "request": "Say it\nTWICE "}, " say it\ntwice: it it"),
    ({"kind": "ends", "phrase": "The End."}, 'So it was. the end."  '),
    ({"kind": "no_comma"}, "a; b"),
    ({"kind": "quoted"}, ' "so" '),
]
MISSED = [
    ({"kind": "words", "least": 4}, "one two", "words: 2, at least 4 wanted"),
    ({"kind": "words", "most": 1}, "one two", "words: 2, at most 1 wanted"),
    ({"kind": "bullets", "least": 1, "most": 1}, "* a\n* b", "bullets: 2, exactly 1 wanted"),
    ({"kind": "bullets", "least": 0}, "  \n", "bullets: is empty"),
    ({"kind": "paragraphs", "least": 2, "most": 2}, "One\n***\n***\nTwo", "paragraphs: an empty paragraph"),
    ({"kind": "sections", "mark": "Part (", "least": 1}, "Part 1", "sections: 0, at least 1 wanted"),
    ({"kind": "includes", "words": ["sun", "moon", "star"]}, "a star", "includes: lacks 'sun', 'moon'"),
    ({"kind": "excludes", "words": ["sun"]}, "The Sun.", "excludes: has 'sun'"),
    ({"kind": "capitals"}, "Not ALL", "capitals: has small letters"),
    ({"kind": "lowercase"}, "123", "lowercase: has no letters"),
    ({"kind": "first_word", "paragraphs": 2, "paragraph": 1, "word": "a"}, "a", "first_word: 1 paragraphs, 2 wanted"),
    (
        {"kind": "first_word", "paragraphs": 1, "paragraph": 1, "word": "a"},
        "An. a",
        "first_word: paragraph 1 begins with 'An', not 'a'",
    ),
    ({"kind": "first_word", "paragraphs": 1, "paragraph": 2, "word": "a"}, "a", "first_word: there is no paragraph 2 of 1"),
    ({"kind": "postscript", "mark": "P.P.S"}, "P.S. x", "postscript: no postscript with 'P.P.S'"),
    ({"kind": "title"}, "<< >> <<a\nb>>", "title: no title in << >>"),
    ({"kind": "one_of", "options": ["Yes.", "No."]}, "no.", "one_of: says none of 'Yes.', 'No.'"),
    ({"kind": "two_answers"}, "One", "two_answers: 1 answers parted by '******', 2 wanted"),
    ({"kind": "two_answers"}, "One****** ******Two", "two_answers: an empty answer"),
    ({"kind": "two_answers"}, "One****** One", "two_answers: the two answers are the same"),
    ({"kind": "repeats", "request": "Say it"}, "I say it", "repeats: does not repeat the request first"),
    ({"kind": "ends", "phrase": "end."}, "The end. Or not", "ends: does not end with 'end.'"),
    ({"kind": "no_comma"}, "a, b,", "no_comma: 2 commas"),
    ({"kind": "quoted"}, '"', "quoted: is not wrapped in double quotes"),
]


@pytest.mark.parametrize(("constraint", "text"), FOLLOWED, ids=lambda value: value["kind"] if isinstance(value, dict) else "")
def test_a_text_that_does_what_is_demanded_misses_nothing(constraint, text):
    assert missed(text, sound(constraint)) is None


@pytest.mark.parametrize(("constraint", "text", "why"), MISSED)
def test_a_text_that_does_not_says_what_it_misses(constraint, text, why):
    assert missed(text, sound(constraint)) == why


def test_what_is_no_json_says_where():
    assert missed('{"a": 1', {"kind": "json"}).startswith("json: is not JSON: Expecting")


def test_every_kind_that_needs_no_library_is_tried_above():
    tried = {constraint["kind"] for constraint, *_ in FOLLOWED}
    assert tried == {*constraint_kinds.COUNTS, *constraint_kinds.DEMANDS} - {"language"}


@given(st.text(), st.sampled_from([constraint for constraint, *_ in (*FOLLOWED, *MISSED)]))
def test_no_text_is_too_strange_to_be_judged(text, constraint):
    why = missed(text, constraint)
    assert why is None or why.startswith(constraint["kind"] + ": ")


def test_a_language_is_told_and_capitals_do_not_hide_it():
    pytest.importorskip("py3langid")
    english, german = "The weather in the mountains is fine today.", "Das Wetter in den Bergen ist heute sehr schön."
    assert missed(german, {"kind": "language", "language": "de"}) is None
    assert missed(english, {"kind": "language", "language": "de"}) == "language: is written in 'en', not 'de'"
    assert missed(english.upper(), {"kind": "capitals", "language": "en"}) is None
    assert missed(german.lower(), {"kind": "lowercase", "language": "en"}) == "lowercase: is written in 'de', not 'en'"


@pytest.mark.parametrize(
    ("constraint", "why"),
    [
        ("words", "must be a mapping with a 'kind'"),
        ({"kind": "wrods", "least": 1}, "no kind of constraint 'wrods'; did you mean 'words'"),
        ({"kind": "words"}, "'words' needs least, or most, or both"),
        ({"kind": "words", "leats": 3}, "no knob 'leats'; did you mean 'least'"),
        ({"kind": "words", "least": "3"}, "least must be a whole number, not '3'"),
        ({"kind": "words", "least": True}, "least must be a whole number"),
        ({"kind": "words", "most": -1}, "most must be a whole number"),
        ({"kind": "letter", "least": 3}, "'letter' needs letter"),
        ({"kind": "includes", "words": []}, "words must be a list of texts"),
        ({"kind": "includes", "words": "sun"}, "words must be a list of texts"),
        ({"kind": "ends", "phrase": " "}, "phrase must be a text"),
        ({"kind": "title", "least": 1}, "no knob 'least'; there are none"),
    ],
)
def test_a_constraint_that_is_not_right_is_refused_with_what_to_do(constraint, why):
    with pytest.raises(ValueError, match=why):
        sound(constraint)


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
    assert constraints.official(names, [unused | own for own in knobs]) == list(ours)
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


def test_an_exam_is_distinct_questions_that_say_all_that_is_checked():
    exam = tasks(count=300)
    assert exam["prompt"].n_unique() == exam["id"].n_unique() == 300
    assert Counter(exam["level"]) == {"easy": 100, "medium": 100, "hard": 100}
    kinds = Counter()
    for prompt, text, level in exam.select("prompt", "constraints", "level").iter_rows():
        demands = json.loads(text)
        assert len(demands) == {"easy": 1, "medium": 2, "hard": 3}[level]
        for demand in demands:
            assert sound(demand) == demand
            kinds[demand["kind"]] += 1
            for value in [value for name, value in demand.items() if name != "kind"]:
                assert all(str(item) in prompt for item in (value if isinstance(value, list) else [value]))
    assert min(kinds.values()) >= 5
    assert len(kinds) == 20


def test_no_question_demands_what_its_other_constraints_exclude():
    for text in tasks(count=3000)["constraints"]:
        kinds = {demand["kind"] for demand in json.loads(text)}
        assert not ({"sections"} <= kinds and kinds & {"capitals", "lowercase"}), "a heading has a capital letter of its own"
        assert len(kinds & {"capitals", "lowercase", "capital_words"}) <= 1
        assert len(kinds & {"quoted", "ends", "postscript"}) <= 1


def test_an_exam_hangs_on_its_seed_and_a_longer_one_begins_with_a_shorter():
    assert tasks(count=60, seed=1).head(30).equals(tasks(count=30, seed=1))
    assert len(set(tasks(count=60, seed=1)["prompt"]) & set(tasks(count=60, seed=2)["prompt"])) < 6


def test_more_questions_than_there_are_is_refused(monkeypatch):
    groups = tuple((lambda rng, kind=kind: (f"{kind}.", {"kind": kind}),) for kind in ("title", "quoted", "no_comma"))
    for name, few in (("_SUBJECTS", ("maps",)), ("_REQUESTS", ("About {}.",)), ("_GROUPS", groups)):
        monkeypatch.setattr(f"attar.stages.evaluate.benchmarks.constraint_tasks.{name}", few)
    assert len(tasks(count=9)) == 9  # of each level three
    with pytest.raises(RecipeError, match="12 different questions are too many: there are 9"):
        tasks(count=12)
