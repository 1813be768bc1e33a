import polars as pl
from engines_for_tests import Scripted

from attar.core.table import COLUMNS
from attar.engines.base import Reply, Spec
from attar.engines.fake import Fake
from attar.stages.synth import respond


def asked(*prompts):
    talks = [[{"role": "user", "content": prompt}] if prompt else [] for prompt in prompts]
    return pl.DataFrame({"id": [f"q{i}" for i in range(len(prompts))], "messages": pl.Series(talks, dtype=COLUMNS["messages"])})


class Spy(Fake):
    def __init__(
        self, reply=lambda request: Reply(request.index, f"re: {request.messages[-1]['content']}", "stop", tokens_out=2)
    ):
        super().__init__(Spec("fake", "spy"))
        self.requests, self.reply = [], reply

    def generate(self, requests):
        self.requests = list(requests)
        return (self.reply(request) for request in reversed(self.requests))


def test_each_conversation_gets_its_own_answer_in_whatever_order_they_come():
    out = respond.sample(asked("one", "two", "three"), engine=Spy())
    assert out["response"].to_list() == ["re: one", "re: two", "re: three"]
    assert out["messages"].to_list()[1] == [{"role": "user", "content": "two"}, {"role": "assistant", "content": "re: two"}]


def test_a_row_without_a_question_is_not_sent_and_says_so():
    spy = Spy()
    out = respond.sample(asked("one", None, "three"), engine=spy)
    assert len(spy.requests) == 2
    assert out["response"].to_list() == ["re: one", None, "re: three"]
    assert out["response_error"].to_list() == [None, "no prompt", None]


def test_an_answer_cut_off_is_no_answer():
    out = respond.sample(asked("one"), engine=Spy(lambda request: Reply(request.index, "re", "length", tokens_out=9)))
    assert out["response"].to_list() == [None]
    assert out["response_error"].to_list() == ["cut off"]
    assert out["messages"].to_list() == [[{"role": "user", "content": "one"}]]
    assert out["response_tokens"].to_list() == [9]


def test_in_an_exam_an_answer_cut_off_is_an_answer():
    out = respond.sample(asked("one"), engine=Spy(lambda request: Reply(request.index, "re", "length")), whole=False)
    assert (out["response"].to_list(), out["response_error"].to_list()) == (["re"], [None])


def test_several_answers_are_several_rows_with_seeds_and_ids_of_their_own():
    spy = Spy()
    out = respond.sample(asked("one", "two"), engine=spy, n=3, temperature=0.8)
    assert out["id"].to_list() == ["q0.0", "q0.1", "q0.2", "q1.0", "q1.1", "q1.2"]
    assert out["parent"].to_list() == ["q0"] * 3 + ["q1"] * 3
    assert len({request.seed for request in spy.requests}) == 6


def test_a_truncated_answer_is_not_taken_for_a_whole_one():
    rows = pl.DataFrame({"id": ["a"], "messages": pl.Series([[{"role": "user", "content": "Q"}]], dtype=COLUMNS["messages"])})
    out = respond.sample(rows, engine=Scripted(lambda _: "It begins ..."))
    assert out["response"].to_list() == [None]


def test_five_answers_are_five_draws():
    rows = pl.DataFrame({"id": ["a"], "messages": pl.Series([[{"role": "user", "content": "Q"}]], dtype=COLUMNS["messages"])})
    engine = Scripted(lambda request: f"drawn by {request.seed}")
    out = respond.sample(rows, engine=engine, n=5, temperature=0.8)
    assert out["response"].n_unique() == 5
    assert out["parent"].to_list() == ["a"] * 5


def test_a_thought_stands_beside_the_answer_unless_the_recipe_drops_it():
    engine = Spy(lambda request: Reply(request.index, "Yes.", "stop", reasoning="Hm."))
    kept, dropped = (respond.sample(asked("Is it so?"), engine=engine, keep_reasoning=keep) for keep in (True, False))
    assert (kept["reasoning"].to_list(), dropped["reasoning"].to_list()) == (["Hm."], [None])
    assert kept["messages"].equals(dropped["messages"])
    assert [turn["content"] for turn in kept["messages"][0]] == ["Is it so?", "Yes."]
