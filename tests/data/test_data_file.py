from pathlib import Path

import pytest

from attar.data.data_file import display_name, is_data


@pytest.mark.parametrize(
    ("name", "read"),
    [
        *((f"a{suffix}", True) for suffix in (".jsonl", ".json.bz2", ".csv.zst", ".tsv.xz", ".parquet", ".ipc", ".xlsx")),
        *((name, False) for name in ("a.txt", "a.zst", "a.parquet.gz", "README.md", "dataset_info.json", "cache-1.arrow")),
    ],
)
def test_names_decide_which_files_of_a_folder_are_data(name, read):
    assert is_data(name) is read


def test_a_file_elsewhere_is_shown_by_its_address():
    assert display_name(Path("s3://bucket/a.jsonl")) == "s3://bucket/a.jsonl"
    assert display_name(Path("/data/a:/b.jsonl")) == "/data/a:/b.jsonl"
    assert display_name(Path("a.jsonl")) == "a.jsonl"
