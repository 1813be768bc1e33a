from datasets_for_tests import read_card_text

from attar.core.table import read
from attar.outputs.dataset.write import write_dataset
from attar.runtime.home import run_record, write_json


def test_the_header_says_what_the_hub_asks(folder):
    header, _ = read_card_text(folder)
    assert header["license"] == "cc-by-4.0"
    assert header["language"] == ["en", "de"]
    assert header["size_categories"] == ["n<1K"]
    assert "synthetic" in header["tags"]
    assert [config["config_name"] for config in header["configs"]] == ["sft", "pairs"]
    assert header["configs"][0]["data_files"][1] == {"split": "test", "path": "data/sft/test.parquet"}


def test_the_card_tells_the_funnel_the_rule_and_the_models(run, folder):
    _, text = read_card_text(folder)
    steps = {step["name"]: run[0].steps / step["folder"] for step in run[1]["steps"]}
    rule = read(steps["rule"])
    kept = rule["kept"].sum()
    assert f"| rule | select.where.holds |  | 80 | {kept} | 0 | {80 - kept} |" in text
    assert f"`rule` (select.where.holds) kept {kept} of 80. Its knobs: rule = `reward > 1`." in text
    reasons = rule["reason"].drop_nulls().value_counts()
    assert reasons.height == 2
    assert all(f"{count}: {reason}" in text for reason, count in reasons.iter_rows())
    failed = read(steps["sample"])["response"].null_count()
    assert f"| sample | synth.respond.sample | teacher | 80 | 80 | {failed} | - |".replace("| 80 |", "| 40 |", 1) in text
    assert f"`sample` failed on {failed}: fault on demand ({failed})" in text
    assert "| sample | teacher | teacher | fake | n=2, temperature=0.7 | 80 |" in text
    assert "Models of this set: `teacher`." in text
    assert "curve" not in text
    assert "Yin, Shining" not in text
    assert "author = {Shangjian Yin and Shining Liang" in text
    assert "No step of this run looked for benchmarks' texts" in text
    assert f"{failed}: no answer: fault on demand" in text


def test_a_decontamination_step_is_reported(run, tmp_path):
    kept = run_record(run[0], "try")
    for step in kept["steps"]:
        step["marks"]["role"] = "decontamination" if step["name"] == "rule" else step["marks"]["role"]
    write_json(run[0].runs / "cleaned.json", kept | {"name": "cleaned"})
    text = read_card_text(write_dataset(run[0], "cleaned", tmp_path / "out"))[1]
    assert "`rule` (select.where.holds) checked 80 rows and dropped" in text
    assert "No step of this run looked" not in text
