import polars as pl
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from attar.cli.render_comparison import _format_rows
from attar.outputs.compare import costs
from attar.outputs.compare.compare import compare
from attar.runtime.home import read_json, write_json

GPT = {"kind": "http", "model": "gpt"}


def talk(user, said):
    return [{"role": "user", "content": user}, {"role": "assistant", "content": said}]


ROWS = pl.DataFrame(
    {
        "id": ["r1", "r2", "r3"],
        "messages": [talk("one two", "three"), talk("a", "b c d"), [{"role": "user", "content": "lost"}]],
        "response": ["three", "b c d", None],
    }
)
PAIRS = pl.DataFrame(
    {"id": ["p"], "messages": [[{"role": "user", "content": "x y"}]], "chosen": ["good one"], "rejected": ["bad"]}
)


def asked(name, spent, **more):
    return {"name": name, "spent": spent, "stage": "synth.respond.sample", "engine": "gpt", "role": "teacher", **more}


STEPS = [
    asked(
        "ask",
        {"asked": 100, "recalled": 5, "tokens_in": 1_000, "tokens_out": 3_000, "cost": 2.0, "seconds": 20.0},
        card={"cost": 2.0, "seconds": 3.0},
    ),
    {"name": "unused", "stage": "annotate.reward.score", "engine": "rewarder", "inputs": ["ask"], "spent": {"asked": 7}},
    {"name": "rows", "stage": "select.keep.rows", "inputs": ["ask"], "table": ROWS, "card": {"seconds": 1.0}},
    {"name": "pairs", "stage": "select.keep.rows", "inputs": ["ask"], "table": PAIRS},
    {
        "name": "train",
        "stage": "train.sft.train",
        "inputs": ["rows"],
        "engine": "base",
        "role": "base",
        "card": {"seconds": 60.0, "knobs": {"epochs": 3.0}},
    },
    {"name": "prefer", "stage": "train.preference.train", "inputs": ["pairs"], "engine": "train"},
    {"name": "exam", "stage": "evaluate.benchmarks.pocket_exam.tasks"},
    asked("sit-x", {"asked": 40, "tokens_in": 400, "tokens_out": 80}, inputs=["exam"], engine="train", role=None),
    asked("sit-y", {"asked": 40}, inputs=["exam"], engine="prefer", role=None),
    asked("sit-none", {"asked": 40}, inputs=["exam"], engine="base", role="base"),
]


@pytest.fixture
def words(home):
    """Every training of run a keeps a tokenizer whose tokens are words."""
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    for name in ("train", "prefer"):
        (home.steps / f"{name}-a" / "model").mkdir(parents=True)
        tokenizer.save(str(home.steps / f"{name}-a" / "model" / "tokenizer.json"))


@pytest.fixture
def found(made, marked, home, words):
    right = {"x": 40, "y": 50, "none": 20}
    made("a", {arm: marked([i < count for i in range(100)]) for arm, count in right.items()}, steps=STEPS)
    return compare(home, "a:x", "a:y", "a:none")


def line(table, name):
    return table.filter(pl.col("id") == name).row(0, named=True)


def test_making_a_model_is_all_that_it_depends_on_and_no_more(found):
    making = line(found.taken, "a:x/making")
    assert [making[key] for key in ("asked", "recalled", "tokens_in", "tokens_out")] == [100, 5, 1_000, 3_000]
    assert making["seconds"] == 81.0  # 20 to ask, in all tries; 1 to choose; 60 to train
    assert (making["cost"], making["unpriced"]) == (2.0, [])


def test_the_exam_is_counted_apart_and_an_unknown_price_is_not_zero(found):
    exam = line(found.taken, "a:x/exam")
    assert [exam[key] for key in ("asked", "tokens_in", "tokens_out", "cost")] == [40, 400, 80, None]
    assert exam["unpriced"] == ["train"]


def test_the_whole_run_is_every_step_of_it(found):
    run = line(found.taken, "a:y/run")
    assert (run["asked"], run["cost"], run["unpriced"]) == (100 + 7 + 3 * 40, 2.0, ["base", "prefer", "rewarder", "train"])


def test_a_model_that_no_step_trained_was_not_made_here(found):
    assert found.taken.filter(side="a:none")["what"].to_list() == ["exam", "run"]
    assert found.trained.filter(side="a:none").is_empty()


def test_a_judge_that_the_run_trained_is_no_model_that_sat_the_exam(made, marked, home):
    judging = {"stage": "evaluate.judging.pointwise.weigh", "engine": "prefer", "inputs": ["sit-x"]}
    made("a", {arm: marked([1.0, 2.0], "score") for arm in ("x", "y")}, steps=[*STEPS, {"name": "judged-x", **judging}])
    record = home.runs / "a.json"
    lines = read_json(record)
    next(step for step in lines["steps"] if step["name"] == "mark-x")["inputs"] = ["judged-x"]
    write_json(record, lines)
    assert compare(home, "a:x", "a:y").trained.filter(side="a:x")["step"].to_list() == ["train"]


