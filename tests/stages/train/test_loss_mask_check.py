import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import EngineError
from attar.core.table import COLUMNS
from attar.stages.train import loss_mask_check, preference, sft

HEAD = "{{ '<|im_start|>' + message['role'] + '\\n' }}"
USER = "{% if message['role'] == 'user' %}" + HEAD + "{{ message['content'] + '<|im_end|>\\n' }}{% else %}"
SAID = "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
ASK = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"


def template(said=HEAD + SAID, user=USER, before=""):
    return before + "{% for message in messages %}" + user + said + "{% endif %}{% endfor %}" + ASK


def with_bos(folder, *, added=False):
    """A tokenizer with a BOS, one that it may put before every text by itself."""
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": "<|endoftext|>"}))
    if added:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        mark = {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}}
        for kind in ("single", "pair"):
            tokenizer["post_processor"][kind].insert(0, mark)
        about = {"id": "<|endoftext|>", "ids": [1], "tokens": ["<|endoftext|>"]}
        tokenizer["post_processor"]["special_tokens"] = {"<|endoftext|>": about}
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


BROKEN = {
    "two BOS tokens": template(before="{{ bos_token + bos_token }}"),
    "BOS token is not the first token": template(before="{{ 'Hello' + bos_token }}"),
    "no end of turn follows": template(HEAD + "{% generation %}{{ message['content'] }}{% endgeneration %}{{ '\\n' }}"),
    "the end of the turn does not count in the loss": template(
        HEAD + "{% generation %}{{ message['content'] }}{% endgeneration %}{{ '<|im_end|>\\n' }}"
    ),
    "the assistant's header counts in the loss": template(
        "{% generation %}" + HEAD + "{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
    ),
    "only part of the assistant's text": template(
        HEAD + "{{ message['content'][:3] }}{% generation %}{{ message['content'][3:] + '<|im_end|>' }}{% endgeneration %}"
    ),
    "tokens of the user count in the loss": template(
        user="{% if message['role'] == 'user' %}{% generation %}{{ message['content'] }}{% endgeneration %}<|im_end|>{% else %}"
    ),
    "an answer of the assistant does not count in the loss": template(
        HEAD + "{% if loop.last %}" + SAID + "{% else %}{{ message['content'] + '<|im_end|>\\n' }}{% endif %}"
    ),
}


@pytest.fixture
def long_talks(talks):
    """Conversations of two exchanges."""
    rows = talks(8)
    both = [rows["messages"][i].to_list() + rows["messages"][i + 1].to_list() for i in range(7)]
    return rows.head(7).with_columns(messages=pl.Series(both, dtype=COLUMNS["messages"]))


@pytest.mark.parametrize("fault", BROKEN)
def test_a_template_that_is_broken_is_refused_before_the_first_step_with_what_is_wrong(fault, base_with, long_talks, tmp_path):
    engine = base_with(BROKEN[fault], with_bos)
    with pytest.raises(EngineError, match=fault) as raised:
        sft.train(long_talks, engine=engine, into=tmp_path / "model")
    assert "a row reads" in str(raised.value)
    assert not (tmp_path / "model").exists()


def test_a_text_without_the_bos_that_its_tokenizer_puts_before_every_other_is_refused(base_with, talks, tmp_path):
    engine = base_with(template(), lambda folder: with_bos(folder, added=True))
    with pytest.raises(EngineError, match="has no BOS token"):
        sft.train(talks(4), engine=engine, into=tmp_path / "model")


def trains(rows, engine, folder, **knobs):
    return len(sft.train(rows, engine=engine, into=folder / "model", epochs=1, max_length=256, batch=4, **knobs))


def test_one_bos_is_as_it_should_be(base_with, talks, tmp_path):
    engine = base_with(template(before="{{ bos_token }}"), lambda folder: with_bos(folder, added=True))
    assert trains(talks(4), engine, tmp_path) == 1


def test_a_template_that_writes_a_place_for_thoughts_is_as_it_should_be(base_with, long_talks, tmp_path):
    said = SAID.replace("{{ message['content']", "{{ '<think>\\n\\n</think>\\n\\n' + message['content']")
    assert trains(long_talks, base_with(template(HEAD + said)), tmp_path) == 2


