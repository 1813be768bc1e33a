import polars as pl
import pytest
from engines_for_tests import Scripted
from servers_for_tests import Served, good, http

from attar.core.errors import RecipeError, ReplyError
from attar.core.table import read
from attar.engines.base import Spec
from attar.engines.fake import Fake
from attar.engines.http import server_queue
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.meter import Meter
from attar.runtime.flow import recipe
from attar.runtime.home import read_card
from attar.runtime.settings import Settings
from attar.stages.synth import evolve
from attar.stages.synth.evolve_prompts import BREADTH, COMPLEXITY, DEPTH, QUALITY, WAYS

SEED = "Plan a garden for a family with two children and a dog."
GROWN = "Plan a garden for a family with two children and a dog, on a north slope of clay, for under nine hundred euros."


def rows(*prompts, **more):
    return pl.DataFrame({"id": [f"q{i}" for i in range(len(prompts))], "prompt": list(prompts), **more}, strict=False)


def shown(request):
    """The text that a request asks to evolve: what stands between its last two lines."""
    return request.messages[1]["content"].split("\n-----\n")[-2]


def told(request):
    return request.messages[1]["content"].splitlines()


def grow(request):
    """As a good writer would: the text with some words that are new each time."""
    size = len(shown(request).split())
    return f"{shown(request)} Also {' '.join(f'word{size}{letter}' for letter in 'abc')}."


def said(*replies):
    left = iter(replies)
    return Scripted(lambda _: next(left))


# the chain


def test_each_round_evolves_the_text_of_the_round_before():
    engine = Scripted(grow)
    out = evolve.prompts(rows("One.", "Two."), engine=engine, rounds=3)
    chain = out["variants"].to_list()[1]
    assert [one["round"] for one in chain] == [0, 1, 2, 3]
    assert chain[0] == {"round": 0, "way": None, "prompt": "Two.", "eliminated": None}
    assert chain[1]["prompt"] == "Two. Also word1a word1b word1c."
    assert chain[3]["prompt"] == chain[2]["prompt"] + " Also word9a word9b word9c."
    assert [shown(request) for request in engine.asked[1::2]] == [one["prompt"] for one in chain[:3]]
    assert out["variants_error"].to_list() == [None, None]


def test_a_failed_try_stays_with_its_reason_and_the_next_goes_on_from_the_last_good_one():
    engine = said(f"{SEED} Keep to plants which bees like.", "And now ...", ValueError("the server fell over"), GROWN)
    chain = evolve.prompts(rows(SEED), engine=engine, rounds=4)["variants"].to_list()[0]
    assert [one["eliminated"] for one in chain] == [None, None, "cut off", "the server fell over", None]
    assert [one["prompt"] is None for one in chain] == [False, False, True, True, False]
    assert [shown(request) for request in engine.asked][1:] == [chain[1]["prompt"]] * 3


def test_a_row_whose_tries_all_failed_is_a_failure_and_one_without_a_prompt_is_not_asked_about():
    engine = said("", SEED, "", GROWN, "", "")
    out = evolve.prompts(rows(SEED, None, SEED, "  "), engine=engine, rounds=3)
    assert len(engine.asked) == 6
    assert out["variants_error"].to_list() == ["none held: empty answer", "no prompt", None, "no prompt"]
    assert out["variants"].to_list()[1] == [{"round": 0, "way": None, "prompt": None, "eliminated": "no prompt"}]


def test_a_response_evolves_beside_its_prompt_which_stays():
    engine = Scripted(grow)
    given_rows = rows("Why?", "Why?", None, response=["So.", None, "So."])
    out = evolve.responses(given_rows, engine=engine, rounds=2)
    assert out["variants"].to_list()[0][1]["response"] == "So. Also word1a word1b word1c."
    assert out["variants_error"].to_list() == [None, "no response", "no prompt"]
    assert [request.messages[1]["content"].split("\n-----\n")[1] for request in engine.asked] == ["Why?", "Why?"]
    assert {one["way"] for one in out["variants"].to_list()[0][1:]} <= set(QUALITY)


# what is drawn


