"""Recipes without a reward model: with a judge in its place, or with a teacher alone."""

import polars as pl
import pytest
from stages_for_tests import Recorder

from attar.core.errors import EngineError, RecipeError
from attar.core.table import read
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import run

ALONE = """
recipe: RECIPE
engines:
  teacher: {kind: fake, model: teacherREPLIES}
ENGINES
knobs: {count: 40, size: 20KNOBS}
"""
TAGS = (
    ', replies: [\'{"intent": "x", "knowledge": "x", "difficulty": "hard", "remarks": "x", "quality": "good", '
    '"category": "math", "other_categories": [], "language": "en"}\']'
)
KIND = """
from attar.engines.fake import Fake
from attar.engines.registry import Kind
from engines_for_tests import Scripted
from pair_judges_for_tests import {name} as pairs
from attar.stages.evaluate.judging.judge_check_pairs import PAIRS

def answer(request):
    text = request.messages[-1]["content"]
    if any(pair.prompt in text for pair in PAIRS):
        return pairs(request)
    return [-9.0 - (label != str(len(text) % 11)) + 8.5 for label in request.labels]  # all but the same probability

class Judge(Scripted):
    def __init__(self, spec):
        super().__init__(answer)
        self.spec = spec

judge = Kind(open=Judge, verbs=("weigh",), billed=False, version="1")
"""


def trace(run_file, recipe="magpie", engines="", knobs="", replies=""):
    text = ALONE.replace("RECIPE", recipe).replace("REPLIES", replies).replace("ENGINES", engines).replace("KNOBS", knobs)
    return read_run_file(run_file(text)).trace()


def steps(*args, **kwargs):
    return {step.name: step for step in trace(*args, **kwargs).steps}


def judge_of(tmp_path, name):
    (tmp_path / "judges.py").write_text(KIND.format(name=name))
    return "  judge: {kind: judges.py, model: j}"


REWARDER = "  rewarder: {{kind: fake, model: {}}}"


def rule_of(found):
    return found["rule"].knobs["rule"]


def test_magpie_with_a_teacher_alone_leaves_out_the_filters_threshold_and_says_so(run_file):
    found = trace(run_file, knobs=", filter: f3")
    assert rule_of({step.name: step for step in found.steps}) == "repeat_of IS NULL AND NOT ends_with(prompt, ':')"
    assert not {"score", "lowest", "judge-check"} & {step.name for step in found.steps}
    assert found.remarks == [
        "rows are kept by: rule repeat_of IS NULL AND NOT ends_with(prompt, ':'); the 20 longest answers; nothing scores the "
        "answers: the first answer stands; the filter's reward > -12, for FsfairX-LLaMA3-RM, is left out"
    ]


def test_magpie_with_a_teacher_alone_runs_with_its_own_filter(run_file, home):
    recorder = Recorder()
    out = run(trace(run_file, replies=TAGS), home, recorder)
    assert recorder.cards["answered"]["rows"] > 0
    assert "reward" not in read(out["sft"]).columns


@pytest.mark.parametrize(
    ("engines", "knobs", "rule", "drops"),
    [
        (REWARDER.format("sfairXC/FsfairX-LLaMA3-RM-v0.1"), "", " AND reward > -12", False),
        (REWARDER.format("Skywork/Skywork-Reward-V2-Qwen3-8B"), "", "", True),
        (REWARDER.format("Skywork/Skywork-Reward-V2-Qwen3-8B"), ", reward_above: -3.5", ") AND reward > -3.5", False),
        ("  judge: {kind: fake, model: j}", "", "", True),
    ],
    ids=["the filter's own model", "another", "by hand", "a judge"],
)
def test_a_threshold_belongs_to_its_reward_model(run_file, engines, knobs, rule, drops):
    found = steps(run_file, engines=engines, knobs=f", filter: f3{knobs}")
    assert rule_of(found).endswith(rule or "ends_with(prompt, ':')")
    assert ("lowest" in found) is drops


def test_the_pocket_filters_threshold_is_the_pocket_rewarders(run_file):
    knobs = ", filter: pocket, form: pocket"
    rewarder = "  rewarder: {kind: local, model: 'pocket:rewarder'}"
    assert rule_of(steps(run_file, engines=rewarder, knobs=knobs)).endswith(" AND reward > 0")


