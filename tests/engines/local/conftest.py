import pytest
import torch
from pocket_for_tests import pocket
from transformers import AutoModelForCausalLM, AutoTokenizer

from attar.engines.local.spec import POCKET


@pytest.fixture(scope="module")
def teacher():
    return pocket(slots=16)


@pytest.fixture(scope="module")
def reference():
    model = AutoModelForCausalLM.from_pretrained(POCKET / "teacher", dtype=torch.float64).eval()
    return model, AutoTokenizer.from_pretrained(POCKET / "teacher")
