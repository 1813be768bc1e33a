import json
import subprocess
import sys
import textwrap
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from attar.api.run import start
from attar.core.errors import DataError
from attar.core.table import read
from attar.outputs.dataset import citations, lineage, redact, row_format, shard_writer, split
from attar.outputs.dataset.write import write_dataset
from attar.runtime.home import Home, run_record, write_json
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import Settings

RECIPE = """
import polars as pl
from attar.engines.base import Spec
from attar.runtime.flow import recipe
from attar.stages.select import keep, where
from attar.stages.synth import respond
from attar.core.table import COLUMNS, ORIGIN, origin

def asks(*, count):
    prompts = [f"What is {i} and {i % 10}?" for i in range(count)]
    return pl.DataFrame({"id": [f"q{i:04d}" for i in range(count)], "prompt": prompts}).with_columns(
        pl.Series("messages", [[{"role": "user", "content": text}] for text in prompts], dtype=COLUMNS["messages"]),
        pl.Series("language", ["en" if i % 4 else "de" for i in range(count)]),
        pl.Series("system", ["Be brief."] * count),
        pl.Series("origin", [origin("own.asks", "/srv/weights/teacher", i) for i in range(count)], dtype=ORIGIN),
    )

def score(table, *, note=""):
    return table.with_columns(
        pl.Series("reward", [float(i % 7) for i in range(len(table))], dtype=pl.Float64), vector=pl.lit([0.5, 0.5]),
        nothing=pl.lit(None, dtype=pl.String), source=pl.lit("/srv/pools/first.jsonl"),
    )

def couple(table):
    good = table.filter(pl.col("response").is_not_null())
    first, last = (good.unique("parent", keep=k, maintain_order=True) for k in ("first", "last"))
    both = first.join(last.select("parent", pl.col("response").alias("rejected")), on="parent")
    return both.select(
        pl.col("parent").alias("id"), pl.col("messages").list.head(1), "prompt", pl.col("response").alias("chosen"), "rejected",
        pl.lit(2.0).alias("chosen_reward"),
    )

def curve(table):
    return pl.DataFrame({"id": ["step-1"], "loss": [0.5]})

@recipe(paper="arXiv:2510.06670")
def own(flow, *, teacher: Spec, count: int = 40, note: str = "", pairs: bool = True):
    asked = flow(asks, count=count)
    scored = flow(score, flow(respond.sample, asked, engine=teacher, n=2, temperature=0.7, whole=False), note=note)
    kept = flow(keep.rows, scored, flow(where.holds, scored, rule="reward > 1", name="rule"))
    return {"sft": kept, "model-own": flow(curve, kept)} | ({"pairs": flow(couple, scored)} if pairs else {})
"""
RUN = """
recipe: own.py
engines:
  teacher: {kind: fake, model: /srv/weights/teacher, faults: 0.1}
knobs: {count: 40}
"""


def made(place, text=RUN, name="try", bulk=20_000):
    place.mkdir(exist_ok=True)
    (place / "own.py").write_text(RECIPE)
    (place / f"{name}.yaml").write_text(textwrap.dedent(text))
    file, home = read_run_file(place / f"{name}.yaml"), Home(place / "home")
    object.__setattr__(file, "settings", Settings(bulk=bulk, shard=bulk))
    return home, start(file, home, Quiet())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made(tmp_path_factory.mktemp("dataset"))


@pytest.fixture(scope="module")
def folder(run):
    return write_dataset(run[0], "try", test=0.3, license_id="cc-by-4.0")


def loaded(folder, config, cache):
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), config, cache_dir=str(cache))


def card(folder):
    _, header, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), text


def test_datasets_reads_every_answered_row_and_no_other(run, folder, tmp_path):
    table = read(Path(run[1]["results"]["sft"]))
    answered = {row["id"]: row for row in table.to_dicts() if row["response"] is not None}
    assert 0 < len(answered) < len(table)
    sides = loaded(folder, "sft", tmp_path)
    rows = {row["id"]: row for side in sides.values() for row in side}
    assert sum(map(len, sides.values())) == len(rows) == len(answered)
    for name, row in rows.items():
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
        assert row["messages"][0]["content"] == row["instruction"] == answered[name]["prompt"]
        assert row["messages"][1]["content"] == row["response"] == answered[name]["response"]
        assert row["reward"] == answered[name]["reward"]