def ways_of(table):
    return [[one["way"] for one in chain[1:]] for chain in table["variants"].to_list()]


def test_a_rows_ways_depend_on_its_name_and_the_seed_and_on_no_other_row():
    many = rows(*[f"Number {i}." for i in range(60)])
    whole, again, other = (evolve.prompts(many, engine=Scripted(grow), seed=seed) for seed in (3, 3, 4))
    assert ways_of(whole) == ways_of(again) != ways_of(other)
    assert ways_of(evolve.prompts(many[40:43].reverse(), engine=Scripted(grow), seed=3)) == ways_of(whole)[40:43][::-1]
    assert {way for chain in ways_of(whole) for way in chain} == set(COMPLEXITY)
    assert len({tuple(chain) for chain in ways_of(whole)}) > 50
    of_round = [{chain[i] for chain in ways_of(whole)} for i in range(5)]
    assert of_round == [set(COMPLEXITY)] * 5


def test_every_request_has_a_seed_of_its_own_and_the_words_of_the_way_that_is_noted():
    engine = Scripted(grow)
    out = evolve.prompts(rows("One.", "Two."), engine=engine, temperature=0.3, max_tokens=77)
    assert len({request.seed for request in engine.asked}) == 10
    noted = [way for pair in zip(*ways_of(out), strict=True) for way in pair]
    assert [request.messages[0]["content"] for request in engine.asked] == [WAYS[way].system for way in noted]
    assert {(request.sampling.temperature, request.sampling.max_tokens) for request in engine.asked} == {(0.3, 77)}


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"ways": ("constrain",)}, "no way 'constrain' evolves a prompt; did you mean 'constraint'"),
        ({"ways": ("detail",)}, "no way 'detail' evolves a prompt; known: concrete, constraint, deepen, input, rarer, steps"),
        ({"ways": ()}, "5 rounds of 0 ways"),
        ({"rounds": 0}, "rounds must be 1 to 25 and ways not empty, got 0 rounds of 4 ways"),
        ({"rounds": 26}, "26 rounds"),
    ],
)
def test_knobs_that_make_no_sense_are_refused_before_anything_is_asked(knobs, told):
    with pytest.raises(RecipeError, match=told):
        evolve.prompts(rows(SEED), engine=said(), **knobs)


def test_going_back_to_an_earlier_text_is_no_change_either():
    first, last = "How do bees find home?", "Where do swallows sleep in winter rain?"
    engine = said(last, first.lower())
    chain = evolve.prompts(rows(first), engine=engine, rounds=2, ways=BREADTH)["variants"].to_list()[0]
    assert [one["eliminated"] for one in chain] == [None, None, "unchanged"]
    assert [told(request)[-1] for request in engine.asked] == ["Write the other one."] * 2


# as rows


def test_flat_is_a_row_a_variant_ready_to_be_answered():
    seeds = rows(SEED, None, response=["Dig.", "x"], difficulty=["easy", "hard"])
    out = evolve.flat(evolve.prompts(seeds, engine=said(GROWN, ""), rounds=2, seed=9))
    assert out.columns == ["id", "parent", "round", "way", "prompt", "messages", "eliminated", "origin"]
    assert out["id"].to_list() == ["q0.0", "q0.1", "q0.2", "q1.0"]
    assert out["parent"].to_list() == ["q0", "q0", "q0", "q1"]
    assert out["prompt"].to_list() == [SEED, GROWN, None, None]
    assert out["eliminated"].to_list() == [None, None, "empty answer", "no prompt"]
    assert out["messages"].to_list()[1:3] == [[{"role": "user", "content": GROWN}], []]
    assert out["origin"][0] is None
    assert out["origin"][1] == {"stage": "synth.evolve.prompts", "engine": "scripted", "seed": 9, "parents": ["q0"]}


