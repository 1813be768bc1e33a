import polars as pl
import pytest
from engines_for_tests import Scripted

from attar.core.errors import DataError, RecipeError
from attar.engines.base import Reply, Spec
from attar.engines.fake import Fake
from attar.stages.synth import magpie


class Spy(Fake):
    def __init__(self, replies=None):
        super().__init__(Spec("fake", "spy"))
        self.requests, self.given = [], replies

    def generate(self, requests):
        for request in requests:
            self.requests.append(request)
            yield self.given(request) if self.given else Reply(request.index, f"text {request.seed}", "stop")


def test_the_mix_is_shared_out_exactly_and_every_draw_has_its_own_id():
    out = magpie.draws(
        count=10, mix=[{"share": 3, "temperature": 1.0}, {"share": 1, "temperature": 1.2, "top_p": 0.99}, {"share": 1}]
    )
    assert out["temperature"].to_list() == [1.0] * 6 + [1.2] * 2 + [1.0] * 2
    assert out["top_p"].to_list() == [1.0] * 6 + [0.99] * 2 + [1.0] * 2
    assert out["id"].n_unique() == 10


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_no_draw_is_lost_to_rounding(count):
    assert len(magpie.draws(count=count, mix=[{"share": 1}, {"share": 1}, {"share": 1}])) == count


def test_the_model_gets_its_own_template_up_to_the_users_text_and_nothing_else():
    spy = Spy()
    magpie.ask(magpie.draws(count=2), engine=spy)
    assert [request.text for request in spy.requests] == ["<user>", "<user>"]
    assert spy.requests[0].messages == ()
    assert spy.requests[0].sampling.stop == ("<end>", "<assistant>", "<user>")


def test_a_system_turn_steers():
    spy = Spy()
    magpie.ask(magpie.draws(count=2, mix=[{"system": "Be French."}, {}]), engine=spy)
    assert [request.text for request in spy.requests] == ["<system>Be French.<end><user>", "<user>"]


def test_every_draw_has_a_seed_of_its_own_that_depends_on_its_id_alone():
    whole, part = Spy(), Spy()
    plan = magpie.draws(count=20)
    magpie.ask(plan, engine=whole)
    magpie.ask(plan[5:9], engine=part)
    seeds = [request.seed for request in whole.requests]
    assert len(set(seeds)) == 20
    assert [request.seed for request in part.requests] == seeds[5:9]


def test_a_question_cut_off_or_empty_is_no_question():
    replies = {
        0: Reply(0, "Why is", "length"),
        1: Reply(1, "  ", "stop"),
        2: Reply(2, " Why? \n", "stop"),
        3: Reply(3, error="down"),
    }
    out = magpie.ask(magpie.draws(count=4), engine=Spy(lambda request: replies[request.index]))
    assert out["prompt"].to_list() == [None, None, "Why?", None]
    assert out["prompt_error"].to_list() == ["cut off", "empty answer", None, "down"]
    assert out["messages"].to_list() == [[], [], [{"role": "user", "content": "Why?"}], []]


def test_a_question_of_many_lines_and_colons_is_kept_whole():
    text = "Here is my code:\n\ndef f():\n    assistant = 1\n\nWhy? It fails # always"
    out = magpie.ask(magpie.draws(count=1), engine=Spy(lambda request: Reply(request.index, text, "stop")))
    assert out["prompt"].to_list() == [text]


def test_every_row_says_where_it_comes_from():
    out = magpie.ask(magpie.draws(count=1), engine=Spy(), seed=5)
    assert out["origin"].to_list() == [{"stage": "synth.magpie.ask", "engine": "spy", "seed": 5, "parents": []}]
    assert out.schema["origin"] == pl.Struct(
        {"stage": pl.String, "engine": pl.String, "seed": pl.Int64, "parents": pl.List(pl.String)}
    )


@pytest.mark.parametrize(("count", "mix"), [(-1, [{}]), (5, []), (5, [{"share": 0}]), (5, [{"share": -1}, {"share": 2}])])
def test_what_cannot_be_shared_out_is_refused(count, mix):
    with pytest.raises(RecipeError, match="count and shares must be >= 0"):
        magpie.draws(count=count, mix=mix)


def systems(*mix, count=1):
    return magpie.draws(count=count, mix=mix)["system"].to_list()


