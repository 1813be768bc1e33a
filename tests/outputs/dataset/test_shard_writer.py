import json

import polars as pl
import pytest
from datasets_for_tests import load_config, make_run

from attar.outputs.dataset import shard_writer
from attar.outputs.dataset.write import write_dataset


def test_jsonl_holds_the_rows_of_parquet(folder):
    for file in folder.rglob("*.parquet"):
        lines = [json.loads(line) for line in file.with_suffix(".jsonl").read_text().splitlines()]
        assert lines == pl.read_parquet(file).to_dicts()
    assert len(list(folder.rglob("*.parquet"))) == 4


@pytest.mark.parametrize("bulk", [3, 1000])
def test_the_size_of_the_parts_does_not_show(folder, tmp_path, bulk):
    home, _ = make_run(tmp_path / "other", bulk=bulk)
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
    assert [row["id"] for row in load_config(out, "sft", tmp_path)["train"]] == [json.loads(line)["id"] for line in lines]
    assert "test" not in load_config(out, "sft", tmp_path)