def test_every_training_behind_a_model_tells_its_rows_and_their_tokens(found):
    result = found.trained.select("side", "step", "rows", "tokens", "epochs").rows()
    assert result == [
        ("a:x", "train", 2, 7, 3.0),  # the third row has no answer; one two three, a b c d
        ("a:y", "train", 2, 7, 3.0),
        ("a:y", "prefer", 1, 5, None),  # x y, good one, bad
    ]


def test_of_many_rows_some_are_looked_at_and_stand_for_all(made, marked, home, words, monkeypatch):
    monkeypatch.setattr(costs, "_MAX_TOKENIZED", 10)
    many = pl.DataFrame({"id": [f"r{i}" for i in range(40)], "messages": [talk("a b", "c")] * 40, "response": ["c"] * 40})
    steps = [step | {"table": many} if step["name"] == "rows" else step for step in STEPS]
    made("a", {arm: marked([True, False]) for arm in ("x", "y")}, steps=steps)
    result = line(compare(home, "a:x", "a:y").trained, "a:x/train")
    assert (result["rows"], result["counted"], result["tokens"]) == (40, 10, 120)


def test_without_a_tokenizer_tokens_are_not_known(made, marked, home):
    made("a", {arm: marked([True, False]) for arm in ("x", "y")}, steps=STEPS)
    assert compare(home, "a:x", "a:y").trained.select("rows", "tokens").rows() == [(2, None), (2, None), (1, None)]


def test_a_point_over_the_base_has_its_price(found):
    gain = line(found.worth, "a:x/gain")
    assert (gain["value"], gain["count"]) == (pytest.approx(20.0), 100)  # 40 right against 20
    assert 10 < gain["low"] < 20 < gain["high"] < 30
    price = line(found.worth, "a:x/cost per point")
    assert price["value"] == pytest.approx(2.0 / 20)
    assert (price["low"], price["high"]) == (pytest.approx(2.0 / gain["high"]), pytest.approx(2.0 / gain["low"]))
    assert line(found.worth, "a:y/tokens per point")["value"] == pytest.approx(4_000 / 30)
    assert found.worth.filter(side="a:none").is_empty()


def test_where_nothing_was_gained_a_point_has_no_price(made, marked, home):
    made("a", {"x": marked([True] * 20), "y": marked([False] * 20), "none": marked([True] * 20)}, steps=STEPS)
    found = compare(home, "a:x", "a:y").worth
    price = line(found, "a:x/cost per point")
    assert price["value"] is price["high"] is None
    assert price["low"] == pytest.approx(2.0 / line(found, "a:x/gain")["high"])
    assert line(found, "a:y/gain")["value"] == pytest.approx(-100.0)


def test_an_unknown_price_makes_no_price_of_a_point(made, marked, home):
    more = asked("more", {"asked": 1})
    steps = [more, *(step | {"inputs": ["ask", "more"]} if step["name"] == "rows" else step for step in STEPS)]
    made("a", {"x": marked([True] * 20), "y": marked([True] * 20), "none": marked([False] * 20)}, steps=steps)
    found = compare(home, "a:x", "a:y").worth
    assert found.filter(side="a:x")["figure"].to_list() == ["gain", "tokens per point"]


def test_a_score_has_points_of_one(made, marked, home):
    arms = {"x": [5.0, 7.0] * 10, "y": [6.0, 6.0] * 10, "none": [4.0, 4.0] * 10}
    made("a", {arm: marked(values, "score") for arm, values in arms.items()}, steps=STEPS)
    assert line(compare(home, "a:x", "a:y").worth, "a:x/gain")["value"] == pytest.approx(2.0)


def test_a_gain_is_over_the_questions_that_are_compared(made, marked, home):
    base = marked([False] * 100)
    made("a", {"x": marked([i < 50 for i in range(100)]), "none": base}, steps=STEPS)
    made("b", {"x": marked([True] * 60)})
    gain = line(compare(home, "a", "b").worth, "a:x/gain")
    assert (gain["value"], gain["count"]) == (pytest.approx(100 * 50 / 60), 60)


def test_a_training_says_by_its_mark_whether_it_was_on_answers_or_on_pairs(found):
    trained = found.trained.filter(side="a:y")
    assert trained.select("step", "trains").rows() == [("train", "answers"), ("prefer", "pairs")]
    assert _format_rows(trained.to_dicts()) == "2 rows, then 1 pairs"
