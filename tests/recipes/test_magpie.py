import json

import polars as pl
import pytest
from stages_for_tests import FAKE

from attar.core.table import COLUMNS, read
from attar.engines.base import Request, Spec, in_order
from attar.engines.fake import Fake
from attar.pocket.speech import parse
from attar.pocket.tasks import held_out
from attar.runtime.flow import Trace
from attar.runtime.home import read_card
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import run
from attar.runtime.settings import Settings
from attar.stages.annotate import safety
from attar.stages.select import rank

POCKET = """
recipe: magpie
engines:
  teacher: {kind: local, model: "pocket:teacher", dtype: float64, threads: 1}
  rewarder: {kind: local, model: "pocket:rewarder", dtype: float64, threads: 1}
  base: {kind: local, model: "pocket:base", dtype: float64, threads: 1}
knobs:
  {count: 120, size: 24, prompt_tokens: 80, answer_tokens: 80, form: pocket, filter: pocket, by: reward, exam: pocket,
   exam_size: 45, train: {epochs: 1, lr: 0.004, batch: 8, max_length: 256},
   pairs: {count: 24, answers: 3, temperature: 2.0}, prefer: {lr: 0.0001, batch: 8, max_length: 256}}
"""


class Cards(Quiet):
    def __init__(self):
        self.cards, self.fresh = {}, []

    def end(self, step, card, fresh):
        self.cards[step.name] = card
        self.fresh += [step.name] if fresh else []


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    from attar.runtime.home import Home

    place = tmp_path_factory.mktemp("magpie")
    (place / "pocket.yaml").write_text(POCKET)
    home, cards = Home(place / "home"), Cards()
    results = run(read_run_file(place / "pocket.yaml").trace(), home, cards)
    return place, home, cards.cards, results


def test_the_funnel_runs_from_draws_to_the_chosen_rows(whole):
    cards = whole[2]
    assert cards["draws"]["rows"] == cards["ask"]["rows"] == 120
    assert cards["fresh"]["rows"] >= cards["unseen"]["rows"] >= cards["good"]["rows"] >= cards["chosen"]["rows"] == 24
    chosen = read(whole[3]["sft"])
    assert chosen["reward"].min() > 0
    assert set(chosen["quality"]) == {"good"}
    assert chosen["repeat_of"].null_count() == 24
    assert chosen["prompt"].n_unique() == 24


def test_the_control_has_as_many_rows_drawn_by_lot_from_all_answers_whatever_their_reward(whole):
    _, home, cards, results = whole
    control, scored = (read(home.steps / cards[step]["inputs"][0]) for step in ("train-random", "good"))
    answered = scored.filter(pl.col("response").is_not_null())
    by_lot = rank.chance(answered.select("id"), keep=24, seed=0)  # which sees their ids and nothing else
    assert len(control) == len(read(results["sft"])) == 24
    assert set(control["id"]) == set(by_lot.filter("kept")["id"])
    rewards = answered.filter(pl.col("id").is_in(control["id"].implode()))["reward"]
    assert (rewards <= 0).any()  # the rule keeps none of these
    best = answered.sort("reward", descending=True)["id"][:24]
    assert 0 < len(set(control["id"]) & set(best)) < 18
    assert read_card(results["model-random"])["knobs"] == read_card(results["model-selected"])["knobs"]


def test_no_row_that_is_trained_on_states_a_task_of_the_exam(whole):
    _, home, cards, results = whole

    def tasks(rows):
        return [parse(prompt or "") for prompt in rows["prompt"]]

    drawn = tasks(read(home.steps / cards["fresh"]["inputs"][0]))
    assert sum(task is not None and held_out(task) for task in drawn) > 3  # so that there is something to leave out
    arms = [read(home.steps / cards[f"train-{arm}"]["inputs"][0]) for arm in ("selected", "random", "preferred")]
    for rows in (read(results["sft"]), *arms):
        stated = [task for task in tasks(rows) if task is not None]
        assert len(stated) > 0.8 * len(rows) > 5
        assert not any(held_out(task) for task in stated)


def test_pairs_are_of_one_prompt_the_better_answer_against_a_worse_one(whole):
    pairs = read(whole[3]["pairs"])
    assert 0 < len(pairs) <= 24
    assert (pairs["chosen_reward"] > pairs["rejected_reward"]).all()
    prompts = dict(read(whole[3]["sft"]).select("id", "prompt").iter_rows())
    good = dict(read(whole[1].steps / whole[2]["good"]["inputs"][0]).select("id", "prompt").iter_rows())
    assert all(good[pair["id"]] == pair["prompt"] == pair["messages"][-1]["content"] for pair in pairs.to_dicts())
    assert set(prompts) <= set(good)
    assert read_card(whole[3]["model-preferred"])["engine"]["model"].startswith(str(whole[3]["model-selected"]))


def test_every_arm_sits_the_same_exam_and_the_base_knows_nothing(whole):
    scores = read(whole[3]["scores"]).filter(pl.col("level") == "all")
    assert scores["arm"].to_list() == ["selected", "preferred", "random", "none"]
    assert scores["count"].to_list() == [45, 45, 45, 45]
    assert scores["accuracy"][3] <= 0.05