def test_the_lowest_tenth_of_all_scored_answers_goes_and_the_reason_has_the_threshold(run_file, home):
    recorder = Recorder()
    run(trace(run_file, engines=REWARDER.format("r"), knobs=", filter: f3, count: 40"), home, recorder)
    (folder,) = home.steps.glob("rank.drop_lowest-*")
    verdicts, (scored,) = read(folder), home.steps.glob("reward.score-*")
    rewards = read(scored)["reward"].sort()
    least = rewards[len(rewards) // 10]
    assert verdicts["kept"].to_list() == (read(scored)["reward"] >= least).to_list()
    assert verdicts.filter(~pl.col("kept"))["reason"].unique().to_list() == [f"in the lowest tenth by reward (< {least:.4g})"]


@pytest.mark.parametrize(
    ("recipe", "engines", "knobs", "message"),
    [
        ("magpie", "", ", filter: air", "reads 'base_reward'.*name an engine for 'rewarder'"),
        ("magpie", "  judge: {kind: fake, model: j}", ", filter: air", "reads 'base_reward'"),
        ("magpie", "", ", rule: reward > 2", "reads 'reward', and nothing scores the answers"),
        ("magpie", "", ", filter: f3, by: reward", "reads 'reward', and nothing scores the answers"),
        ("magpie", "", ", filter: f3, reward_above: 2", "reads 'reward', and nothing scores the answers"),
        ("magpie", "", ", filter: f3, pairs: {answers: 2}", "'pairs' need a score for every answer"),
        ("pika", "", ", rule: reward > 2", "reads 'reward', and nothing scores the answers"),
        ("pika", "", ", rejected: second", "'rejected' is about several scored answers"),
        ("pika", "", ", margin: 0.5", "'margin' is about several scored answers"),
        ("pika", "", ", within: 1.5", "'within' is about several scored answers"),
        ("pika", "  second_writer: {kind: fake, model: w}", "", "'second_writer' is about several scored answers"),
        ("pika", "  second_rewarder: {kind: fake, model: w}", "", "'second_rewarder' is about several scored answers"),
    ],
)
def test_what_needs_a_score_is_refused_before_anything_is_requested(run_file, recipe, engines, knobs, message):
    with pytest.raises(RecipeError, match=message):
        trace(run_file, recipe, engines, knobs)


def test_pika_with_a_teacher_alone_asks_for_one_answer_and_makes_no_pairs(run_file, home):
    found = trace(run_file, "pika")
    (answering,) = [step for step in found.steps if step.marks.role == "answers"]
    assert answering.knobs["n"] == 1
    assert found.remarks == [
        "rows are kept by: any 20 prompts; nothing scores the answers: the first answer stands; no pairs are made"
    ]
    out = run(found, home, Recorder())
    assert set(out) == {"sft"}
    rows = read(out["sft"])
    assert len(rows) == rows["persona"].n_unique() == 20


def test_pika_can_choose_by_what_needs_no_score(run_file, home):
    out = read(run(trace(run_file, "pika", knobs=", answers: 3, by: response_chars"), home, Recorder())["sft"])
    (lengths,) = home.steps.glob("lengths.measure-*")
    longest = read(lengths).group_by("parent").agg(pl.col("response_chars").max())
    assert out.join(longest, on="parent", suffix="_most").select(
        (pl.col("response_chars") == pl.col("response_chars_most")).all()
    )[0, 0]


def test_a_good_judge_scores_where_no_rewarder_does_and_its_check_is_a_result(run_file, home, tmp_path):
    out = run(trace(run_file, "pika", judge_of(tmp_path, "good"), ", answers: 3"), home, Recorder())
    assert set(out) == {"sft", "pairs", "audit", "judge-check"}
    rows = read(out["sft"])
    assert rows["reward"].is_between(0, 10).all()
    assert {"reward_mass", "reward_error"} <= set(rows.columns)
    assert read(out["judge-check"])["unable"].null_count() == len(read(out["judge-check"]))


@pytest.mark.parametrize("recipe", ["magpie", "pika"])
def test_an_unable_judge_is_refused_before_the_teacher_is_asked_anything_unless_forced(run_file, home, tmp_path, recipe):
    engines, knobs = judge_of(tmp_path, "picks_second"), ", filter: f3" if recipe == "magpie" else ""
    recorder = Recorder()
    with pytest.raises(EngineError, match=r"step 'judge-is-able'.*j cannot judge: pairwise.*100% of pairs.*force_judge: true"):
        run(trace(run_file, recipe, engines, knobs), home, recorder)
    assert set(recorder.cards) == {"check-pairs", "judge-check"}
    assert len(read(next(home.steps.glob("judge_check.measure-*"))).drop_nulls("unable")) == 2
    forced = trace(run_file, recipe, engines, knobs + ", force_judge: true")
    assert "judge j is used whatever its check says: force_judge is set" in forced.remarks
    assert len(read(run(forced, home, recorder)["sft"])) == 20
    assert not recorder.fresh["judge-check"]


def test_a_judge_scores_only_if_something_reads_the_score(run_file):
    judge = "  judge: {kind: fake, model: j}"
    assert "score" not in steps(run_file, engines=judge, knobs=", rule: length(prompt) > 3, by: response_chars")
    assert steps(run_file, engines=judge, knobs=", rule: length(prompt) > 3, by: reward")["score"].engine.model == "j"


def test_the_pocket_judge_is_not_checked_and_the_remarks_say_so(run_file):
    found = trace(run_file, engines="  judge: {kind: fake, model: j}", knobs=", filter: pocket, form: pocket, rubric: pocket")
    assert "judge-check" not in {step.name for step in found.steps}
    assert "judge j is not checked: the built-in pairs are not in the pocket world's language" in found.remarks


def test_the_remarks_say_who_scores_and_that_the_lowest_are_dropped(run_file):
    (by_model,) = trace(run_file, engines=REWARDER.format("some/Reward"), knobs=", filter: f3").remarks
    assert by_model.endswith(
        "; the lowest tenth by reward dropped (reward_above sets a threshold); the 20 longest answers; answers are scored by "
        "reward model some/Reward"
    )
    (by_judge,) = trace(run_file, "pika", engines="  judge: {kind: fake, model: j}").remarks
    assert by_judge == (
        "rows are kept by: rule reward IS NOT NULL; the best answer of each prompt by reward, any 20 of these; answers are "
        "scored by judge j (the mean of 0 to 10 by its label probabilities)"
    )
