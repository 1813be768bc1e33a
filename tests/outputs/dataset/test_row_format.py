from pathlib import Path

import polars as pl
from datasets_for_tests import load_config, read_card_text

from attar.core.table import read
from attar.outputs.dataset import row_format


def test_datasets_reads_every_answered_row_and_no_other(run, folder, tmp_path):
    table = read(Path(run[1]["results"]["sft"]))
    answered = {row["id"]: row for row in table.to_dicts() if row["response"] is not None}
    assert 0 < len(answered) == len(table)  # those without an answer were dropped before
    sides = load_config(folder, "sft", tmp_path)
    rows = {row["id"]: row for side in sides.values() for row in side}
    assert sum(map(len, sides.values())) == len(rows) == len(answered)
    for name, row in rows.items():
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
        assert row["messages"][0]["content"] == row["instruction"] == answered[name]["prompt"]
        assert row["messages"][1]["content"] == row["response"] == answered[name]["response"]
        assert row["reward"] == answered[name]["reward"]


def test_pairs_go_out_as_turns(run, folder, tmp_path):
    table = {row["id"]: row for row in read(Path(run[1]["results"]["pairs"])).to_dicts()}
    sides = load_config(folder, "pairs", tmp_path)
    assert sum(map(len, sides.values())) == len(table)
    for row in sides["train"]:
        was = table[row["id"]]
        assert row["prompt"] == [{"role": "user", "content": was["prompt"]}]
        assert row["chosen"] == [{"role": "assistant", "content": was["chosen"]}]
        assert row["rejected"] == [{"role": "assistant", "content": was["rejected"]}]
        assert row["chosen_reward"] == 2.0


def test_trl_trains_on_what_it_reads(folder, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    from attar.engines.local.spec import POCKET

    base = str(POCKET / "base")
    common = {"output_dir": str(tmp_path / "out"), "max_steps": 1, "per_device_train_batch_size": 2, "report_to": "none"}
    common |= {"use_cpu": True, "bf16": False, "save_strategy": "no", "max_length": 128, "disable_tqdm": True}
    tasks = [
        (SFTTrainer, SFTConfig(**common, assistant_only_loss=True), "sft"),
        (DPOTrainer, DPOConfig(**common), "pairs"),
    ]
    for trainer, config, name in tasks:
        data = load_config(folder, name, tmp_path / "cache")["train"]
        model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
        done = trainer(model=model, args=config, train_dataset=data, processing_class=tokenizer).train()
        assert done.training_loss > 0


def test_what_says_nothing_or_would_mislead_a_trainer_is_left_out_or_renamed(folder):
    columns = pl.read_parquet(folder / "data" / "sft" / "train.parquet").columns
    assert not {"prompt", "system", "nothing", "vector", "response_error"} & set(columns)
    assert {"instruction", "meta_system", "parent"} <= set(columns)
    assert "`vector`" in read_card_text(folder)[1]


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


def test_a_row_that_cannot_be_trained_on_is_reported_with_its_reason():
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
