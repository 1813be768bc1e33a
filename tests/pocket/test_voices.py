from collections import Counter
from random import Random

import pytest

from attar.pocket.tasks import CATEGORY
from attar.pocket.voices import TRADES, Persona, persona_system


def test_a_persona_is_one_sentence_and_its_trade_decides_the_kind_of_task():
    someone = Persona("sailor", "Nor", "foods")
    assert someone.text == "A sailor from Nor who likes foods."
    assert someone.category == "information seeking"
    assert set(TRADES.values()) == set(CATEGORY.values())


def test_all_384_people_are_drawn_about_as_often():
    dice = Random(0)
    drawn = Counter(Persona.draw(dice) for _ in range(384 * 40))
    assert len(drawn) == len({person.text for person in drawn}) == 384
    assert max(drawn.values()) < 3 * min(drawn.values()) + 40


@pytest.mark.parametrize(("hardness", "level"), [(1, "easy"), (2, "medium"), (3, "hard")])
def test_the_system_turn_names_the_level_that_is_asked_for(hardness, level):
    assert persona_system(hardness) == f"Write one {level} task for this person."
