import json

import polars as pl
import pytest
import yaml
from stages_for_tests import marks_of
from typer.testing import CliRunner

from attar.api.run import start
from attar.cli import export as command
from attar.cli import main
from attar.cli.app import app
from attar.core.errors import DataError, RecipeError
from attar.core.table import COLUMNS, write_part
from attar.engines.local.spec import POCKET
from attar.outputs.export.folder import export
from attar.runtime.home import write_json
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file

assert command
assert main  # importing them adds the commands
TALKS = [("Name a land.", "Norway."), ("What is 2 + 2?", "4."), ("Say nothing.", None)]


def messages(turns):
    return pl.Series(turns, dtype=COLUMNS["messages"])


def said(role, content):
    return {"role": role, "content": content}


SFT = pl.DataFrame(
    {
        "id": ["a", "b", "c"],
        "messages": messages([[said("user", asked), said("assistant", answer or "")] for asked, answer in TALKS]),
        "response": [answer for _, answer in TALKS],
    }
)
PAIRS = pl.DataFrame(
    {
        "id": ["a", "b"],
        "messages": messages([[said("user", asked)] for asked, _ in TALKS[:2]]),
        "chosen": ["Norway.", "4."],
        "rejected": ["A cat.", "5."],
    }
)


@pytest.fixture
def record(home):
    """A run in the home, by its results, the knobs of its training, and its run file's knobs."""

    def make(*, results=("sft", "pairs"), trained=None, preferred=None, knobs=None):
        tables, steps = {"sft": SFT, "pairs": PAIRS}, []
        for name in results:
            write_part(tables[name], home.steps / f"made.{name}", 0, len(tables[name]))
            kept = {"stage": "select.keep.rows", "marks": marks_of("select.keep.rows"), "inputs": [], "role": None}
            steps.append({"name": name, "folder": f"made.{name}", **kept})
            steps[-1]["engine"] = None
        for name, stage, given, engine in (
            ("fit", "train.sft.train", trained, "pocket:base"),
            ("better", "train.preference.train", preferred, "fit"),
        ):
            if given is not None:
                rows = "sft" if name == "fit" else "pairs"
                role = "base" if name == "fit" else None
                line = {"name": name, "stage": stage, "marks": marks_of(stage), "folder": f"train.{name}"}
                steps.append({**line, "inputs": [rows], "role": role})
                steps[-1]["engine"] = engine
                write_json(home.steps / f"train.{name}" / "card.json", {"knobs": given})
        found = {name: f"made.{name}" for name in results}
        write_json(home.runs / "mine.json", {"name": "mine", "knobs": knobs or {}, "steps": steps, "results": found})

    return make


