import pytest

from attar.chat.turn_markers import after_answer, after_user


@pytest.mark.parametrize(
    ("gap", "found"),
    [
        ("<|end|>\n<|assistant|>\n", ["<|end|>", "<|assistant|>"]),
        ("<|assistant|>\n", ["<|assistant|>"]),
        ("<|eot|><|head|>assistant<|/head|>\n\n", ["<|eot|>", "<|head|>"]),
        (" [/INST]", ["[/INST]"]),
        ("\n[|assistant|]", ["[|assistant|]"]),
        ("<turn|>\n<|turn>model\n", ["<turn|>", "<|turn>"]),
        ("\n\nAssistant:", ["Assistant:"]),
        ("\n\n### Response:\n", ["### Response:"]),
        ("\n\nAssistant: </s>", ["Assistant:", "</s>"]),
        ("<role>BOT</role>", ["<role>"]),
        ("<|bot|></think>", ["<|bot|>"]),
        ("<|bot|><|START_REASONING|><|x|>", ["<|bot|>", "<|x|>"]),
        ("[x[\nbot\n", ["[x["]),
        ("\n", []),
        ("", []),
        (" ", []),
        ("\nassistant\n", []),
        ("\nassistant\n<x>", []),
        ("\nNow answer.", []),
        (f"\n{'Answer ' * 8}:", []),
        ("\na[0] = 1", []),
    ],
)
def test_a_mark_after_a_users_text_is_a_token_or_a_line_of_its_own(gap, found):
    assert after_user(gap) == found


@pytest.mark.parametrize(
    ("gap", "found"),
    [
        ("</s><|user|>", ["</s>", "<|user|>"]),
        (" </s><s>[INST] ", ["</s>", "[INST]"]),
        ("\n<|end|>\n</s><|user|>\n", ["<|end|>", "<|user|>"]),
        ("</s>\n<s>user\n", ["</s>", "<s>"]),
        ("\n\nUser: ", []),
        ("", []),
    ],
)
def test_after_an_answer_only_tokens_are_marks(gap, found):
    assert after_answer(gap, ("<s>", "</s>"), ("<s>", "</s>")) == found


def test_a_special_token_is_a_mark_whatever_it_looks_like():
    assert after_user("[e~[\n]~b]ai\n", ("]~b]", "[e~[")) == ["[e~[", "]~b]"]
    assert after_user("#END##ENDED#", ("#END#", "#ENDED#", " ")) == ["#END#", "#ENDED#"]


def test_of_two_special_tokens_the_longer_one_is_read():
    assert after_user("~~~\n", ("~", "~~~")) == ["~~~"]
