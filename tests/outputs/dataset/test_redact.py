from pathlib import Path

import polars as pl
import pytest
import yaml
from datasets_for_tests import RUN, make_run

from attar.outputs.dataset import redact
from attar.outputs.dataset.write import write_dataset
from attar.runtime.home import run_record, write_json


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
    home, record = make_run(tmp_path / "run", RUN.replace("{count: 40}", f"{{count: 40, note: {note}}}"))
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
    result = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])["engines"]["teacher"]
    assert result["url"] == "http://YOUR-SERVER/v1"
    assert result["key_env"] == "MY_API_KEY"
    assert not {"env", "command"} & set(result)
    assert result["extra"] == {"top_k": 20, "where": "https://models.example.com/v1"}
    assert record["name"] == "try"


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ("/data/models/Qwen3-8B", "Qwen3-8B"),
        ("~/models/base/", "base"),
        ("./base", "base"),
        ("C:\\models\\base", "base"),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("pocket:teacher", "pocket:teacher"),
    ],
)
def test_a_folder_is_shown_by_its_name_and_a_model_of_the_hub_whole(given, result):
    assert redact.redact_model(given) == result


@pytest.mark.parametrize(
    "text", ["reward > -12 AND NOT ends_with(prompt, ':')", "/no_think", "a and/or b, TCP/IP", "length(prompt) / 2 > 3"]
)
def test_a_rule_or_a_system_turn_is_kept_to_the_letter(text):
    assert redact.redact_value({"rule": text, "max_tokens": 5}) == {"rule": text, "max_tokens": 5}


def test_an_error_keeps_its_words_and_loses_its_paths():
    said = "HTTP 400 at http://127.0.0.1:81/v1/chat: /srv/a/model.bin, see https://docs.example.org/a/b.html"
    assert (
        redact.redact_message(said)
        == "HTTP 400 at http://YOUR-SERVER/v1/chat: model.bin, see https://docs.example.org/a/b.html"
    )
