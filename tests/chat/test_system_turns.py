import pytest

from attar.chat.system_turns import fold_system, has_system, is_refusal, keeps_system
from attar.core.errors import EngineError

SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Q"}
ANSWER = {"role": "assistant", "content": "A"}


def refuses(*roles):
    def render(turns):
        if any(turn["role"] in roles for turn in turns):
            raise EngineError("no")
        return " ".join(turn["content"] for turn in turns)

    return render


def test_the_system_text_and_a_blank_line_open_the_first_user_turn():
    folded = {"role": "user", "content": "Be brief.\n\nQ"}
    assert fold_system([SYSTEM, USER, ANSWER, USER]) == [folded, ANSWER, USER]
    assert fold_system([SYSTEM, ANSWER, USER]) == [ANSWER, folded]


def test_an_empty_system_text_leaves_nothing():
    assert fold_system([{"role": "system", "content": " \n"}, USER]) == [USER]


def test_folding_keeps_the_turns_other_fields_and_the_given_turns():
    turn = {**USER, "name": "Ann"}
    given = [SYSTEM, turn]
    assert fold_system(given) == [{"role": "user", "content": "Be brief.\n\nQ", "name": "Ann"}]
    assert given == [SYSTEM, {"role": "user", "content": "Q", "name": "Ann"}]


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([SYSTEM, USER], True),
        ([USER], False),
        ([USER, SYSTEM], False),
        ([SYSTEM], False),
        ([SYSTEM, ANSWER], False),
        ([], False),
    ],
)
def test_a_conversation_has_a_system_turn_to_fold_if_it_starts_with_one_and_a_user_speaks(messages, found):
    assert has_system(messages) == found


def test_a_template_that_renders_the_system_text_keeps_it_even_if_it_shouts():
    assert keeps_system(refuses())
    assert keeps_system(lambda turns: refuses()(turns).upper())


def test_a_template_that_refuses_or_drops_the_system_text_does_not_keep_it():
    assert not keeps_system(refuses("system"))
    assert not keeps_system(lambda turns: turns[-1]["content"])


def test_a_template_that_refuses_everything_is_left_to_say_so():
    assert keeps_system(refuses("system", "user"))


@pytest.mark.parametrize(
    "reason",
    [
        "400: System role not supported",
        "400: Conversation roles must alternate user/assistant/user/assistant/...",
        "400: Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "400: Developer instruction is not enabled for models/gemma-3-27b-it",
        "422: system messages are not allowed",
    ],
)
def test_a_refusal_of_a_system_turn_is_known_by_its_words(reason):
    assert is_refusal(reason)


@pytest.mark.parametrize("reason", ["400: maximum context length is 2048 tokens", "400: operating system error", "500: no"])
def test_other_refusals_are_not_about_the_system_turn(reason):
    assert not is_refusal(reason)