def test_every_arms_marked_answers_are_a_result_the_main_ones_first(whole):
    answers = [name for name in whole[3] if name.startswith("answers-")]
    assert answers == ["answers-selected", "answers-preferred", "answers-random", "answers-none"]
    scores = dict(read(whole[3]["scores"]).filter(pl.col("level") == "all").select("arm", "accuracy").iter_rows())
    assert {arm: read(whole[3][f"answers-{arm}"])["correct"].mean() for arm in scores} == scores


def test_a_second_run_asks_no_model_anything(whole):
    place, home, before, results = whole
    again = Cards()
    assert run(read_run_file(place / "pocket.yaml").trace(), home, again) == results
    assert again.cards == before
    assert len(before) > 40
    assert again.fresh == []


@pytest.mark.parametrize("shard", [1, 7, 1000])
def test_the_rows_are_the_same_for_any_shard_size(run_file, tmp_path, shard):
    from attar.runtime.home import Home

    trace = read_run_file(run_file(FAKE)).trace()
    out = run(trace, Home(tmp_path / f"home-{shard}"), Quiet(), Settings(shard=shard, bulk=shard))
    plain = run(trace, Home(tmp_path / "plain"), Quiet())
    assert read(out["sft"]).equals(read(plain["sft"]))
    assert len(read(plain["sft"])) == 10


def test_failed_draws_are_dropped_with_their_reason_and_the_rest_goes_on(run_file, do_file):
    results = do_file(run_file(FAKE.replace("model: teacher", "model: teacher, faults: 0.1, cut: 0.05")))
    assert read(results["sft"])["response"].null_count() == 0
    dedup = next(path for path in results["sft"].parent.iterdir() if path.name.startswith("dedup"))
    reasons = read(dedup).filter(~pl.col("kept"))["reason"].to_list()
    assert reasons
    assert set(reasons) == {"no prompt"}


def test_no_rule_keeps_a_row_without_an_answer_and_each_is_counted(run_file, do_file, home):
    text = run_file().read_text().replace("rule: reward > -12", "rule: length(prompt) > 0, by: null")
    path = run_file(text.replace("size: 10", "size: 60").replace("model: teacher}", "model: teacher, faults: 0.15}"))
    results = do_file(path)
    steps = {step.name: step for step in read_run_file(path).trace().steps}
    unanswered = read(home.folder(steps["has-answered"])).filter(~pl.col("kept"))
    assert len(unanswered) > 0
    assert set(unanswered["reason"]) == {"no answer: fault on demand"}
    assert read(results["sft"])["response"].null_count() == 0
    assert not set(read(results["sft"])["id"]) & set(unanswered["id"])


def test_the_record_of_a_run_holds_no_secret_and_every_knob(run_file, home, monkeypatch):
    from attar.api.run import start

    monkeypatch.setenv("SOME_KEY", "sk-secret")
    record = start(read_run_file(run_file(FAKE)), home, Quiet())
    text = json.dumps(record)
    assert record["knobs"] == {"count": 60, "size": 10, "rule": "reward > -12"}
    assert "sk-secret" not in text


TAGGED = """
recipe: magpie
engines:
  teacher: {kind: fake, model: teacher}
  rewarder: {kind: fake, model: rewarder}
  judge: {kind: fake, model: judge, replies: ['JSON']}
  embedder: {kind: fake, model: embedder}
  base: {kind: fake, model: base}
knobs: {count: 40, size: 10, KNOBS}
"""
GOOD = json.dumps(
    {
        **dict.fromkeys(("intent", "knowledge", "remarks"), "x"),
        "difficulty": "hard",
        "quality": "good",
        "category": "math",
        "other_categories": [],
        "language": "en",
    }
)


def steps(knobs, run_file):
    text = TAGGED.replace("JSON", GOOD).replace("KNOBS", knobs)
    return {step.name: step for step in read_run_file(run_file(text)).trace().steps}


def test_only_what_the_filter_reads_is_asked_of_a_model(run_file):
    assert {"tags", "neighbours", "vectors"} <= set(steps("filter: pro, control: false", run_file))
    f3 = steps("filter: f3", run_file)
    assert "tags" not in f3
    assert "neighbours" in f3
    plain = steps("rule: reward > 0", run_file)
    assert not {"tags", "neighbours", "vectors", "letters", "base-reward"} & set(plain)
    air = steps("filter: air", run_file)
    assert air["base-reward"].knobs["into"] == "base_reward"
    assert air["answer"].engine.model == "base"


def test_a_rule_that_compares_with_a_base_needs_one(run_file):
    from attar.core.errors import RecipeError

    text = TAGGED.replace("JSON", GOOD).replace("KNOBS", "filter: air").replace("  base: {kind: fake, model: base}\n", "")
    with pytest.raises(RecipeError, match="name an engine for 'base'"):
        read_run_file(run_file(text)).trace()


