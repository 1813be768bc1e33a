"""all-MiniLM-L6-v2: embeddings that are the model's own, and a pool that is selected by them."""

import json
from pathlib import Path

import numpy as np
import pytest
from cli.conftest import attar

from attar.engines.base import Request, Spec, in_order
from attar.engines.local.engine import Local

__all__ = ["attar"]
PAIRS = [
    ("How do I bake bread at home?", "What is the way to make a loaf of bread in my own oven?"),
    ("The train to Berlin was late this morning.", "This morning's Berlin train did not arrive on time."),
    ("Which planet is closest to the sun?", "Name the planet nearest the sun."),
    ("My dog is afraid of thunder.", "Thunderstorms scare my dog."),
    ("Write a poem about autumn leaves.", "Compose verses on the falling leaves of fall."),
    ("How can I learn to play the guitar quickly?", "What is the fastest way to learn guitar?"),
    ("The price of oil fell on Monday.", "Crude oil became cheaper on Monday."),
    ("Translate 'good night' into French.", "How do you say 'good night' in French?"),
    ("What causes the tides of the sea?", "Why does the ocean rise and fall every day?"),
    ("She bought a red bicycle for her son.", "A red bike was what she purchased for her boy."),
    ("How do vaccines protect against a disease?", "Explain how vaccination makes you immune."),
    ("Sort a list of numbers in Python.", "Python code to put numbers in order."),
    ("The film was far too long and rather dull.", "That movie was boring and went on for too long."),
    ("How much water should one drink a day?", "What is the daily amount of water a person needs?"),
    ("Our flight was cancelled because of snow.", "Snow led to the cancellation of our plane."),
    ("Give me tips for a job interview.", "How should I prepare for an interview with an employer?"),
    ("Who painted the Mona Lisa?", "Which artist created the Mona Lisa?"),
    ("My computer does not switch on any more.", "The PC will no longer start up."),
    ("What is the capital of Australia?", "Tell me Australia's capital city."),
    ("Why do cats purr?", "What makes a cat purr?"),
]
THINGS = (
    "volcanoes", "chess openings", "tax law", "knitting", "jazz", "whales", "sailing boats", "bridges", "honey bees", "opera",
    "glaciers", "mushrooms", "pottery", "football", "medieval castles", "radio waves",
)  # fmt: skip
SHAPES = (
    "Explain {} to a child.", "List three facts about {}.", "Who is an expert on {}?", "Is there a museum of {}?",
    "What do people get wrong about {}?", "I have never liked {}.", "Write an invitation to an evening about {}.",
    "Which book on {} should I read first?", "How did {} come to be studied?", "{} were the subject of our talk.",
)  # fmt: skip
FILLERS = [shape.format(thing) for thing in THINGS for shape in SHAPES]
TEXTS = [text for pair in PAIRS for text in pair] + FILLERS


@pytest.fixture(scope="module")
def engine(minilm_folder):
    return Local(Spec("local", str(minilm_folder), {"threads": 1}))


@pytest.fixture(scope="module")
def replies(engine):
    return in_order(engine.embed(Request(i, text=text) for i, text in enumerate(TEXTS)), len(TEXTS))


@pytest.fixture(scope="module")
def cosines(replies):
    vectors = np.array([reply.vector for reply in replies], dtype=np.float64)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)
    return vectors @ vectors.T


@pytest.fixture(scope="module")
def transformer(minilm_folder):
    from transformers import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained(minilm_folder), AutoModel.from_pretrained(minilm_folder)


def test_a_vector_is_the_mean_of_the_tokens_last_states_at_unit_length(replies, transformer):
    import torch

    tokenizer, model = transformer
    for reply, text in zip(replies[:6], TEXTS, strict=False):
        with torch.no_grad():
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
        assert np.array(reply.vector) == pytest.approx((mean / mean.norm()).numpy(), abs=1e-5)


def test_a_texts_tokens_are_counted_with_the_marks_around_it(engine, replies, transformer):
    """[CLS] why do cats pu ##rr ? [SEP] are eight; what is longer than 256 is cut there, as the model's files say."""
    assert replies[TEXTS.index("Why do cats purr?")].tokens_in == 8
    assert [reply.tokens_in for reply in replies] == [len(transformer[0](text)["input_ids"]) for text in TEXTS]
    (long,) = engine.embed([Request(0, text="word " * 400)])
    assert long.tokens_in == 256


def test_the_nearest_of_two_hundred_texts_is_the_paraphrase(cosines):
    others = cosines - 2 * np.eye(len(TEXTS))
    nearest = others.argmax(axis=1)[: 2 * len(PAIRS)]
    assert sum(nearest == np.arange(2 * len(PAIRS)) ^ 1) >= 2 * len(PAIRS) - 1


def test_what_means_the_same_is_closer_than_what_is_worded_alike(cosines):
    of_pairs = [cosines[2 * i, 2 * i + 1] for i in range(len(PAIRS))]
    worded_alike = [cosines[2 * len(PAIRS) + i, 2 * len(PAIRS) + i + len(SHAPES)] for i in range(len(FILLERS) - len(SHAPES))]
    assert np.median(of_pairs) > np.median(worded_alike) + 0.2


def test_select_drops_one_of_each_pair_that_means_the_same(attar, cosines, minilm_folder):
    rows = [{"id": f"r{i}", "prompt": text, "response": "Yes."} for i, text in enumerate(TEXTS[: 2 * len(PAIRS)])]
    Path("pool.jsonl").write_text("\n".join(map(json.dumps, rows)))
    how = ("--on", "prompt", "--embed", str(minilm_folder), "--alike", "0.7", "--verdicts", "why.jsonl", "--json")
    attar("select", "pool.jsonl", "--diverse", *how)
    verdicts = {row["id"]: row for row in map(json.loads, Path("why.jsonl").read_text().splitlines())}
    expected = {f"r{2 * i + 1}": f"r{2 * i}" for i in range(len(PAIRS)) if cosines[2 * i, 2 * i + 1] > 0.7}
    assert len(expected) > len(PAIRS) / 2
    assert {name: row["because"] for name, row in verdicts.items() if not row["kept"]} == expected