@pytest.mark.parametrize("what", ["domain", "topic", "language"])
def test_a_draw_can_be_steered_and_the_word_it_is_steered_to_stands_once_in_its_prefix(what):
    spy = Spy()
    magpie.ask(magpie.draws(count=1, mix=[{what: "Glasswort"}]), engine=spy)
    text = spy.requests[0].text
    assert text.startswith("<system>")
    assert text.endswith("<end><user>")
    assert text.count("Glasswort") == 1
    assert "{" not in text


def test_each_way_of_steering_says_something_of_its_own_and_all_go_together():
    ways = {"domain": "botany", "topic": "salt", "language": "Polish"}
    alone = systems(*({what: word} for what, word in ways.items()), count=3)
    (both,) = systems(ways)
    assert len({text.replace(word, "") for text, word in zip(alone, ways.values(), strict=True)}) == 3
    assert all(word in both for word in ways.values())
    assert len(both) < sum(map(len, alone))  # the opening is said once


def test_words_of_ones_own_take_the_place_of_all_steering():
    assert systems({"system": "Be brief.", "domain": "botany", "language": "Polish"}) == ["Be brief."]


def test_nothing_to_steer_to_is_no_system_turn():
    assert systems({}, {"topic": ""}, {"temperature": 1.2}, count=3) == [None] * 3


def test_steering_is_shared_out_as_temperatures_are():
    found = systems({"share": 3, "language": "Polish"}, {"share": 1, "language": "Welsh"}, {"share": 4}, count=16)
    assert ["Polish" in (text or "") for text in found] == [True] * 6 + [False] * 10
    assert ["Welsh" in (text or "") for text in found] == [False] * 6 + [True] * 2 + [False] * 8
    assert found[8:] == [None] * 8


PEOPLE = pl.DataFrame(
    {"id": ["a", "b", "c"], "persona": ["A beekeeper in Kraków, who writes {braces}.", None, ""], "field": ["bees", "x", "y"]}
)


def test_each_persona_gets_one_draw_steered_to_it_and_nobody_is_not_steered():
    out = magpie.draws_for(PEOPLE, temperature=1.3, top_p=0.9)
    assert out.select("id", "persona", "field").equals(PEOPLE)
    assert out["temperature"].to_list() == [1.3] * 3
    assert out["top_p"].to_list() == [0.9] * 3
    assert PEOPLE["persona"][0] in out["system"][0]
    assert out["system"].to_list()[1:] == [None, None]


def test_what_a_persona_asks_is_drawn_behind_that_persona_and_keeps_its_row():
    spy = Spy()
    out = magpie.ask(magpie.draws_for(PEOPLE, temperature=1.3, top_p=0.9), engine=spy, max_tokens=7)
    assert [PEOPLE["persona"][0] in request.text for request in spy.requests] == [True, False, False]
    assert [request.text for request in spy.requests[1:]] == ["<user>", "<user>"]
    assert {(r.sampling.temperature, r.sampling.top_p, r.sampling.max_tokens) for r in spy.requests} == {(1.3, 0.9, 7)}
    assert len({request.seed for request in spy.requests}) == 3
    assert out.select("id", "persona", "field").equals(PEOPLE)
    assert out["prompt"].null_count() == 0


def test_draws_for_a_table_without_personas_or_without_rows():
    with pytest.raises(DataError, match="column 'persona' is missing; the table has: id, field"):
        magpie.draws_for(PEOPLE.drop("persona"))
    assert magpie.draws_for(PEOPLE.clear()).schema["system"] == pl.String


def drawn(text, finish="stop"):
    """One draw from a model that says this, and the model."""
    engine = Scripted(lambda _: text if finish == "stop" else f"{text} ...")
    return magpie.ask(magpie.draws(count=1), engine=engine), engine


LONG = "Two things:\n\n1. What does an assistant user do?\n2. Why? And how?\n\n```c\nif (x) { y(); }\n```\nassistant: go on"


def test_an_instruction_of_many_lines_with_questions_code_and_the_word_assistant_is_kept_whole():
    out, _ = drawn(LONG)
    assert out["prompt"].to_list() == [LONG]


def test_neither_a_line_break_nor_the_word_assistant_is_a_stop():
    _, engine = drawn("x")
    stops = engine.asked[0].sampling.stop
    assert "<|im_end|>" in stops
    assert all(stop.strip() and stop not in LONG for stop in stops)


def test_a_truncated_instruction_is_not_taken_for_a_whole_one():
    out, _ = drawn("Write a story about", finish="length")
    assert out["prompt"].to_list() == [None]
    assert out["prompt_error"].to_list() == ["cut off"]