def test_conversations_of_several_turns_are_answered_turn_by_turn(run_file, do_file):
    text = TAGGED.replace("JSON", GOOD).replace("KNOBS", "filter: f3, rounds: 3, rule: reward > -9, control: false")
    results = do_file(run_file(text.replace("  base: {kind: fake, model: base}\n", "")))
    roles = {tuple(turn["role"] for turn in talk) for talk in read(results["sft"])["messages"].to_list()}
    assert roles == {("user", "assistant") * 3}


def test_a_guard_is_asked_of_every_row_and_its_word_counts(run_file, do_file):
    text = TAGGED.replace("JSON", GOOD).replace("KNOBS", "rule: reward > -9, by: null, size: 40")
    text = text.replace("  base: {kind: fake, model: base}\n", "  guard: {kind: fake, model: guard}\n")
    safe = read(do_file(run_file(text))["sft"])["safe"]
    assert 5 < len(safe) < 35
    assert safe.min() >= 0.5


def test_a_language_is_found_by_a_library_where_only_that_is_read(run_file):
    found = steps("rule: language = 'en', control: false", run_file)
    assert found["language"].engine is None
    assert "tags" not in found


def untrained(trace):
    """Of a trace all that comes before a training."""
    made = [step for step in trace.steps if not step.marks.trains]
    return Trace(made, {"sft": trace.results["sft"]})


def rewarded(talks):
    """What the run's rewarder says of these, asked directly."""
    requests = [Request(i, messages=tuple(talk)) for i, talk in enumerate(talks)]
    return [reply.reward for reply in in_order(Fake(Spec("fake", "rewarder")).reward(requests), len(requests))]


def test_the_air_filter_keeps_the_longest_of_what_beats_the_base_s_own_answer_to_the_same_prompt(run_file, home):
    text = TAGGED.replace("JSON", GOOD).replace("KNOBS", "filter: air, control: false").replace("count: 40", "count: 60")
    text = text.replace("model: base}", "model: base, replies: [what the base says]}")
    cards = Cards()
    results = run(untrained(read_run_file(run_file(text)).trace()), home, cards)
    rows = read(home.steps / cards.cards["good"]["inputs"][0])
    assert len(rows) == 60
    own = rewarded(rows["messages"].to_list())
    others = rewarded([[talk[0], {**talk[1], "content": "what the base says"}] for talk in rows["messages"].to_list()])
    assert rows["base_response"].to_list() == ["what the base says"] * 60
    assert (rows["reward"].to_list(), rows["base_reward"].to_list()) == (own, others)
    better = [row for row, mine, its in zip(rows.to_dicts(), own, others, strict=True) if mine > its]
    assert 15 < len(better) < 45
    longest = sorted(better, key=lambda row: (-len(row["response"]), row["id"]))[:10]
    assert set(read(results["sft"])["id"]) == {row["id"] for row in longest}


def test_where_the_base_says_nothing_that_row_is_not_kept_and_its_reason_is_given(run_file, home):
    text = TAGGED.replace("JSON", GOOD).replace("KNOBS", "rule: reward > base_reward, by: null, control: false")
    cards = Cards()
    run(untrained(read_run_file(run_file(text.replace("model: base}", "model: base, faults: 0.1}"))).trace()), home, cards)
    rows = read(home.steps / cards.cards["good"]["inputs"][0])
    dumb = rows.filter(pl.col("base_response").is_null())
    assert 0 < len(dumb) < 10
    assert set(dumb["base_response_error"]) == {"fault on demand"}
    assert set(dumb["base_reward_error"]) == {"no base response"}
    (verdicts,) = home.steps.glob("where.holds-*")
    judged = read(verdicts).filter(pl.col("id").is_in(dumb["id"].implode()))
    assert set(judged.select("kept", "reason").iter_rows()) == {(False, "unknown: reward > base_reward")}


def thought_safe(pairs, which):
    """How safe the run's guard finds each pair with this answer, asked directly."""
    talks = [[*talk, {"role": "assistant", "content": said}] for talk, said in pairs.select("messages", which).iter_rows()]
    told = pl.DataFrame({"id": pairs["id"], "messages": pl.Series(talks, dtype=COLUMNS["messages"])})
    return safety.score(told, engine=Fake(Spec("fake", "guard")))["safe"]


def test_a_guard_is_asked_of_the_further_answers_too_before_pairs_are_made_of_them(run_file, do_file):
    text = TAGGED.replace("JSON", GOOD).replace("KNOBS", "rule: reward > -9, by: null, pairs: {answers: 6}")
    text = text.replace("  base: {kind: fake, model: base}\n", "GUARD")
    guarded = read(do_file(run_file(text.replace("GUARD", "  guard: {kind: fake, model: guard}\n")))["pairs"])
    assert len(guarded) > 10
    assert min(thought_safe(guarded, "chosen").min(), thought_safe(guarded, "rejected").min()) >= 0.5
    plain = read(do_file(run_file(text.replace("GUARD", ""), "plain.yaml"))["pairs"])
    assert min(thought_safe(plain, "chosen").min(), thought_safe(plain, "rejected").min()) < 0.5
