import json
import subprocess
import sys

import polars as pl
import pytest
from datasets_for_tests import RUN, load_config, make_run, read_card_text

from attar.core.errors import DataError
from attar.outputs.dataset.write import write_dataset
from attar.runtime.home import run_record, write_json


def test_a_run_with_conversations_alone_and_no_rows_is_a_set_without_rows(tmp_path):
    home, _ = make_run(tmp_path / "run", RUN.replace("{count: 40}", "{count: 0, pairs: false}"))
    out = write_dataset(home, "try")
    header, text = read_card_text(out)
    assert "It has no rows." in text
    assert "configs" not in header
    assert {"id", "messages", "response"} <= set(pl.read_parquet(out / "data/sft/train.parquet").columns)


def test_a_side_without_rows_is_not_announced(tmp_path):
    home, _ = make_run(tmp_path / "run", RUN.replace("{count: 40}", "{count: 4, pairs: false}"))
    out = write_dataset(home, "try", test=0.98)
    assert [len(side) for side in load_config(out, "sft", tmp_path).values()] == [
        json.loads((out / "attar.json").read_text())["configs"]["sft"]["rows"]["test"]
    ]


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


def test_the_command_writes_and_a_mistake_is_one_line(run, tmp_path):
    code = "import attar.cli.dataset; from attar.cli.main import main; main()"
    words = ["dataset", "try", "--home", run[0].root, "-o", tmp_path / "out", "--test", "0.4"]
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["folder"] == str(tmp_path / "out")
    assert result["configs"]["sft"]["rows"]["train"] == len((tmp_path / "out/data/sft/train.jsonl").read_text().splitlines())
    done = subprocess.run([*command, "--license", "?"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("attar: license '?' is no identifier")
