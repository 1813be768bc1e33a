import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.pocket.speech import parse
from attar.pocket.tasks import CATEGORY, level
from attar.pocket.voices import TRADES
from attar.stages.synth import expert, plain_personas

PEOPLE = pl.DataFrame({"id": ["a", "b"], "persona": ["A hydrologist in Kraków.", None]})


def test_a_persona_is_asked_for_one_message_and_nobody_for_one_of_any_field():
    engine = Scripted(lambda _: "How fast does it flow?")
    out = expert.ask(PEOPLE, engine=engine)
    first, second = (request.messages for request in engine.asked)
    assert "A hydrologist in Kraków." in first[1]["content"]
    assert "expert of a field of your choice" in second[1]["content"]
    assert out["prompt"].to_list() == ["How fast does it flow?"] * 2
    assert out["messages"].to_list()[0] == [{"role": "user", "content": "How fast does it flow?"}]
    assert out["origin"].struct.field("stage").to_list() == ["synth.expert.ask"] * 2


def test_what_was_cut_off_refused_or_empty_is_a_failure_of_its_row():
    many = pl.DataFrame({"id": list("abc"), "persona": ["x", "y", "z"]})
    said = iter(["It goes on ...", ValueError("refused"), "  "])
    out = expert.ask(many, engine=Scripted(lambda _: next(said)))
    assert out["prompt_error"].to_list() == ["cut off", "refused", "empty answer"]
    assert out["prompt"].null_count() == 3


def test_facets_depend_on_the_rows_name_and_are_shown_to_the_model():
    many = pl.DataFrame({"id": [f"p{i}" for i in range(200)], "persona": ["x"] * 200})
    engine = Scripted(lambda _: "So?")
    out = expert.ask(many, engine=engine, facets=True)
    assert set(out["task"]) == set(expert.TASKS)
    assert set(out["constraint"]) == set(expert.CONSTRAINTS)
    assert out["task"][7] in engine.asked[7].messages[1]["content"]
    assert out["constraint"][7] in engine.asked[7].messages[1]["content"]
    again = expert.ask(many.reverse(), engine=engine, facets=True).reverse()
    assert again["task"].equals(out["task"])


def test_a_row_draws_the_same_whatever_rows_are_about_it():
    engine = Scripted(lambda request: f"draw {request.seed}")
    assert expert.ask(PEOPLE, engine=engine)["prompt"][1] == expert.ask(PEOPLE[1:], engine=engine)["prompt"][0]


@pytest.fixture(scope="module")
def asked():
    teacher = Local(Spec("local", "pocket:teacher", {"dtype": "float64", "threads": 1}))
    return expert.ask(plain_personas.pocket(count=120, seed=1), engine=teacher, voice="pocket", max_tokens=80)


def test_the_pocket_teacher_asks_hard_tasks_of_each_persons_kind(asked):
    tasks = [(persona, parse(prompt or "")) for persona, prompt in asked.select("persona", "prompt").iter_rows()]
    fit = [task and level(task) == 3 and CATEGORY[task.family] == TRADES[persona.split()[1]] for persona, task in tasks]
    assert sum(map(bool, fit)) >= 0.7 * 120