def test_flat_responses_keep_their_prompt_and_scores_stand_beside_their_variants():
    made = evolve.responses(rows("Why?", response=["So."]), engine=said("", "So it is, as the tide turns."), rounds=2)
    scores = [[{"score": 2, "score_error": None}, {"score": None, "score_error": None}, {"score": None, "score_error": "bad"}]]
    kind = pl.List(pl.Struct({"score": pl.Int64, "score_error": pl.String}))
    out = evolve.flat(made.with_columns(pl.Series("scores", scores, dtype=kind), pl.lit(None).alias("scores_error")))
    assert out.select("prompt", "response", "score", "score_error").rows() == [
        ("Why?", "So.", 2, None),
        ("Why?", None, None, None),
        ("Why?", "So it is, as the tide turns.", None, "bad"),
    ]
    assert [[turn["content"] for turn in talk] for talk in out["messages"]] == [
        ["Why?", "So."],
        [],
        ["Why?", "So it is, as the tide turns."],
    ]


@pytest.mark.parametrize("stage", [evolve.prompts, evolve.responses])
def test_no_rows_are_no_rows(stage):
    empty = pl.DataFrame(schema={"id": pl.String, "prompt": pl.String, "response": pl.String})
    assert len(evolve.flat(stage(empty, engine=said()))) == 0


# in a run


def begun(*, count):
    return rows(*[f"Question {i} of the day" for i in range(count)])


@recipe()
def evolved(flow, *, teacher, count=60, rounds=3):
    made = flow(evolve.prompts, flow(begun, count=count), engine=teacher, rounds=rounds, ways=(*DEPTH, *BREADTH))
    return {"made": made, "flat": flow(evolve.flat, made)}


FAKE = Spec("fake", "m", {"cut": 0.4})


def test_the_rows_do_not_depend_on_the_parts_and_a_rerun_asks_nothing(do, home):
    first = do(evolved, teacher=FAKE, settings=Settings(shard=7, bulk=7))
    tables = {name: read(folder) for name, folder in first.items()}
    direct = evolve.prompts(begun(count=60), engine=Fake(FAKE), rounds=3, ways=(*DEPTH, *BREADTH))
    assert tables["made"].equals(direct)
    assert read_card(first["made"])["asked"] == 180
    for folder in first.values():
        for file in folder.iterdir():
            file.unlink()
    again = do(evolved, teacher=FAKE, settings=Settings(shard=1000))
    assert {name: read(folder) for name, folder in again.items()}["flat"].equals(tables["flat"])
    assert (read_card(again["made"])["asked"], read_card(again["made"])["recalled"]) == (0, 180)


def test_elimination_is_part_of_the_method_and_stops_no_run_but_a_dead_writer_does(do):
    out = read(do(evolved, teacher=FAKE)["flat"])
    tries = out.filter(pl.col("round") > 0)
    assert len(tries) == 180
    assert 0.3 < tries["eliminated"].is_not_null().mean() < 0.6
    with pytest.raises(ReplyError, match="none held: fault on demand"):
        do(evolved, teacher=Spec("fake", "dead", {"faults": 1.0}))


def test_replies_come_from_the_journal_the_second_time(tmp_path):
    first, second = Scripted(grow), Scripted(grow)
    journal = Journal(tmp_path / "journal")
    try:
        out = [evolve.prompts(begun(count=9), engine=Journaled(one, journal, Meter())) for one in (first, second)]
    finally:
        journal.close()
    assert (len(first.asked), len(second.asked)) == (45, 0)
    assert out[0].equals(out[1])


def test_a_real_server_evolves_answers_and_prompts():
    async def speak(asked):
        text = asked["messages"][1]["content"].split("\n-----\n")[-2]
        return good(asked, f"{text} And by nine tomorrow.", prompt_tokens=3, completion_tokens=5)

    served = Served(speak)
    try:
        engine = http(served.url)
        out = evolve.flat(evolve.prompts(rows("What is tea?", None), engine=engine, rounds=1))
        engine.close()
    finally:
        served.stop()
        for known in server_queue._queues.values():  # a later test may be given the same port
            server_queue.wait_for(known.close())
        server_queue._queues.clear()
    assert out["prompt"].to_list() == ["What is tea?", "What is tea? And by nine tomorrow.", None]
    assert [turn["role"] for turn in served.posted[0]["messages"]] == ["system", "user"]
