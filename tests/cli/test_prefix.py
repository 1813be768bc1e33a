import json
import os
import subprocess
import sys

import pytest
from chat_families import FAMILIES

GEMMA = FAMILIES["Gemma 2"]
GEMMA_FACTS = {
    "bos": "template",
    "bos_token": "<bos>",
    "prefix": GEMMA.plain,
    "next_turn_prefix": GEMMA.between,
    "stops": list(GEMMA.stops),
    "thoughts": None,
    "system_turn": "folded",
}
CODE = "import attar.cli.prefix; from attar.cli.main import main; main()"


@pytest.fixture
def attar(tmp_path):
    def go(*words, code=0):
        env = {**os.environ, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-c", CODE, "prefix", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done.stderr if code else done.stdout

    return go


@pytest.fixture
def model(tmp_path):
    """A folder with a tokenizer's files and nothing else."""
    folder = tmp_path / "gemma"
    folder.mkdir()
    (folder / "tokenizer_config.json").write_text(json.dumps({**GEMMA.tokens, "add_bos_token": True}))
    (folder / "chat_template.jinja").write_text(GEMMA.source)
    return folder


def test_a_pocket_model_is_shown_for_programs_and_for_people(attar):
    start = "<|im_start|>user\n"
    assert json.loads(attar("pocket:teacher", "--json")) == {
        "bos": "none",
        "bos_token": None,
        "prefix": start,
        "next_turn_prefix": f"<|im_end|>\n{start}",
        "stops": ["<|im_end|>", "<|im_start|>"],
        "thoughts": None,
        "system_turn": "own",
    }
    shown = attar("pocket:teacher").splitlines()
    assert [(line[:12].rstrip(), line[13:]) for line in shown] == [
        ("BOS", "none"),
        ("prefix", repr(start)),
        ("next turn", repr(f"<|im_end|>\n{start}")),
        ("stops", "'<|im_end|>', '<|im_start|>'"),
        ("thoughts", "none"),
        ("system turn", "own"),
    ]


def test_a_system_turn_of_ones_own_is_in_the_prefix(attar):
    found = json.loads(attar("pocket:teacher", "--system", "Be brief.", "--json"))
    assert found["prefix"] == "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"
    assert found["next_turn_prefix"] == "<|im_end|>\n<|im_start|>user\n"


def test_a_system_turn_that_the_template_refuses_opens_the_users_text(attar, model):
    assert json.loads(attar(model, "--system", "Be brief.", "--json"))["prefix"] == f"{GEMMA.plain}Be brief.\n\n"


def test_a_folder_a_template_and_a_config_say_the_same_and_no_weights_are_needed(attar, model):
    for place in (model, model / "chat_template.jinja", model / "tokenizer_config.json"):
        assert json.loads(attar(place, "--json")) == GEMMA_FACTS


def test_a_lone_template_is_told_its_tokens(attar, tmp_path):
    (tmp_path / "lone.jinja").write_text(GEMMA.source)
    assert (
        "lone.jinja uses bos_token, and there is no tokenizer_config.json beside it that defines it: give --bos TEXT"
        in attar("lone.jinja", code=2)
    )
    found = json.loads(attar("lone.jinja", "--bos", "<bos>", "--eos", "<eos>", "--json"))
    assert found == GEMMA_FACTS


def test_a_token_that_the_config_beside_a_template_does_not_have_is_nothing(attar, model):
    (model / "tokenizer_config.json").write_text(json.dumps({"bos_token": None, "eos_token": "<eos>"}))
    found = json.loads(attar(model, "--json"))
    assert (found["prefix"], found["bos"]) == (GEMMA.plain.removeprefix("<bos>"), "none")


def test_a_hub_model_is_read_from_what_was_fetched_before(attar, model, tmp_path):
    commit = "0" * 40
    cached = tmp_path / "hub" / "hub" / "models--some--gemma"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    (cached / "snapshots").mkdir()
    model.rename(cached / "snapshots" / commit)
    assert json.loads(attar("some/gemma", "--json"))["prefix"] == GEMMA.plain


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["some/model"], "attar: some/model is not a local folder, and the Hub does not provide it ("),
        (["a/b/c"], "attar: a/b/c is not a local folder, and the Hub does not provide it ("),
        (["nowhere.jinja"], "attar: nowhere.jinja does not exist"),
        (["./nowhere"], "attar: model folder ./nowhere does not exist"),
        (["pocket:tacher"], "did you mean 'teacher'?"),
        (["."], "has no chat template: it is a base model"),
    ],
)
def test_what_cannot_be_shown_is_one_line(attar, model, words, told):
    line = attar(*words, code=2)
    assert told in line
    assert line.count("\n") == 1
