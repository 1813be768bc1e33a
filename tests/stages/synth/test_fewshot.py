from random import Random

import polars as pl
import pytest
from aiohttp import web
from engines_for_tests import Scripted
from hypothesis import assume, given
from hypothesis import strategies as st
from servers_for_tests import Served, http

from attar.core.errors import DataError, RecipeError
from attar.core.stage import columns_read, marks
from attar.engines.base import Spec
from attar.engines.registry import open_engine
from attar.pocket.speech import instruct, parse
from attar.pocket.tasks import draw_task
from attar.stages.synth import fewshot
from attar.stages.synth.cleanup import repair

BIRDS = [f"Which bird is number {word}?" for word in ("one", "two", "three", "four", "five", "six", "seven")]


def seeds(*prompts):
    ids = [f"s{i}" for i in range(len(prompts))]
    return pl.DataFrame({"id": ids, "prompt": pl.Series(prompts, dtype=pl.String)})


def plan(*prompts, count=1, **knobs):
    return fewshot.draws(seeds(*(prompts or BIRDS)), count=count, **knobs)


def said(text, table=None, **knobs):
    """What becomes of a text that a base writes behind a sheet: the prompt, and why there is none."""
    out = fewshot.ask(plan() if table is None else table, engine=Scripted(lambda _: text), **knobs)
    return out["prompt"][0], out["prompt_error"][0]


def test_a_sheet_shows_three_to_five_different_prompts_each_under_its_mark_and_ends_with_an_open_one():
    table = plan(count=60)
    texts = dict(seeds(*BIRDS).iter_rows())
    for row in table.iter_rows(named=True):
        shown = [texts[name] for name in row["shots"]]
        assert len(set(shown)) == len(shown)
        sheet = [fewshot.HEADING, *shown, ""]
        assert row["opening"] == "\n\n=== Message ===\n".join(sheet)
        assert row["stops"] == ["\n=== Message ==="]
    assert set(table["shots"].list.len()) == {3, 4, 5}
    assert set(table["shots"].explode()) == {f"s{i}" for i in range(7)}
    assert columns_read(fewshot.draws, {}) == ("prompt",)


def test_any_number_of_prompts_can_be_shown():
    assert set(plan(count=40, shots=(1, 7))["shots"].list.len()) == set(range(1, 8))


def test_what_is_drawn_hangs_on_the_seed_and_the_number_alone():
    whole = plan(count=12)
    assert plan(count=4, start=8).equals(whole[8:])
    assert fewshot.draws(seeds(*BIRDS).reverse(), count=12).equals(whole)
    assert whole["opening"].n_unique() > 10
    other = plan(count=12, seed=1)
    assert not set(whole["id"]) & set(other["id"])
    assert whole["shots"].to_list() != other["shots"].to_list()


def test_a_seed_without_a_prompt_is_never_shown_and_one_of_equals_stands_for_all():
    table = fewshot.draws(seeds("a dog", None, "A  dog", " ", "a\r\ncat", "an owl"), count=50, shots=(1, 3))
    assert set(table["shots"].explode()) == {"s0", "s4", "s5"}
    assert not any("\r" in opening for opening in table["opening"])


def test_too_few_seeds_are_refused_with_what_to_do():
    with pytest.raises(DataError, match="up to 5 different prompts, and the seeds have 4: give more, or lower `shots`"):
        plan("a", "b", "B", "c", "d", None)


@pytest.mark.parametrize("knobs", [{"count": -1}, {"shots": (0, 3)}, {"shots": (4, 3)}, {"start": -1}])
def test_what_is_no_count_is_refused(knobs):
    with pytest.raises(RecipeError, match="one is shown at least"):
        plan(**{"count": 1, **knobs})


def test_a_prompt_that_has_the_sheets_mark_in_it_is_shown_whole_under_a_longer_mark():
    odd = "Mend my file:\n\n=== Message ===\nsubject: none\n\n==== Message ====\n"
    (opening,), ((stop,),) = plan(odd, shots=(1, 1)).select("opening", "stops").get_columns()
    assert stop == "\n===== Message ====="
    assert opening == f"{fewshot.HEADING}\n{stop}\n{odd.strip()}\n{stop}\n"


# Prompts that a person may write: many lines, blank ones, code, marks of lists and headings, any script.
PIECES = st.sampled_from(
    ["\n", "\n\n", "# Message", "=== Mess", "===", "Why?", "\tx = 1", "1.", "- ", "assistant", "Answer", "ß é 你好", "🙂", " "]
)
PROMPTS = st.lists(PIECES, min_size=1, max_size=12).map("".join).map(repair).filter(lambda text: any(map(str.isalnum, text)))


@given(st.lists(PROMPTS, min_size=3, max_size=6, unique_by=lambda text: " ".join(text.lower().split())), PROMPTS)
def test_a_base_that_writes_a_prompt_and_the_next_mark_has_written_that_prompt(shown, new):
    assume(" ".join(new.lower().split()) not in [" ".join(one.lower().split()) for one in shown])
    table = plan(*shown, shots=(3, 3))
    (stop,) = table["stops"][0]
    assert table["opening"][0].count(stop) == 4  # and so none is in what is shown
    behind, found, _ = f"{new}\n{stop}\nAnother".partition(stop)
    assert found
    assert said(behind, table) == (new, None)


