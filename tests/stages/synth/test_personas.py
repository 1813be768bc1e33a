from collections import Counter

import polars as pl
import pytest
from servers_for_tests import Served, good, http

from attar.core.errors import DataError, RecipeError
from attar.engines.ask_rows import RowAnswer
from attar.engines.base import Reply, Spec
from attar.engines.fake import Fake
from attar.engines.http import server_queue
from attar.stages.synth import expert_fields, personas


class Spy(Fake):
    def __init__(self, *replies, **options):
        super().__init__(Spec("fake", "spy", options))
        self.requests, self.given = [], replies

    def generate(self, requests):
        for request in requests:
            self.requests.append(request)
            yield Reply(request.index, self.given[len(self.requests) - 1], "stop")


def texts(*values):
    return pl.DataFrame({"id": [f"t{i}" for i in range(len(values))], "text": pl.Series(values, dtype=pl.String)})


def people(*values, **more):
    ids = [f"p{i}" for i in range(len(values))]
    return pl.DataFrame({"id": ids, "persona": pl.Series(values, dtype=pl.String), **more})


# sampling from it


def test_a_few_personas_are_the_first_of_many():
    few, many = personas.sample(count=100, seed=7), personas.sample(count=1000, seed=7)
    assert few.equals(many.head(100))
    assert many["id"].n_unique() == many["persona"].n_unique() == 1000
    assert many["id"].str.contains(r"^p-[0-9a-f]{16}$").all()


def test_personas_are_spread_evenly_over_the_domains_and_their_fields():
    out = personas.sample(count=1_010, seed=1)
    assert set(Counter(out["domain"]).values()) == {50, 51}
    for (domain,), rows in out.group_by("domain"):
        counts = Counter(rows["field"])
        known = next(one for one in expert_fields.domains() if one.name == domain)
        assert set(counts) == set(known.fields)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_another_seed_gives_other_personas_under_the_same_names():
    one, other = (personas.sample(count=20_000, seed=seed) for seed in (0, 1))
    assert one["persona"].head(20).to_list() != other["persona"].head(20).to_list()
    both = one.join(other, on="persona", suffix="_other")
    assert 3_000 < len(both) < 9_000  # 20,000 of 68,768 by chance: 5,817 in both
    assert both["id"].to_list() == both["id_other"].to_list()


def test_all_of_the_taxonomy_can_be_had_and_not_one_more():
    there = sum(1 for _ in expert_fields.sentences())
    assert personas.sample(count=there)["persona"].n_unique() == there
    with pytest.raises(DataError, match=f"but the built-in taxonomy has only {there} different ones: lower the count"):
        personas.sample(count=there + 1)


@pytest.mark.parametrize("knobs", [{"count": -1}, {"count": 3, "column": "bio"}])
def test_knobs_that_make_no_sense_are_refused(knobs):
    with pytest.raises(RecipeError, match="a count is 0 or more, and only a source has columns"):
        personas.sample(**knobs)


# from texts, and from other personas


def test_a_persona_stands_beside_its_text_and_a_failure_beside_its_reason():
    spy = Spy("A brewer of ginger beer.", "I'm sorry, but I can't help with that.", "")
    out = personas.from_text(texts("On yeast.", None, "On bombs.", "On dust.", ""), engine=spy, seed=3)
    assert out["persona"].to_list() == ["A brewer of ginger beer.", None, None, None, None]
    assert out["persona_error"].to_list() == [None, "no text", "refused", "empty answer", "no text"]
    assert out["id"].to_list() == ["t0", "t1", "t2", "t3", "t4"]
    assert out["origin"][0] == {"stage": "synth.personas.from_text", "engine": "spy", "seed": 3, "parents": []}
    assert [("On yeast." in request.messages[-1]["content"]) for request in spy.requests] == [True, False, False]


def test_each_text_has_a_seed_of_its_own_that_depends_on_its_id_alone():
    whole, part = Spy(*["A."] * 6), Spy(*["A."] * 2)
    table = texts(*"abcdef")
    personas.from_text(table, engine=whole)
    personas.from_text(table[2:4], engine=part)
    seeds = [request.seed for request in whole.requests]
    assert len(set(seeds)) == 6
    assert [request.seed for request in part.requests] == seeds[2:4]


def test_a_reply_that_was_cut_off_or_failed_is_no_persona():
    cut = personas.from_text(texts("a", "b"), engine=Fake(Spec("fake", "m", {"cut": 1.0})))
    assert (cut["persona"].to_list(), cut["persona_error"].to_list()) == ([None, None], ["cut off"] * 2)
    failed = personas.from_persona(people("A nun."), engine=Fake(Spec("fake", "m", {"faults": 1.0})))
    assert (failed["persona"].to_list(), failed["persona_error"].to_list()) == ([None], ["fault on demand"])


