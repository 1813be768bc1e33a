from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from attar.engines.local import forward
from attar.engines.local.spec import POCKET

SOME = st.integers(0, 425)
FEW = st.sampled_from([7, 19, 230])  # so that labels begin alike
LABELS = st.lists(st.lists(FEW, min_size=1, max_size=4), min_size=1, max_size=9, unique_by=tuple)
ASKED = st.lists(st.tuples(st.lists(SOME, min_size=1, max_size=40), LABELS), min_size=1, max_size=5)
LAST_LOGS = forward._last_logprobs
NUMBERS = [[10 + digit] for digit in range(10)] + [[11, 10]]


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(POCKET / "teacher", dtype=torch.float64).eval()


@torch.inference_mode()
def plain(model, prompt, label):
    """The log-probability of one label behind one prompt: a whole pass for it alone, nothing padded."""
    logs = model(input_ids=torch.tensor([prompt + label])).logits[0].log_softmax(-1)
    return sum(logs[len(prompt) - 1 + at, token].item() for at, token in enumerate(label))


@settings(max_examples=40)
@given(asked=ASKED, at_once=st.sampled_from([1, 60, 4096]))
def test_labels_that_are_read_together_weigh_what_each_weighs_in_a_pass_of_its_own(model, asked, at_once):
    prompts, labels = [prompt for prompt, _ in asked], [own for _, own in asked]
    with patch.dict(forward._TOKENS, cpu=at_once):
        found = forward.weigh(model, prompts, labels)
    for prompt, own, weights in zip(prompts, labels, found, strict=True):
        assert weights == pytest.approx([plain(model, prompt, label) for label in own], abs=1e-9, rel=0)


def test_eleven_numbers_are_read_in_one_row_a_prompt(model):
    read = []
    with patch.object(forward, "_last_logprobs", lambda *given: read.append(given[1].shape) or LAST_LOGS(*given)):
        forward.weigh(model, [[5, 6, 7], [8, 9, 10]], [NUMBERS, NUMBERS])
    assert read == [(2, 4)]  # two prompts of three tokens, each with the 1 that 10 goes on from