REFUSED = {
    "": "empty answer",
    " \n ": "empty answer",
    "Why is the sky...": "cut off",
    "Why?\n\n=== Message ===\nHow?": "more than one prompt",
    "Why?\n\n=== Message 5 ===\nHow?": "more than one prompt",
    "Why?\n\nAnswer: because of the air.": "an answer in it",
    "Why?\n\n**Answer:**\n\nBecause of the air.": "an answer in it",
    "Why?\n### Response\nBecause.": "an answer in it",
    "User: Why?\nAssistant: Because.": "an answer in it",
    "Q: Why?\nA: Because.": "an answer in it",
    "?!": "no word in it",
    "which bird is\nNUMBER two?": "a copy of a shown prompt",
    f"{fewshot.HEADING} And so on.": "goes on with the sheet's own words",
    "(End of list)": "goes on with the sheet's own words",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_one_new_prompt_is_refused_by_name(text):
    assert said(text, plan(*BIRDS[:3], shots=(3, 3))) == (None, REFUSED[text])


@pytest.mark.parametrize(
    "text",
    [
        "Fill in the blank.\nAnswer: ______",
        "What is 2 + 2?\n\nAnswer:",
        'Mend this:\n{\n  "answer": 5\n}',
        "Answer the following: why?",
        "Was it the response: yes or no?",
        "A: red\nB: blue\nWhich of them?",
        "Which bird is number two or three?",
        "How does the end of a list look?",
        "Q: What is a hen?",
        "Heading\n=======\nIs this Markdown?",
    ],
)
def test_words_of_an_answer_and_of_a_sheet_may_be_a_prompts_own(text):
    assert said(text) == (text, None)


def test_a_row_says_what_was_shown_for_it_and_no_longer_carries_its_sheet():
    table = plan(count=2)
    base = Scripted(lambda _: "Why not?")
    out = fewshot.ask(table, engine=base, seed=3, temperature=0.8, top_p=0.9, max_tokens=40)
    assert out.columns == ["id", "shots", "prompt", "prompt_error", "prompt_tokens", "messages", "origin"]
    assert out["messages"][0].to_list() == [{"role": "user", "content": "Why not?"}]
    assert out["prompt_tokens"].to_list() == [2, 2]
    assert out["origin"].to_list() == [
        {"stage": "synth.fewshot.ask", "engine": "scripted", "seed": 3, "parents": shots} for shots in table["shots"].to_list()
    ]
    drawn = {(r.sampling.temperature, r.sampling.top_p, r.sampling.max_tokens, r.sampling.stop) for r in base.asked}
    assert drawn == {(0.8, 0.9, 40, ("\n=== Message ===",))}
    assert [(r.text, r.messages) for r in base.asked] == [(opening, ()) for opening in table["opening"]]


def test_rows_in_parts_are_asked_the_same_and_no_two_alike():
    table = plan(count=20)
    whole, part = Scripted(lambda _: "Why?"), Scripted(lambda _: "Why?")
    fewshot.ask(table, engine=whole)
    fewshot.ask(table[7:11], engine=part)
    told = [(request.text, request.seed) for request in whole.asked]
    assert [(request.text, request.seed) for request in part.asked] == told[7:11]
    assert len({seed for _, seed in told}) == 20
    assert marks(fewshot.ask).rowwise


def test_a_fault_is_its_rows_own_and_no_rows_are_no_trouble():
    said = iter([ValueError("down"), "Why?"])
    out = fewshot.ask(plan(count=2), engine=Scripted(lambda _: next(said)))
    assert out["prompt"].to_list() == [None, "Why?"]
    assert out["prompt_error"].to_list() == ["down", None]
    assert out["messages"][0].to_list() == []
    none = fewshot.ask(plan(count=0), engine=Scripted(lambda _: "Why?"))
    assert none.schema == out.schema
    assert len(none) == 0


def test_a_pocket_sheet_is_bare_lines_and_takes_one_more():
    table = plan(*BIRDS[:3], shots=(3, 3), form="pocket")
    assert sorted(table["opening"][0].splitlines()) == sorted(BIRDS[:3])
    assert table["opening"][0].endswith("?\n")
    assert table["stops"][0].to_list() == ["\n", "<|endoftext|>"]
    assert said("Add 3 and 4.", table) == ("Add 3 and 4.", None)
    assert said("Add 3 and 4.\nAdd 5 and 6.", table) == (None, "more than one prompt")
    assert said(BIRDS[1], table) == (None, "a copy of a shown prompt")


def test_a_prompt_of_several_lines_is_refused_for_a_pocket_sheet_by_its_row():
    with pytest.raises(DataError, match=r"row 's1': its prompt has several lines.*use form 'plain'"):
        plan("a", "b\nc", "d", form="pocket", shots=(1, 2))


def test_the_pocket_base_writes_new_tasks_of_its_world():
    dice = Random(11)
    table = fewshot.draws(seeds(*(instruct(draw_task(dice), dice) for _ in range(40))), count=40, form="pocket")
    base = open_engine(Spec("local", "pocket:base", {"dtype": "float64", "threads": 1}))
    out = fewshot.ask(table, engine=base, max_tokens=96)
    written = out["prompt"].drop_nulls().to_list()
    assert len(written) >= 36
    tasks = {prompt for prompt in written if parse(prompt)}
    assert len(tasks) >= 28  # of 40; about 36 are usual


def test_a_served_base_is_sent_the_sheet_as_raw_text_with_its_stop():
    async def speak(asked):
        return web.json_response({"choices": [{"index": 0, "finish_reason": "stop", "text": "Why is that so?\n"}], "usage": {}})

    server = Served(speak)
    base = http(server.url)
    try:
        table = plan()
        out = fewshot.ask(table, engine=base)
    finally:
        base.close()
        server.stop()
    assert server.paths == ["/v1/completions"]
    assert (server.posted[0]["prompt"], server.posted[0]["stop"]) == (table["opening"][0], ["\n=== Message ==="])
    assert out["prompt"].to_list() == ["Why is that so?"]
