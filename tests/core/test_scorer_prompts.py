import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import DataError, RecipeError
from attar.core.scorer_prompts import WORDINGS, Question, question_text, read_question, resolve_question, write_question


@given(st.text(), st.text())
def test_prompt_and_response_stand_in_a_question_as_they_are(prompt, response):
    there = Question("q", "A:{prompt}B:{response}C").about(prompt, response)
    assert there == f"A:{prompt}B:{response}C"
    back = Question("q", "A:{response}B:{prompt}C").about(prompt, response)
    assert back == f"A:{response}B:{prompt}C"


def test_a_file_is_taken_as_it_is_but_for_the_line_break_that_editors_leave(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("Rate: {prompt}  \nScore: \n")
    assert resolve_question("hardness", str(file)).wording == "Rate: {prompt}  \nScore: "
    assert not resolve_question("hardness", str(file)).on_response
    assert resolve_question("complexity", "quality").wording == WORDINGS["quality"]


def test_a_recipe_can_hand_on_the_text_in_place_of_its_file(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("Rate: {prompt}\nScore: ")
    text = question_text(str(file))
    assert resolve_question("hardness", text) == resolve_question("hardness", str(file))
    assert question_text(text) == text
    assert resolve_question("quality", question_text("quality")) == resolve_question("quality")


@pytest.mark.parametrize("text", ["no place", "{prompt} {prompt}", "{prompt} {response} {response}"])
def test_a_file_without_its_places_is_refused(tmp_path, text):
    file = tmp_path / "own.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=r"own.txt is not a question: it needs \{prompt\} once"):
        resolve_question("quality", str(file))


def test_a_question_that_is_nowhere_is_refused():
    with pytest.raises(RecipeError, match=r"no question of ours on 'complexty' \(did you mean 'complexity'\?\)"):
        resolve_question("complexty")
    with pytest.raises(RecipeError, match=r"question 'lost.txt' is no file"):
        resolve_question("complexity", "lost.txt")


@pytest.mark.parametrize("labels", [(1,), (1, 1, 2), (1, 2.5), (True, 2), ("1", "2")])
def test_labels_are_two_whole_numbers_or_more(labels):
    with pytest.raises(RecipeError, match="two whole numbers or more, each once"):
        resolve_question("quality", None, labels)


def test_what_a_folder_keeps_is_read_back(tmp_path):
    asked = Question("depth", "Äh: {prompt}\n", (0, 5, 10))
    write_question(tmp_path, asked, {"trained on": 3})
    assert read_question(tmp_path) == asked
    assert asked.labels == ("0", "5", "10")
    assert read_question(tmp_path / "none") is None


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"what": "q", "question": "none", "labels": [1, 2]})])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "scorer.json").write_text(text)
    with pytest.raises(DataError, match=r"scorer.json is damaged"):
        read_question(tmp_path)
