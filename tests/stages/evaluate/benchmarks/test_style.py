import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import RecipeError
from attar.stages.evaluate.benchmarks import style

ANSWER = """\
# Plan
### Steps
1. **first** thing
2. second
- a
  * b

+ c
Some __bold__ words, **two** of them. #none
"""


def test_headers_items_and_bold_places_are_counted():
    assert style.count_marks(ANSWER)[1:] == (2, 5, 3)


@pytest.mark.parametrize(
    "code",
    [
        "```python\n# a comment\n- x\n**y**\n```",
        "```\necho `date`\n# a backtick within\n```",
        "~~~\n# tildes\n~~~",
        "````\n```\n# a fence in a fence\n```\n````",
        "```\n# never closed\n- x",
    ],
)
def test_what_stands_in_code_is_no_style(code):
    assert style.count_marks(f"# one\n\n{code}")[1:] == (1, 0, 0)


def test_a_text_that_also_stands_in_code_is_still_counted():
    assert style.count_marks("```- a\n```\n\n- x\n```\n- x\n```\n- x")[2] == 2


def test_lengths_are_of_the_whole_text():
    assert style.count_marks("ab `c`\n```\nx\n```\n", "characters")[0] == 17


def test_tokens_are_pieces_of_words_numbers_signs_and_lines():
    assert style.tokens("Internationalisation, in 2024!") == 3 + 1 + 1 + 2 + 1
    assert style.tokens("日本語です") == 5
    assert style.tokens("") == 0


def battle(response, against):
    return pl.DataFrame({"id": ["b"], "response": [response], "against": [against]}, schema_overrides={"against": pl.String})


def test_leads_are_worked_out_by_hand():
    row = style.leads(battle("# a\n- b **c**", "word")).row(0, named=True)
    # tokens: # a newline - b ** c ** = 8 against 1; of 9 and of 2 the shares are 1/9 and nothing
    share = (1 / 9) / (1 / 9 + 1)
    assert [row[f"lead_{mark}"] for mark in style.MARKS] == pytest.approx([7 / 9, share, share, share])


def test_two_empty_answers_are_even_and_a_missing_one_has_no_lead():
    assert style.leads(battle("", "")).row(0)[3:] == (0.0, 0.0, 0.0, 0.0)
    assert style.leads(battle("a", None)).row(0)[3:] == (None,) * 4


@given(st.text("# -*_\n1.ab`", max_size=60), st.text("# -*_\n1.ab`", max_size=60))
def test_leads_turn_with_the_sides_and_stay_within_one(one, other):
    there, back = (np.array(style.leads(battle(*pair)).row(0)[3:]) for pair in ((one, other), (other, one)))
    assert there == pytest.approx(-back)
    assert (np.abs(there) <= 1).all()


def test_leads_are_divided_by_their_spread_over_votes_and_nought_stays_nought():
    leads, votes = np.array([[0.0, 1.0], [4.0, 1.0]]), np.array([3.0, 1.0])
    # four votes, 0 0 0 4: mean 1, squares 1 + 1 + 1 + 9 by 3 is 4, so the spread is 2; the second lead has none
    assert style.scale_leads(leads, votes).tolist() == [[0, 0], [2, 0]]
    assert style.scale_leads(leads, votes, centred=True)[:, 0].tolist() == [-0.5, 1.5]


def test_an_unknown_style_is_an_error():
    with pytest.raises(RecipeError, match="did you mean 'lists'"):
        style.lead_columns(["list"])
    with pytest.raises(RecipeError, match="'words'"):
        style.leads(battle("a", "b"), length="words")