def test_pairs_go_out_as_turns(run, folder, tmp_path):
    table = {row["id"]: row for row in read(Path(run[1]["results"]["pairs"])).to_dicts()}
    sides = loaded(folder, "pairs", tmp_path)
    assert sum(map(len, sides.values())) == len(table)
    for row in sides["train"]:
        was = table[row["id"]]
        assert row["prompt"] == [{"role": "user", "content": was["prompt"]}]
        assert row["chosen"] == [{"role": "assistant", "content": was["chosen"]}]
        assert row["rejected"] == [{"role": "assistant", "content": was["rejected"]}]
        assert row["chosen_reward"] == 2.0


def test_jsonl_holds_the_rows_of_parquet(folder):
    for file in folder.rglob("*.parquet"):
        lines = [json.loads(line) for line in file.with_suffix(".jsonl").read_text().splitlines()]
        assert lines == pl.read_parquet(file).to_dicts()
    assert len(list(folder.rglob("*.parquet"))) == 4


def test_trl_trains_on_what_it_reads(folder, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from attar.engines.local.engine import POCKET

    base = str(POCKET / "base")
    common = {"output_dir": str(tmp_path / "out"), "max_steps": 1, "per_device_train_batch_size": 2, "report_to": "none"}
    common |= {"use_cpu": True, "bf16": False, "save_strategy": "no", "max_length": 128, "disable_tqdm": True}
    tasks = [
        (SFTTrainer, SFTConfig(**common, assistant_only_loss=True), "sft"),
        (DPOTrainer, DPOConfig(**common), "pairs"),
    ]
    for trainer, config, name in tasks:
        data = loaded(folder, name, tmp_path / "cache")["train"]
        model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
        done = trainer(model=model, args=config, train_dataset=data, processing_class=tokenizer).train()
        assert done.training_loss > 0


def test_the_answers_to_one_question_are_on_one_side_in_both_sets(folder):
    side = {}
    for file in folder.rglob("*.parquet"):
        table = pl.read_parquet(file)
        for name in table["parent"] if "parent" in table.columns else table["id"]:
            assert side.setdefault(name, file.stem) == file.stem
    assert set(side.values()) == {"train", "test"}


ROWS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abcdef")), max_size=14)


def keys_of(rows, first=0):
    return split.group_keys(
        pl.DataFrame(
            {
                "id": [f"r{first + i}" for i in range(len(rows))],
                "parent": [f"r{parent}" if parent < 8 else None for parent, _ in rows],
                "messages": [[{"role": "user", "content": text}, {"role": "assistant", "content": "x"}] for _, text in rows],
            },
            schema_overrides={
                "id": pl.String,
                "parent": pl.String,
                "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
            },
        )
    )


def families(rows):
    """Sets of row numbers that are linked, however far, by a parent or by their text."""
    names = [{f"r{i}", f"t{text}", f"r{parent}" if parent < 8 else f"r{i}"} for i, (parent, text) in enumerate(rows)]
    found = []
    for one in names:
        touching = [other for other in found if other & one]
        found = [other for other in found if not other & one] + [set(one).union(*touching)]
    return [[i for i in range(len(rows)) if f"r{i}" in family] for family in found]


@given(ROWS, st.integers(0, 14), st.integers(0, 3))
def test_whatever_is_linked_falls_on_one_side(rows, cut, seed):
    pieces = {"sft": [keys_of(rows[:cut])], "pairs": [keys_of(rows[cut:], len(rows[:cut]))]}
    told = split.assign_test_rows(pieces, 0.5, seed)
    side = [*told["sft"], *told["pairs"]]
    assert len(side) == len(rows)
    for family in families(rows):
        assert len({side[i] for i in family}) == 1


def test_rows_that_come_later_move_none_that_were_there():
    rows = [(9, f"text {i}") for i in range(400)]
    some = split.assign_test_rows({"sft": [keys_of(rows[:300])]}, 0.2, 0)["sft"]
    every = split.assign_test_rows({"sft": [keys_of(rows)]}, 0.2, 0)["sft"]
    assert every[:300].to_list() == some.to_list()
    assert 50 < every.sum() < 110
    assert split.assign_test_rows({"sft": [keys_of(rows)]}, 0.2, 1)["sft"].to_list() != every.to_list()
    assert split.assign_test_rows({"sft": [keys_of(rows)]}, 0.0, 0)["sft"].sum() == 0


def test_case_and_spaces_make_no_other_opening():
    rows = [(9, text) for i in range(40) for text in (f"Where is {i}?", f" where  IS {i}?\n")]
    side = split.assign_test_rows({"sft": [keys_of(rows)]}, 0.5, 0)["sft"].to_list()
    assert side[::2] == side[1::2]
    assert set(side) == {True, False}


def test_a_grandchild_moves_nobody():
    def family(*names):
        talk = [[{"role": "user", "content": name}] for name in names]
        parents = [None, *names[:-1]]
        return split.group_keys(
            pl.DataFrame({"id": names, "parent": parents, "messages": talk}, schema_overrides={"parent": pl.String})
        )

    for i in range(60):
        names = (f"z{i}", f"a{i}", f"b{i}")
        before = split.assign_test_rows({"sft": [family(*names[:2])]}, 0.5, 0)["sft"].to_list()
        assert split.assign_test_rows({"sft": [family(*names)]}, 0.5, 0)["sft"].to_list() == [*before, before[0]]


@pytest.mark.parametrize("bulk", [3, 1000])
def test_the_size_of_the_parts_does_not_show(folder, tmp_path, bulk):
    home, _ = made(tmp_path / "other", bulk=bulk)
    other = write_dataset(home, "try", tmp_path / "out", test=0.3, license_id="cc-by-4.0")
    for file in folder.rglob("*.jsonl"):
        assert (other / file.relative_to(folder)).read_bytes() == file.read_bytes()


def test_a_long_set_is_several_files_and_is_read_whole(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_writer, "GROUP_ROWS", 4)
    monkeypatch.setattr(shard_writer, "FILE_ROWS", 10)
    out = write_dataset(run[0], "try", tmp_path / "out", test=0.0)
    files = sorted(file.name for file in (out / "data" / "sft").glob("*.parquet"))
    assert files[:2] == ["train-00001.parquet", "train-00002.parquet"]
    assert files[-1] == "train.parquet"
    lines = (out / "data" / "sft" / "train.jsonl").read_text().splitlines()
    assert [row["id"] for row in loaded(out, "sft", tmp_path)["train"]] == [json.loads(line)["id"] for line in lines]
    assert "test" not in loaded(out, "sft", tmp_path)


def test_the_header_says_what_the_hub_asks(folder):
    header, _ = card(folder)
    assert header["license"] == "cc-by-4.0"
    assert header["language"] == ["en", "de"]
    assert header["size_categories"] == ["n<1K"]
    assert "synthetic" in header["tags"]
    assert [config["config_name"] for config in header["configs"]] == ["sft", "pairs"]
    assert header["configs"][0]["data_files"][1] == {"split": "test", "path": "data/sft/test.parquet"}


def test_the_card_tells_the_funnel_the_rule_and_the_models(run, folder):
    _, text = card(folder)
    steps = {step["name"]: run[0].steps / step["folder"] for step in run[1]["steps"]}
    rule = read(steps["rule"])
    kept = rule["kept"].sum()
    assert f"| rule | select.where.holds |  | 80 | {kept} | 0 | {80 - kept} |" in text
    assert f"`rule` (select.where.holds) kept {kept} of 80. Its knobs: rule = `reward > 1`." in text
    assert f"{80 - kept}: not: reward > 1" in text
    failed = read(steps["sample"])["response"].null_count()
    assert f"| sample | synth.respond.sample | teacher | 80 | 80 | {failed} | - |".replace("| 80 |", "| 40 |", 1) in text
    assert f"`sample` failed on {failed}: fault on demand ({failed})" in text
    assert "| sample | teacher | teacher | fake | n=2, temperature=0.7 | 80 |" in text
    assert "Models of this set: `teacher`." in text
    assert "curve" not in text
    assert "Yin, Shining" not in text
    assert "author = {Shangjian Yin and Shining Liang" in text
    assert "No step of this run looked for benchmarks' texts" in text
    refused = read(Path(run[1]["results"]["sft"]))["response"].null_count()
    assert f"{refused} no answer |" in text


def test_the_figures_are_those_of_the_rows(folder):
    table = pl.concat([pl.read_parquet(file) for file in (folder / "data" / "sft").glob("*.parquet")])
    facts = json.loads((folder / "attar.json").read_text())["configs"]["sft"]
    rewards = sorted(table["reward"])
    told = facts["numbers"]["reward"]
    assert (told["count"], told["least"], told["most"]) == (len(rewards), rewards[0], rewards[-1])
    assert told["mean"] == pytest.approx(sum(rewards) / len(rewards))
    assert told["50%"] in (rewards[len(rewards) // 2], rewards[(len(rewards) - 1) // 2])
    lengths = [len(text) for text in table["response"]]
    assert facts["numbers"]["characters, last answer"]["most"] == max(lengths)
    assert facts["labels"]["language"] == {code: table["language"].to_list().count(code) for code in ("en", "de")}


def test_what_says_nothing_or_would_mislead_a_trainer_is_left_out_or_renamed(folder):
    columns = pl.read_parquet(folder / "data" / "sft" / "train.parquet").columns
    assert not {"prompt", "system", "nothing", "vector", "response_error"} & set(columns)
    assert {"instruction", "meta_system", "parent"} <= set(columns)
    assert "`vector`" in card(folder)[1]


def test_no_path_of_the_machine_goes_out(run, folder):
    for file in [path for path in folder.rglob("*") if path.suffix != ".parquet" and path.is_file()]:
        text = file.read_text()
        assert "/srv" not in text
        assert str(run[0].root) not in text
        assert str(Path.home()) + "/" not in text
    row = pl.read_parquet(folder / "data" / "sft" / "train.parquet").to_dicts()[0]
    assert row["origin"]["engine"] == "teacher"
    assert row["source"] == "first.jsonl"


def test_no_secret_of_a_record_goes_out(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery")
    note = "'see /srv/private/notes.txt with correct-horse-battery and hf_abcdefghijklmnopqrst'"
    home, record = made(tmp_path / "run", RUN.replace("{count: 40}", f"{{count: 40, note: {note}}}"))
    kept = run_record(home, "try")
    kept["engines"]["teacher"] |= {
        "url": "http://me:hunter2@10.0.0.7:8000/v1",
        "key_env": "MY_API_KEY",
        "env": {"HF_TOKEN": "x"},
        "extra": {"api_key": "abc", "top_k": 20, "where": "https://user:pw@models.example.com/v1?token=1"},
        "command": ["/opt/vllm/bin/python"],
    }
    write_json(home.runs / "try.json", kept)
    text = "".join(file.read_text() for file in write_dataset(home, "try").glob("*.*"))
    for secret in ("correct-horse", "hf_abc", "10.0.0.7", "hunter2", "pw@", "abc", "token=1", "/opt", "/srv"):
        assert secret not in text, secret
    told = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])["engines"]["teacher"]
    assert told["url"] == "http://YOUR-SERVER/v1"
    assert told["key_env"] == "MY_API_KEY"
    assert not {"env", "command"} & set(told)
    assert told["extra"] == {"top_k": 20, "where": "https://models.example.com/v1"}
    assert record["name"] == "try"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("/data/models/Qwen3-8B", "Qwen3-8B"),
        ("~/models/base/", "base"),
        ("./base", "base"),
        ("C:\\models\\base", "base"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("pocket:teacher", "pocket:teacher"),
    ],
)
def test_a_folder_is_told_by_its_name_and_a_model_of_the_hub_whole(given, told):
    assert redact.redact_model(given) == told


@pytest.mark.parametrize(
    "text", ["reward > -12 AND NOT ends_with(prompt, ':')", "/no_think", "a and/or b, TCP/IP", "length(prompt) / 2 > 3"]
)
def test_a_rule_or_a_system_turn_is_told_to_the_letter(text):
    assert redact.redact_value({"rule": text, "max_tokens": 5}) == {"rule": text, "max_tokens": 5}


def test_an_error_keeps_its_words_and_loses_its_paths():
    said = "HTTP 400 at http://127.0.0.1:81/v1/chat: /srv/a/model.bin, see https://docs.example.org/a/b.html"
    assert (
        redact.redact_message(said)
        == "HTTP 400 at http://YOUR-SERVER/v1/chat: model.bin, see https://docs.example.org/a/b.html"
    )


def test_a_run_with_conversations_alone_and_no_rows_is_a_set_without_rows(tmp_path):
    home, _ = made(tmp_path / "run", RUN.replace("{count: 40}", "{count: 0, pairs: false}"))
    out = write_dataset(home, "try")
    header, text = card(out)
    assert "It has no rows." in text
    assert "configs" not in header
    assert {"id", "messages", "response"} <= set(pl.read_parquet(out / "data/sft/train.parquet").columns)


def test_a_side_without_rows_is_not_announced(tmp_path):
    home, _ = made(tmp_path / "run", RUN.replace("{count: 40}", "{count: 4, pairs: false}"))
    out = write_dataset(home, "try", test=0.98)
    assert [len(side) for side in loaded(out, "sft", tmp_path).values()] == [
        json.loads((out / "attar.json").read_text())["configs"]["sft"]["rows"]["test"]
    ]


def test_an_answer_that_the_conversation_lacks_is_added():
    talk = [{"role": "user", "content": "a"}]
    table = pl.DataFrame({"id": ["1", "2"], "messages": [talk, [*talk, {"role": "assistant", "content": "b"}]]})
    out = row_format.shape_rows(table.with_columns(response=pl.Series(["c", "b"])), "sft", {})
    assert [row[-1]["content"] for row in out["messages"].to_list()] == ["c", "b"]
    assert [len(row) for row in out["messages"].to_list()] == [2, 2]


def test_a_row_names_a_model_of_the_run_by_the_step_that_trained_it():
    made = {"stage": "s", "engine": "/home/of/steps/sft.train-1/model", "seed": 1, "parents": []}
    table = pl.DataFrame({"id": ["1"], "messages": [[{"role": "assistant", "content": "b"}]], "origin": [made]})
    out = row_format.shape_rows(
        table.with_columns(writer=pl.lit(made["engine"])), "sft", {made["engine"]: "the model of step fit"}
    )
    assert out["origin"].to_list() == [made | {"engine": "the model of step fit"}]
    assert out["writer"].to_list() == ["the model of step fit"]


def test_a_row_that_cannot_be_trained_on_is_told_with_its_reason():
    ask, answer = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    sft = pl.DataFrame({"id": ["1", "2", "3"], "messages": [[ask], [ask, answer], None]})
    assert sft.select(f=row_format.fault("sft", sft.columns))["f"].to_list() == ["no answer", None, "no conversation"]
    pairs = pl.DataFrame(
        {"id": ["1", "2", "3"], "messages": [[ask], [ask, answer], [ask]], "chosen": ["x"] * 3, "rejected": ["y", "y", None]}
    )
    assert pairs.select(f=row_format.fault("pairs", pairs.columns))["f"].to_list() == [
        None,
        "its prompt ends with an answer",
        "no pair",
    ]


def test_a_decontamination_step_is_told(run, tmp_path):
    kept = run_record(run[0], "try")
    for step in kept["steps"]:
        step["marks"]["role"] = "decontamination" if step["name"] == "rule" else step["marks"]["role"]
    write_json(run[0].runs / "cleaned.json", kept | {"name": "cleaned"})
    text = card(write_dataset(run[0], "cleaned", tmp_path / "out"))[1]
    assert "`rule` (select.where.holds) checked 80 rows and dropped" in text
    assert "No step of this run looked" not in text


def test_the_training_of_a_model_that_wrote_the_rows_belongs_to_their_story():
    def step(name, *inputs, engine=None, role=None):
        return {"name": name, "folder": f"{name}-1", "inputs": list(inputs), "engine": engine, "role": role}

    steps = [
        step("seed"),
        step("fit", "seed", engine="/m/base", role="base"),
        step("asks"),
        step("answers", "asks", engine="fit"),
        step("exam", "answers", engine="fit"),
    ]
    record = {"steps": steps, "results": {"sft": "answers-1", "scores": "exam-1"}}
    assert [one["name"] for one in lineage.ancestry(record, ["sft"])] == ["seed", "fit", "asks", "answers"]


def test_a_run_that_has_not_ended_is_refused(run):
    write_json(run[0].runs / "half.json", run_record(run[0], "try") | {"name": "half", "finished": None})
    with pytest.raises(DataError, match="'half' is not finished: run attar resume half"):
        write_dataset(run[0], "half")


def test_a_run_without_data_is_refused_by_name(run):
    kept = run_record(run[0], "try")
    write_json(run[0].runs / "bare.json", kept | {"results": {"model-own": kept["results"]["model-own"]}, "name": "bare"})
    with pytest.raises(DataError, match="'bare' has no result that is data: none of model-own"):
        write_dataset(run[0], "bare")


def test_a_folder_that_is_not_ours_is_left_alone(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(DataError, match="is no dataset of Attar's"):
        write_dataset(run[0], "try", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_writing_again_replaces_and_failing_midway_leaves_what_was_there(run, tmp_path, monkeypatch):
    out = write_dataset(run[0], "try", tmp_path / "out", test=0.5)
    before = {file: file.read_bytes() for file in out.rglob("*.jsonl")}
    monkeypatch.setattr("attar.outputs.dataset.write.card_text", lambda facts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_dataset(run[0], "try", tmp_path / "out", test=0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {file: file.read_bytes() for file in out.rglob("*.jsonl")} == before
    monkeypatch.undo()
    write_dataset(run[0], "try", tmp_path / "out", test=0.0)
    assert not list(out.rglob("test*"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("knob", "value"), [("test", 1.0), ("test", -0.1), ("license_id", "Do what you want")])
def test_a_split_or_a_licence_that_cannot_be_is_refused(run, tmp_path, knob, value):
    with pytest.raises(DataError, match=r"test must be|is no identifier"):
        write_dataset(run[0], "try", tmp_path / "out", **{knob: value})


@pytest.mark.parametrize("number", ["2406.08464", "2312.15685", "2510.06670", "2412.04305"])
def test_each_of_the_four_papers_has_its_entry(number):
    entry = citations.bibtex(number)
    assert entry is not None
    assert f"eprint = {{{number}}}" in entry
    assert entry.count("{") == entry.count("}")
    assert citations.bibtex("0000.00000") is None
    assert citations.arxiv_id(f"arXiv:{number}") == number


def test_the_command_writes_and_a_mistake_is_one_line(run, tmp_path):
    code = "import attar.cli.dataset; from attar.cli.main import main; main()"
    words = ["dataset", "try", "--home", run[0].root, "-o", tmp_path / "out", "--test", "0.4"]
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["folder"] == str(tmp_path / "out")
    assert told["configs"]["sft"]["rows"]["train"] == len((tmp_path / "out/data/sft/train.jsonl").read_text().splitlines())
    done = subprocess.run([*command, "--license", "?"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("attar: license '?' is no identifier")