def lines(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def config(file):
    return yaml.safe_load(file.read_text())


def test_trls_own_command_trains_on_what_is_written(home, record, tmp_path, monkeypatch):
    from trl.scripts.sft import main, make_parser

    record(trained={"epochs": 3.0, "lr": 0.001, "batch": 2, "max_length": 64, "schedule": "linear", "seed": 5})
    assert export(home, "mine", "trl", tmp_path / "out")[0] == f"cd {tmp_path / 'out'} && trl sft --config sft.yaml"
    monkeypatch.chdir(tmp_path / "out")
    parsed = make_parser().parse_args_and_config(
        ["--config", "sft.yaml", "--use_cpu", "true", "--bf16", "false"], fail_with_unknown_args=True
    )
    asked = parsed[1]
    assert (asked.num_train_epochs, asked.learning_rate, asked.lr_scheduler_type.value) == (3.0, 0.001, "linear")
    assert (asked.per_device_train_batch_size * asked.gradient_accumulation_steps, asked.max_length, asked.seed) == (2, 64, 5)
    assert asked.warmup_steps == 0.03
    main(*parsed)
    assert (tmp_path / "out" / "sft-model" / "model.safetensors").exists()
    history = json.loads(next((tmp_path / "out" / "sft-model").glob("checkpoint-*/trainer_state.json")).read_text())
    assert history["max_steps"] == 3  # two rows in batches of two, three times over


@pytest.mark.parametrize("method", ["dpo", "ipo", "kto"])
def test_trls_parser_takes_the_configuration_of_pairs(method, home, record, tmp_path, monkeypatch):
    from importlib import import_module

    record(trained={}, preferred={"method": method, "beta": 0.2})
    name = "kto" if method == "kto" else "dpo"
    commands = export(home, "mine", "trl", tmp_path / "out")
    assert commands[1].endswith(f"trl {name} --config pairs.yaml")
    monkeypatch.chdir(tmp_path / "out")
    parser = import_module(f"trl.scripts.{name}").make_parser()
    asked = parser.parse_args_and_config(["--config", "pairs.yaml", "--bf16", "false"], fail_with_unknown_args=True)
    assert asked[1].beta == 0.2
    assert asked[2].model_name_or_path == "./sft-model"  # it starts from what the first command makes
    assert method == "kto" or asked[1].loss_type == [{"dpo": "sigmoid", "ipo": "ipo"}[method]]


def test_rows_without_an_answer_are_left_out_and_turns_stay_whole(home, record, tmp_path):
    record(trained={})
    export(home, "mine", "trl", tmp_path)
    assert lines(tmp_path / "sft.jsonl") == [
        {"messages": [said("user", "Name a land."), said("assistant", "Norway.")]},
        {"messages": [said("user", "What is 2 + 2?"), said("assistant", "4.")]},
    ]
    assert lines(tmp_path / "pairs.jsonl")[1] == {
        "prompt": [said("user", "What is 2 + 2?")],
        "chosen": [said("assistant", "4.")],
        "rejected": [said("assistant", "5.")],
    }


def test_axolotl_gets_the_same_settings(home, record, tmp_path):
    record(trained={"lr": 1e-5, "batch": 32, "lora": 16, "qlora": True, "packing": True, "warmup": 100}, preferred={})
    assert export(home, "mine", "axolotl", tmp_path) == [
        f"cd {tmp_path} && axolotl train sft.yaml",
        f"cd {tmp_path} && axolotl train pairs.yaml",
    ]
    settings = config(tmp_path / "sft.yaml")
    assert settings["base_model"] == str(POCKET / "base")
    assert settings["datasets"][0] | {"roles_to_train": ["assistant"], "train_on_eos": "turn"} == settings["datasets"][0]
    assert (settings["learning_rate"], settings["micro_batch_size"] * settings["gradient_accumulation_steps"]) == (1e-5, 32)
    assert (settings["adapter"], settings["lora_r"], settings["load_in_4bit"], settings["sample_packing"]) == (
        "qlora",
        16,
        True,
        True,
    )
    assert (settings["warmup_steps"], "warmup_ratio" in settings) == (100, False)
    settings = config(tmp_path / "pairs.yaml")
    assert (settings["rl"], settings["rl_beta"], settings["learning_rate"], settings["sequence_len"]) == (
        "dpo",
        0.01,
        5e-7,
        2048,
    )
    assert (settings["warmup_ratio"], settings["num_epochs"]) == (0.1, 1.0)
    row = lines(tmp_path / "pairs.jsonl")[0]
    assert row == {"messages": row["messages"], "chosen": said("assistant", "Norway."), "rejected": said("assistant", "A cat.")}


def test_llama_factory_gets_the_same_settings_and_finds_its_data(home, record, tmp_path):
    record(trained={"lora": 8}, preferred={"method": "simpo", "gamma": 0.7})
    export(home, "mine", "llamafactory", tmp_path)
    about = json.loads((tmp_path / "dataset_info.json").read_text())
    for name in ("sft", "pairs"):
        settings = config(tmp_path / f"{name}.yaml")
        assert (tmp_path / settings["dataset_dir"] / about[settings["dataset"]]["file_name"]).exists()
    assert about["attar_pairs"]["ranking"]
    assert set(about["attar_pairs"]["columns"]) == {"messages", "chosen", "rejected"}
    assert (config(tmp_path / "sft.yaml")["finetuning_type"], config(tmp_path / "sft.yaml")["lora_rank"]) == ("lora", 8)
    settings = config(tmp_path / "pairs.yaml")
    assert (settings["stage"], settings["pref_loss"], settings["pref_beta"], settings["simpo_gamma"]) == (
        "dpo",
        "simpo",
        2.0,
        0.7,
    )
    assert settings["finetuning_type"] == "full"


@pytest.mark.parametrize(("form", "asked"), [("trl", "prompt"), ("llamafactory", "messages")])
def test_for_kto_each_answer_is_a_row_of_its_own_good_or_bad(form, asked, home, record, tmp_path):
    record(results=["pairs"], preferred={"method": "kto"})
    export(home, "mine", form, tmp_path, base="some/model")
    rows = lines(tmp_path / "pairs.jsonl")
    labels = {(row["completion"] if form == "trl" else row["messages"])[-1]["content"]: row["label"] for row in rows}
    assert labels == {"Norway.": True, "4.": True, "A cat.": False, "5.": False}
    assert all(row[asked][0]["role"] == "user" for row in rows)


@pytest.mark.parametrize(("form", "method"), [("trl", "simpo"), ("trl", "orpo"), ("axolotl", "kto")])
def test_what_a_trainer_cannot_do_is_refused_before_anything_is_written(form, method, home, record, tmp_path):
    record(trained={}, preferred={"method": method})
    with pytest.raises(RecipeError, match="export for"):
        export(home, "mine", form, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_axolotl_gets_pairs_for_orpo_as_whole_conversations(home, record, tmp_path):
    record(trained={}, preferred={"method": "orpo"})
    export(home, "mine", "axolotl", tmp_path)
    assert lines(tmp_path / "pairs.jsonl")[1]["rejected"] == [said("user", "What is 2 + 2?"), said("assistant", "5.")]
    assert config(tmp_path / "pairs.yaml")["orpo_alpha"] == 0.1


def test_pairs_alone_start_from_the_model_that_the_run_trained(home, record, tmp_path):
    record(results=["pairs"], preferred={})
    path = home.runs / "mine.json"
    kept = json.loads(path.read_text())
    kept["steps"].append(
        {
            "name": "fit",
            "stage": "own.train",
            "marks": marks_of("x.own"),
            "folder": "train.fit",
            "inputs": [],
            "role": "base",
            "engine": "x",
        }
    )
    write_json(path, kept)
    export(home, "mine", "trl", tmp_path)
    assert config(tmp_path / "pairs.yaml")["model_name_or_path"] == str((home.steps / "train.fit" / "model").resolve())


def test_a_run_without_training_takes_its_run_files_settings_and_needs_a_base(home, record, tmp_path):
    record(knobs={"train": {"lr": 0.5}, "prefer": {"beta": 0.3}, "seed": 9})
    with pytest.raises(RecipeError, match=r"has no base model of its own: .*--base MODEL"):
        export(home, "mine", "trl", tmp_path)
    export(home, "mine", "trl", tmp_path, base="some/model")
    settings = config(tmp_path / "sft.yaml")
    assert (settings["model_name_or_path"], settings["learning_rate"], settings["seed"], settings["num_train_epochs"]) == (
        "some/model",
        0.5,
        9,
        2.0,
    )
    assert config(tmp_path / "pairs.yaml")["beta"] == 0.3


def test_a_run_that_makes_no_rows_to_train_on_says_so(home, record, tmp_path):
    record(results=())
    with pytest.raises(DataError, match="it has no result called sft or pairs"):
        export(home, "mine", "trl", tmp_path)


def test_rows_that_are_not_made_yet_are_asked_for(home, record, tmp_path):
    record()
    for part in (home.steps / "made.sft").iterdir():
        part.unlink()
    with pytest.raises(DataError, match="attar resume mine"):
        export(home, "mine", "trl", tmp_path, base="some/model")


RECIPE = """
from attar.engines.base import Spec
from attar.runtime.flow import Flow, recipe
from attar.stages.synth import magpie, respond

@recipe()
def small(flow: Flow, *, teacher: Spec):
    asked = flow(magpie.ask, flow(magpie.draws, count=4), engine=teacher)
    return {"sft": flow(respond.sample, asked, engine=teacher)}
"""


def test_the_command_exports_a_run_that_was_really_made(run_file, home, tmp_path):
    (tmp_path / "small.py").write_text(RECIPE)
    start(read_run_file(run_file("recipe: small.py\nengines: {teacher: {kind: fake, model: teacher}}\n")), home, Quiet())
    target = tmp_path / "out"
    given = ["export", "try.yaml", "--for", "llamafactory", "-o", str(target), "--base", "some/model", "--home", str(home.root)]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.stdout.strip().splitlines()[0] == f"cd {target} && llamafactory-cli train sft.yaml"
    assert [turn["role"] for turn in lines(target / "sft.jsonl")[0]["messages"]] == ["user", "assistant"]


def test_an_unknown_trainer_is_named_with_the_nearest(home, record, tmp_path):
    record()
    with pytest.raises(RecipeError, match="did you mean 'axolotl'"):
        export(home, "mine", "axolotle", tmp_path)
