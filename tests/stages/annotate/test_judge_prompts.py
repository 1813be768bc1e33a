import string

import pytest

from attar.pocket.voices import JUDGE, TAG
from attar.stages.annotate.judge_prompts import CATEGORIES, DIFFICULTIES, FORMS, QUALITIES, RUBRICS, Form, is_list


def places(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_a_forms_schema_asks_for_each_field_and_lists_what_takes_several_values():
    form = Form("", "", {"why": None, "kind": ("a", "b"), "other_kinds": ("a", "b")})
    assert form.schema == {
        "type": "object",
        "properties": {
            "why": {"type": "string"},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "other_kinds": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        },
        "required": ["why", "kind", "other_kinds"],
        "additionalProperties": False,
    }
    assert [is_list(field) for field in form.fields] == [False, False, True]


def test_the_instruction_form_names_every_field_and_every_value_in_its_order():
    form = FORMS["instruction"]
    asked = [form.system.index(f'"{field}": ') for field in form.fields]
    assert asked == sorted(asked)
    for values in (DIFFICULTIES, QUALITIES, CATEGORIES):
        assert ", ".join(values) in form.system
    assert places(form.user) == {"prompt"}


def test_the_pocket_form_asks_as_the_pocket_teacher_was_trained_to_be_asked():
    form = FORMS["pocket"]
    assert (form.system, form.user) == (TAG, "{prompt}")
    assert form.fields["difficulty"] == ("easy", "medium", "hard")
    assert set(form.fields["category"]) == {"math", "editing", "reasoning", "information seeking"}


@pytest.mark.parametrize("name", RUBRICS)
def test_a_rubrics_numbers_are_whole_and_rising_and_its_question_has_places_for_what_it_grades(name):
    rubric = RUBRICS[name]
    assert rubric.labels == tuple(str(value) for value in rubric.values)
    assert list(rubric.values) == list(range(rubric.values[0], rubric.values[-1] + 1))
    answered = name in ("helpfulness", "pocket")
    assert places(rubric.user) == ({"prompt", "response"} if answered else {"prompt"})
    assert rubric.values == (tuple(range(11)) if name == "helpfulness" else (1, 2, 3, 4, 5))
    assert rubric.system == JUDGE if name == "pocket" else "Reply with that one number" in rubric.system
