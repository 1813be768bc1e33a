import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.replies import Failure
from attar.engines.ask_rows import RowAnswer
from attar.stages.synth.evolve_prompts import BREADTH, DEPTH, QUALITY, WAYS, check_evolution

SEED = "Plan a garden for a family with two children and a dog."


GROWN = "Plan a garden for a family with two children and a dog, on a north slope of clay, for under nine hundred euros."


def tried(reply, before=SEED, way="constraint"):
    return check_evolution(RowAnswer(reply, None), WAYS[way], [before])


def test_each_way_says_its_own_change_and_nothing_is_left_to_fill_in():
    systems = [way.system for way in WAYS.values()]
    assert len(set(systems)) == len(WAYS) == len({*DEPTH, *BREADTH, *QUALITY})
    assert not any("{" in system for system in systems)
    assert all(way.change in way.system for way in WAYS.values())
    assert [name for name, way in WAYS.items() if "ten to 80 words" in way.system] == ["input"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty answer"),
        ("-----", "empty answer"),
        (SEED, "unchanged"),
        (f'"{SEED.upper()}"', "unchanged"),
        ("Plan, for a family with a dog and two children: a garden!", "hardly changed"),
        (SEED.replace("garden", "small park"), "hardly changed"),
        (f"{SEED} {'more and more of it, ' * 25}", "too long"),
        ("Dig one deep hole.", "most of it lost"),
        ("I'm sorry, but I can't help with that request.", "refused"),
        ("I am sorry, as a language model I cannot rewrite this.", "refused"),
        ("I apologize, but I'm unable to assist with gardens of that kind.", "refused"),
        ("I can\u2019t help you with this.", "refused"),
        ("I can't fulfill that request.", "refused"),
        ("I apologize, but I do not feel comfortable with gardens of this kind.", "refused"),
        ("As an AI language model, I don't have a garden. Children and dogs need room, though.", "refused"),
        ("Unfortunately, I cannot provide a harder version of it.", "refused"),
        (f"{SEED} The rewritten request has a limit of ninety euros.", "speaks of the instruction"),
        (f"Harder prompt: {SEED} It has to cost no more than ninety euros.", "speaks of the instruction"),
        (f"{SEED} The given prompt is about a garden in the north.", "speaks of the instruction"),
        (f"{SEED} All that it asks for now is still asked for.", "speaks of the instruction"),
    ],
)
def test_a_try_that_is_no_evolution_is_named(reply, reason):
    assert tried(reply) == Failure(reason)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (GROWN, GROWN),
        (f"{SEED} Leave bees room.", f"{SEED} Leave bees room."),  # three words that are new
        (f"{SEED} Leave room for bees.", f"{SEED} Leave room for bees."),  # three words that are new
        (f"Sure! Here is the rewritten request:\n\n{GROWN}", GROWN),
        (f"Here's a harder version, with one more limit: {GROWN}", GROWN),
        (f'Request: "{GROWN}"', GROWN),
        (f"{SEED} I'm sorry that I can't say how large it is.", f"{SEED} I'm sorry that I can't say how large it is."),
        ("Here is my garden:\n\n20 m by 30 m, clay. " + SEED, "Here is my garden:\n\n20 m by 30 m, clay. " + SEED),
    ],
)
def test_an_evolution_is_taken_without_what_announces_it(reply, text):
    assert tried(reply) == text


@pytest.mark.parametrize(
    "text",
    [
        "I can't get my router to answer when it rains, although the lamp is green. What should I look at?",
        "I can't create an account on your site because the form says that my name is too short. Why might that be?",
        "Sorry for the long text! How does a proxy tell a new request from the original request that it forwarded?",
        "As an AI engineer I don't know how to choose between three models for a bank. How would you go about it?",
        "Unfortunately, I lost my passport in Lima on a Sunday. Whom do I call, and in what order?",
    ],
)
def test_what_people_really_ask_is_no_refusal_and_no_leak(text):
    assert tried(text, before="How do I choose what to do when something does not work?") == text


def test_what_the_text_before_said_already_is_no_fault_of_the_new_one():
    before = "The rewritten prompt was too long. Why is a rewritten prompt often too long?"
    assert isinstance(tried(f"{before} Answer with three reasons and an example.", before), str)
    ours = "Write a poem in which all that it asks for now is still asked for."
    assert isinstance(tried(f"{ours} Let it rhyme like a song of sailors.", ours), str)
    sorry = "I'm sorry, but I can't help with that."
    assert isinstance(tried(f"{sorry} Please ask a doctor instead.", sorry, "helpfulness"), str)


def test_another_request_may_be_shorter_and_brought_material_longer():
    short = "Which moss grows on slate?"
    assert tried(short, before=SEED * 3, way="rarer") == short
    assert tried(short, before=SEED * 3) == Failure("most of it lost")
    brought = f"{SEED} {' '.join(f'item{i}' for i in range(200))}"
    assert tried(brought, way="input") == brought
    assert tried(brought, way="steps") == Failure("too long")


def test_a_long_text_is_no_refusal_whatever_it_begins_with():
    begun_so = "I'm sorry, but I can't help with that. "
    assert tried(begun_so + " ".join(f"word{i}" for i in range(70))) == Failure("refused")
    long = begun_so + " ".join(f"word{i}" for i in range(90))
    assert tried(long, before=SEED * 9) == long


def test_a_script_without_spaces_is_counted_by_its_signs():
    assert tried("请解释为什么天空在日落时是红色的。", before="为什么天空是红色的?") == "请解释为什么天空在日落时是红色的。"
    assert tried("为什么天空是红色的。", before="为什么天空是红色的?") == Failure("unchanged")


@given(st.text(string.ascii_letters + " .-:\"'\n", max_size=60), st.sampled_from(sorted(WAYS)))
def test_any_reply_is_a_text_with_words_of_its_own_or_a_reason(reply, way):
    found = tried(reply, way=way)
    if isinstance(found, str):
        assert found
        assert found == found.strip()
        assert len({*found.lower().split()} - {*SEED.lower().split()}) > 0
    else:
        assert found.reason
