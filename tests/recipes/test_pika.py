import polars as pl
import pytest

from attar.core.table import COLUMNS, read
from attar.engines.base import Spec
from attar.engines.fake import Fake
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import run
from attar.runtime.settings import Settings
from attar.stages.annotate import safety

POCKET = """
recipe: pika
engines:
  teacher: {kind: local, model: "pocket:teacher", dtype: float64, threads: 1}
  rewarder: {kind: local, model: "pocket:rewarder", dtype: float64, threads: 1}
  base: {kind: local, model: "pocket:base", dtype: float64, threads: 1}
knobs:
  {count: 60, size: 24, personas: pocket, voice: pocket, answers: 3, temperature: 1.6, rule: reward > 0, prompt_tokens: 80,
   answer_tokens: 80, exam: pocket, exam_size: 45, train: {epochs: 1, lr: 0.004, batch: 8, max_length: 256},
   prefer: {lr: 0.0001, batch: 8, max_length: 256}}
"""
FAKE = """
recipe: pika
engines:
  teacher: {kind: fake, model: teacher}
  rewarder: {kind: fake, model: rewarder}
ENGINES
knobs: {count: 40, size: 20, answers: 3KNOBS}
"""


def fake(knobs="", engines=""):
    return FAKE.replace("KNOBS", knobs).replace("ENGINES", engines)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("pika")
    (place / "pika.yaml").write_text(POCKET)
    home = Home(place / "home")
    return home, run(read_run_file(place / "pika.yaml").trace(), home, Quiet())


def test_an_sft_row_is_the_best_answer_to_an_experts_prompt(whole):
    home, results = whole
    chosen = read(results["sft"])
    assert len(chosen) == 24
    (scored,) = home.steps.glob("reward.score-*")
    best = read(scored).group_by("parent").agg(pl.col("reward").max())
    assert chosen.join(best, on="parent", suffix="_best").select((pl.col("reward") == pl.col("reward_best")).all()).item()
    assert chosen["persona"].null_count() == 0


def test_pairs_set_the_best_against_the_worst_answer_to_the_same_prompt(whole):
    pairs = read(whole[1]["pairs"])
    assert len(pairs) > 5
    assert (pairs["margin"] > 0).all()
    assert (pairs["chosen_id"].str.split(".").list.first() == pairs["id"]).all()


def test_both_students_and_the_control_sit_the_exam(whole):
    scores = read(whole[1]["scores"]).filter(pl.col("level") == "all")
    assert scores["arm"].to_list() == ["selected", "preferred", "random", "none"]


def test_the_recipe_needs_no_download_and_no_base(run_file, do_file):
    results = do_file(run_file(fake()))
    sft, pairs = read(results["sft"]), read(results["pairs"])
    assert len(sft) == 20
    assert len(pairs) == 20
    assert sft["persona"].n_unique() == 20
    assert set(sft["task"]) > {None} or sft["task"].null_count() == 0
    assert set(results) == {"sft", "pairs", "audit"}


def test_personas_can_be_off_and_facets_too(run_file, do_file):
    sft = read(do_file(run_file(fake(", personas: none, facets: false")))["sft"])
    assert sft["persona"].null_count() == len(sft)
    assert "task" not in sft.columns


def test_a_second_writer_adds_answers_and_a_second_rewarder_audits_the_choice(run_file, do_file):
    more = "  second_writer: {kind: fake, model: other}\n  second_rewarder: {kind: fake, model: critic}"
    results = do_file(run_file(fake(engines=more)))
    told = {row["id"]: row for row in read(results["audit"]).to_dicts()}
    assert told["share where the second score agrees"]["count"] > 30
    assert set(read(results["sft"])["writer"]) == {"teacher", "other"}


def test_one_answer_to_a_prompt_is_scored_and_kept_by_the_rule_and_there_are_no_pairs(run_file, do_file):
    results = do_file(run_file(fake(", rule: reward > 0").replace("answers: 3", "answers: 1")))
    assert "pairs" not in results
    assert 0 < len(table := read(results["sft"])) <= 20
    assert table["reward"].min() > 0


def test_answers_can_be_matched_in_length(run_file, do_file):
    sft = read(do_file(run_file(fake(", within: 1.2")))["sft"])
    assert sft["length_ratio"].is_between(1 / 1.2 - 1e-6, 1.2 + 1e-6).all()


def test_two_rounds_give_conversations_of_two_turns(run_file, do_file):
    results = do_file(run_file(fake(", rounds: 2")))
    assert {len(talk) for talk in read(results["sft"])["messages"].to_list()} == {4}
    assert {len(talk) for talk in read(results["pairs"])["messages"].to_list()} == {3}


@pytest.mark.parametrize("shard", [1, 7])
def test_the_rows_are_the_same_for_any_shard_size(run_file, tmp_path, shard):
    trace = read_run_file(run_file(fake())).trace()
    out = run(trace, Home(tmp_path / "small"), Quiet(), Settings(shard=shard, bulk=shard))
    plain = run(trace, Home(tmp_path / "plain"), Quiet())
    assert all(read(out[name]).equals(read(plain[name])) for name in plain)


def test_no_answer_that_the_guard_finds_unsafe_is_in_a_row_or_on_either_side_of_a_pair(run_file, do_file):
    results = do_file(run_file(fake(engines="  guard: {kind: fake, model: guard}")))
    sft, pairs = read(results["sft"]), read(results["pairs"])
    sides = [
        [*talk, {"role": "assistant", "content": said}]
        for which in ("chosen", "rejected")
        for talk, said in pairs.select("messages", which).iter_rows()
    ]
    talks = pl.Series([*sft["messages"].to_list(), *sides], dtype=COLUMNS["messages"])
    asked = pl.DataFrame({"id": list(map(str, range(len(talks)))), "messages": talks})
    assert len(sft) == 20
    assert len(pairs) > 10
    assert safety.score(asked, engine=Fake(Spec("fake", "guard")))["safe"].min() >= 0.5