def test_somebody_related_is_a_new_person_with_the_other_as_parent():
    spy = Spy("A pupil of forty.", "A rival.")
    before = people("A juggler.", None, "A potter.", "", domain=["d"] * 4, field=["f"] * 4)
    out = personas.from_persona(before, engine=spy, relation="a pupil of theirs", seed=2)
    assert out["persona"].to_list() == ["A pupil of forty.", None, "A rival.", None]
    assert out["persona_error"].to_list() == [None, "no persona", None, "no persona"]
    assert out["id"].to_list() == ["p0.r2", "p1.r2", "p2.r2", "p3.r2"]
    assert out["parent"].to_list() == ["p0", "p1", "p2", "p3"]
    assert out["origin"][2] == {"stage": "synth.personas.related", "engine": "spy", "seed": 2, "parents": ["p2"]}
    assert not {"domain", "field"} & set(out.columns)
    said = spy.requests[0].messages[-1]["content"]
    assert "A juggler." in said
    assert "a pupil of theirs" in said


def test_the_relation_is_drawn_by_the_parents_id():
    table = people(*[f"Person {i}." for i in range(200)])
    made = personas.from_persona(table, engine=Fake(Spec("fake", "m")))
    assert set(made["relation"]) == set(personas.RELATIONS)
    assert personas.from_persona(table[50:60], engine=Fake(Spec("fake", "m"))).equals(made[50:60])
    assert (
        personas.from_persona(table, engine=Fake(Spec("fake", "m")), seed=1)["relation"].to_list() != made["relation"].to_list()
    )


@pytest.mark.parametrize("stage", [personas.from_text, personas.from_persona])
def test_no_rows_are_no_rows(stage):
    empty = pl.DataFrame(schema={"id": pl.String, "text": pl.String, "persona": pl.String})
    out = stage(empty, engine=Fake(Spec("fake", "m")))
    assert len(out) == 0
    assert {"persona", "persona_error", "origin"} <= set(out.columns)


@pytest.mark.parametrize(
    ("reply", "persona"),
    [
        ("A glazier of leaded windows.", "A glazier of leaded windows."),
        ("Persona: A glazier.", "A glazier."),
        ("**Persona:** A glazier.", "A glazier."),
        ('"A glazier."', "A glazier."),
        ('"Persona: A glazier."', "A glazier."),
        ("Persona: “A glazier.”", "A glazier."),
        ("Here is one:\n\nA glazier.", "A glazier."),
        ("**Persona:**\nA glazier.", "A glazier."),
        ("- A glazier.", "A glazier."),
        ("**A glazier.**", "A glazier."),
        ("**A glazier** of **old windows**", "**A glazier** of **old windows**"),
        ('"Doc" Miller\'s nurse, called "Sis".', '"Doc" Miller\'s nurse, called "Sis".'),
        ("A person: shy, exact, and fond of moss.", "A person: shy, exact, and fond of moss."),
        ("A clerk who is sorry for nothing and cannot sing.", "A clerk who is sorry for nothing and cannot sing."),
    ],
)
def test_labels_and_quotes_go_and_good_text_stays(reply, persona):
    assert personas.persona_of(RowAnswer(reply, None)) == (persona, None)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I\u2019m sorry, I can\u2019t do that.", "refused"),
        ("I cannot describe a person like that.", "refused"),
        ("As an AI, I have no view.", "refused"),
        ("Sorry, that is not possible.", "refused"),
        ("1. A nun.\n2. A monk.", "more than one paragraph"),
        ("A nun.\n\nI hope this helps!", "more than one paragraph"),
        (" \n ", "empty answer"),
        ('""', "empty answer"),
        ("Here is one:\n", None),
    ],
)
def test_a_reply_without_one_persona_says_why(reply, reason):
    text, error = personas.persona_of(RowAnswer(reply, None))
    assert (text, error) == (None, reason) if reason else text == "Here is one:"


def test_a_real_server_writes_personas():
    async def speak(asked):
        user = asked["messages"][-1]["content"]
        return good(asked, f"**Persona:** Somebody who minds {user.splitlines()[2]}", prompt_tokens=3, completion_tokens=5)

    served = Served(speak)
    try:
        engine = http(served.url)
        out = personas.from_text(texts("clocks", None, "rain"), engine=engine)
        engine.close()
    finally:
        served.stop()
        for known in server_queue._queues.values():  # a later test may be given the same port
            server_queue.wait_for(known.close())
        server_queue._queues.clear()
    assert out["persona"].to_list() == ["Somebody who minds clocks", None, "Somebody who minds rain"]
    sent = sorted(served.posted, key=lambda asked: asked["messages"][-1]["content"])
    assert [turn["role"] for turn in sent[0]["messages"]] == ["system", "user"]
    assert {(asked["temperature"], asked["max_tokens"]) for asked in sent} == {(1.0, 256)}
    assert len(sent) == 2
