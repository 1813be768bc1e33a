import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from attar.chat.templates import bos, load_template
from attar.core.errors import EngineError

CHAT = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()

    def fill(jinja=None, files=(), **config):
        (path / "tokenizer_config.json").write_text(json.dumps(config))
        if jinja is not None:
            (path / "chat_template.jinja").write_text(jinja)
        for name, content in dict(files).items():
            (path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return fill


def test_a_template_is_found_in_the_config_or_in_a_file_of_its_own_which_wins(folder):
    assert load_template(folder(files={"chat_template.json": {"chat_template": "P"}})).source == "P"
    assert load_template(folder(chat_template="C")).source == "C"
    assert (
        load_template(folder(chat_template=[{"name": "rag", "template": "R"}, {"name": "default", "template": "D"}])).source
        == "D"
    )
    assert load_template(folder("F", chat_template="C")).source == "F"


def test_a_config_that_is_named_itself_goes_before_the_file_beside_it(folder):
    path = folder("F", chat_template="C", bos_token="<s>") / "tokenizer_config.json"
    assert load_template(path).source == "C"
    assert load_template(path).tokens == {"bos_token": "<s>"}
    assert load_template(folder("F") / "tokenizer_config.json").source == "F"


def test_a_template_file_takes_its_tokens_from_the_config_beside_it(folder, tmp_path):
    path = folder("F", chat_template="C", bos_token="<s>") / "chat_template.jinja"
    assert load_template(path).source == "F"
    assert load_template(path).tokens == {"bos_token": "<s>"}
    (tmp_path / "lone.jinja").write_text("L")
    assert load_template(tmp_path / "lone.jinja").tokens == {}
    assert load_template(tmp_path / "lone.jinja").name == "the chat template in lone.jinja"


def test_special_tokens_are_texts_however_they_are_kept(folder):
    given = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "pad_token": None, "model_max_length": 9}
    template = load_template(folder("F", add_bos_token=True, extra_special_tokens={"image_token": "<i>"}, **given))
    assert template.tokens == {"bos_token": "<s>", "eos_token": "</s>", "image_token": "<i>"}
    assert template.name == "the chat template of model"


def test_every_token_that_is_called_special_is_known_and_no_other(folder):
    added = {"1": {"content": "]~b]", "special": True}, "2": {"content": "<think>", "special": False}}
    files = {"tokenizer.json": {"added_tokens": [{"content": "[e~[", "special": True}, {"content": "#", "special": True}]}}
    path = folder("F", files, additional_special_tokens=["<|a|>"], extra_special_tokens=["<|b|>"], added_tokens_decoder=added)
    assert set(load_template(path).special) == {"<|a|>", "<|b|>", "]~b]", "[e~["}


def test_a_model_without_a_template_is_a_base_model(folder):
    with pytest.raises(EngineError, match="model has no chat template: it is a base model"):
        load_template(folder(bos_token="<s>"))


def test_where_no_template_is_the_default_one_their_names_are_told(folder):
    with pytest.raises(EngineError, match=r"no chat template named default, only rag, tools: give one of them as a \.jinja"):
        load_template(folder(chat_template=[{"name": "rag", "template": "R"}, {"name": "tools", "template": "T"}]))


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("tokenizer_config.json", "{", r"tokenizer_config\.json is not JSON: "),
        ("tokenizer_config.json", "[]", r"tokenizer_config\.json is not a JSON object"),
        ("tokenizer_config.json", '{"chat_template": 3}', "chat_template is not a text"),
        ("special_tokens_map.json", "{]", r"special_tokens_map\.json is not JSON"),
        ("tokenizer.json", "no", r"tokenizer\.json is not JSON"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(folder, name, content, told):
    path = folder(chat_template="C", files={name: content})
    with pytest.raises(EngineError, match=told):
        load_template(path)


def test_a_template_in_another_encoding_is_named(folder):
    path = folder("F")
    (path / "chat_template.jinja").write_bytes("ü".encode("latin-1"))
    with pytest.raises(EngineError, match=r"chat_template\.jinja is not UTF-8 text"):
        load_template(path)


def test_what_is_no_template_is_told_what_to_give(tmp_path):
    with pytest.raises(EngineError, match="nowhere does not exist"):
        load_template(tmp_path / "nowhere")
    (tmp_path / "model.bin").write_text("x")
    with pytest.raises(EngineError, match=r"model\.bin is no chat template: give a model folder, a \.jinja file or"):
        load_template(tmp_path / "model.bin")


@pytest.fixture(params=["adds", "adds after bytes", "adds nothing"])
def saved(request, tmp_path):
    """A real tokenizer on disk, and whether it puts a BOS before a text."""
    tokenizer = Tokenizer(models.WordLevel({"<s>": 0, "a": 1, "<u>": 2}, unk_token="<u>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    adding = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)])
    if request.param == "adds":
        tokenizer.post_processor = adding
    elif request.param == "adds after bytes":
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), adding])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<u>")
    fast.chat_template = CHAT
    fast.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved", fast.encode("") == [0]


def test_who_writes_the_bos_is_what_the_tokenizer_does(saved):
    path, adds = saved
    assert bos(load_template(path)) == ("tokenizer" if adds else "none")
    (path / "chat_template.jinja").write_text("{{ bos_token }}" + CHAT)
    assert bos(load_template(path)) == "template"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"bos_token": "<s>", "add_bos_token": True}, "tokenizer"),
        ({"bos_token": "<s>", "add_bos_token": False}, "none"),
        ({"bos_token": None, "add_bos_token": True}, "none"),
        ({"eos_token": "</s>"}, "none"),
        ({"bos_token": "<s>"}, "unknown"),
    ],
)
def test_the_config_says_who_writes_the_bos_or_nobody_knows(folder, config, told):
    assert bos(load_template(folder(CHAT, **config))) == told


def test_of_a_lone_template_nobody_knows_who_writes_the_bos(tmp_path):
    (tmp_path / "lone.jinja").write_text(CHAT)
    assert bos(load_template(tmp_path / "lone.jinja")) == "unknown"
