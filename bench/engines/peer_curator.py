"""bespokelabs-curator: its LLM over the OpenAI backend, no rate limits, a fresh cache folder, no telemetry.

    /tmp/peers/curator/bin/python bench/engines/peer_curator.py URL N [CONCURRENCY] [--litellm]     (256 at once by default)

With --litellm it uses the LiteLLM backend. It first asks the server for its limits: one request more. Its tokenizer's file,
which it would download, is the copy that LiteLLM carries.
"""

import logging
import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

QUIET = {"TELEMETRY_ENABLED": "false", "CURATOR_VIEWER": "false"}
OFFLINE = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "x"}
TOKENIZERS = Path(find_spec("litellm").origin).parent / "litellm_core_utils" / "tokenizers"
os.environ.update(QUIET | OFFLINE | {"TIKTOKEN_CACHE_DIR": str(TOKENIZERS)})

from bespokelabs import curator  # noqa: E402 (it reads the environment above when it is imported; so do those below)
from bespokelabs.curator.request_processor.online import (  # noqa: E402 (as above)
    litellm_online_request_processor,  # noqa: F401 (imported here so that its loading is not timed)
    openai_online_request_processor,  # noqa: F401 (the same)
)
from datasets import Dataset  # noqa: E402 (as above)

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import Meter, questions, read_request_options  # noqa: E402 (as above)


class Asker(curator.LLM):
    """Sends a row's text; returns it with the answer."""

    def prompt(self, input: dict) -> str:
        return input["text"]

    def parse(self, input: dict, response: str) -> dict:
        return {"text": input["text"], "answer": response}


def send_all(url: str, asked: list[str], concurrency: int, backend: str) -> list[str | None]:
    """All the answers, in the order of the questions."""
    limits = {"max_requests_per_minute": 10**9, "max_tokens_per_minute": 10**15, "max_concurrent_requests": concurrency}
    with tempfile.TemporaryDirectory(prefix="peer-curator-") as folder:
        asker = Asker(
            model_name="openai/stub" if backend == "litellm" else "stub",
            backend=backend,
            generation_params={"max_tokens": 64},
            backend_params={"base_url": url, "api_key": "x", "max_retries": 2, **limits},
        )
        written = asker(Dataset.from_dict({"text": asked}), working_dir=folder).dataset
        answers = dict(zip(written["text"], written["answer"], strict=True))
    return [answers.get(text) for text in asked]


def main() -> None:
    """Send all, print the cost."""
    options = read_request_options(__doc__, 256, litellm={"action": "store_true"})
    logging.getLogger("curator").setLevel(logging.ERROR)
    asked = questions(options.count)
    meter = Meter("curator --litellm" if options.litellm else "curator", "bespokelabs-curator")
    backend = "litellm" if options.litellm else "openai"
    meter.check_and_print_cost(asked, send_all(options.url, asked, options.concurrency, backend))


if __name__ == "__main__":
    main()