def test_a_known_template_without_marks_is_trained_with_marks_and_kept_as_it_was(base_with, talks, tmp_path):
    import trl

    known = (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text()
    assert "{% generation" not in known
    assert trains(talks(4), base_with(known), tmp_path) == 1
    assert (tmp_path / "model" / "chat_template.jinja").read_text() == known


def test_packed_rows_are_read_back_too(base_with, talks, tmp_path):
    with pytest.raises(EngineError, match="the end of the turn does not count in the loss"):
        trains(talks(4), base_with(BROKEN["the end of the turn does not count in the loss"]), tmp_path, packing=True)


@pytest.mark.parametrize("method", ["dpo", "kto", "orpo"])
@pytest.mark.parametrize("fault", ["two BOS tokens", "no end of turn follows"])
def test_pairs_are_read_back_before_the_first_step(fault, method, base_with, pairs, tmp_path):
    with pytest.raises(EngineError, match=fault):
        preference.train(pairs(4), engine=base_with(BROKEN[fault], with_bos), into=tmp_path / "model", method=method, batch=4)


class Letters:
    """A tokenizer whose tokens are letters."""

    bos_token, bos_token_id, eos_token_id, pad_token_id = "^", ord("^"), ord("$"), 0

    def encode(self, text, add_special_tokens=True):
        return [ord(letter) for letter in text]

    def decode(self, ids, skip_special_tokens=False):
        return "".join(map(chr, ids))

    def apply_chat_template(self, turns, tokenize, chat_template=None, add_generation_prompt=False):
        text = "^" + "".join(f"<{turn['role']}>{turn['content']}$" for turn in turns)
        return text + ("<assistant>" if add_generation_prompt else "")


words = st.text(alphabet="abcdefgh ", min_size=1, max_size=12).map(str.strip).filter(bool)


@st.composite
def documents(draw):
    ids, in_loss, turns = [ord("^")], [False], []
    for asked, said in draw(st.lists(st.tuples(words, words), min_size=1, max_size=3)):
        for role, text in (("user", asked), ("assistant", said)):
            turns.append({"role": role, "content": text})
            header = f"<{role}>"
            ids += [ord(letter) for letter in header + text + "$"]
            in_loss += [False] * len(header) + [role == "assistant"] * (len(text) + 1)
    answers = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    return loss_mask_check.Document(ids, in_loss, turns, answers)


@given(documents())
def test_a_mask_of_exactly_the_assistants_tokens_passes(document):
    assert loss_mask_check.check([document], Letters(), None, "model") == ord("$")


@given(documents(), st.data())
def test_no_token_too_many_or_too_few_passes(document, data):
    at = data.draw(st.integers(0, len(document.ids) - 1).filter(lambda at: document.ids[at] != ord(" ")))
    in_loss = [counts != (place == at) for place, counts in enumerate(document.in_loss)]
    with pytest.raises(EngineError, match="in the loss"):
        loss_mask_check.check([replace(document, in_loss=in_loss)], Letters(), None, "model")


@given(documents(), st.data())
def test_a_truncated_document_passes_up_to_its_end(document, data):
    length = data.draw(st.integers(1, len(document.ids)))
    truncated = replace(document, ids=document.ids[:length], in_loss=document.in_loss[:length], truncated=True)
    if any(truncated.in_loss):
        assert loss_mask_check.check([truncated], Letters(), None, "model") == ord("$")
        with pytest.raises(EngineError, match="in the loss"):
            loss_mask_check.check([replace(truncated, in_loss=[True, *truncated.in_loss[1:]])], Letters(), None, "model")


def test_a_turn_after_the_last_answer_may_not_count_in_the_loss():
    turns = [{"role": role, "content": text} for role, text in (("user", "ab"), ("assistant", "cd"), ("user", "ef"))]
    text = "^<user>ab$<assistant>cd$<user>ef$"
    in_loss = [21 <= at <= 23 or at >= 30 for at in range(len(text))]
    with pytest.raises(EngineError, match="tokens outside the assistant's turns count in the loss"):
        loss_mask_check.check(
            [loss_mask_check.Document([ord(letter) for letter in text], in_loss, turns, ["cd"])], Letters(), None, "model"
        )


def test_the_checked_rows_are_spread_over_the_whole_table():
    assert loss_mask_check.sample_indices(3) == [0, 1, 2]
    assert loss_mask_check.sample_indices(320) == list(range(0, 320, 10))
