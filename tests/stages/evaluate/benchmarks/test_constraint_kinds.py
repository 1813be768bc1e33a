import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.stages.evaluate.benchmarks import constraint_kinds
from attar.stages.evaluate.benchmarks.constraint_kinds import validate_constraint, violation

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
    assert violation(text, validate_constraint(constraint)) is None


@pytest.mark.parametrize(("constraint", "text", "why"), MISSED)
def test_a_text_that_does_not_says_what_it_misses(constraint, text, why):
    assert violation(text, validate_constraint(constraint)) == why


def test_what_is_no_json_says_where():
    assert violation('{"a": 1', {"kind": "json"}).startswith("json: is not JSON: Expecting")


def test_every_kind_that_needs_no_library_is_tried_above():
    tried = {constraint["kind"] for constraint, *_ in FOLLOWED}
    assert tried == {*constraint_kinds.COUNTS, *constraint_kinds.DEMANDS} - {"language"}


@given(st.text(), st.sampled_from([constraint for constraint, *_ in (*FOLLOWED, *MISSED)]))
def test_no_text_is_too_strange_to_be_judged(text, constraint):
    why = violation(text, constraint)
    assert why is None or why.startswith(constraint["kind"] + ": ")


def test_a_language_is_detected_and_capitals_do_not_hide_it():
    pytest.importorskip("py3langid")
    english, german = "The weather in the mountains is fine today.", "Das Wetter in den Bergen ist heute sehr schön."
    assert violation(german, {"kind": "language", "language": "de"}) is None
    assert violation(english, {"kind": "language", "language": "de"}) == "language: is written in 'en', not 'de'"
    assert violation(english.upper(), {"kind": "capitals", "language": "en"}) is None
    assert violation(german.lower(), {"kind": "lowercase", "language": "en"}) == "lowercase: is written in 'de', not 'en'"


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
        validate_constraint(constraint)
