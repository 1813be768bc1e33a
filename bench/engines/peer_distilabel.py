"""distilabel: LoadDataFromDicts, then TextGeneration through its OpenAILLM, as in its documentation; no cache.

    /tmp/peers/distilabel/bin/python bench/engines/peer_distilabel.py URL N [CONCURRENCY]     (500 at once by default)

It sends one batch, waits for all of it and goes on to the next, so the batch size is the concurrency.
"""

import logging
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DISTILABEL_LOG_LEVEL"] = "ERROR"

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import Meter, questions, read_request_options


def send_all(url: str, asked: list[str], batch: int) -> list[str | None]:
    """All the answers, in the order of the questions."""
    with tempfile.TemporaryDirectory(prefix="peer-distilabel-") as folder:
        with Pipeline(name="peer", cache_dir=folder) as pipeline:
            rows = LoadDataFromDicts(data=[{"instruction": text} for text in asked], batch_size=batch)
            model = OpenAILLM(model="stub", base_url=url, api_key="x", generation_kwargs={"max_new_tokens": 64})
            rows >> TextGeneration(llm=model, input_batch_size=batch, add_raw_output=False, add_raw_input=False)
        written = pipeline.run(use_cache=False)["default"]["train"]
        answers = dict(zip(written["instruction"], written["generation"], strict=True))
    return [answers.get(text) for text in asked]


def main() -> None:
    """Send all, print the cost."""
    options = read_request_options(__doc__, 500)
    logging.disable(logging.WARNING)
    asked = questions(options.count)
    meter = Meter("distilabel", "distilabel")
    with redirect_stdout(sys.stderr):
        answers = send_all(options.url, asked, options.concurrency)
    meter.check_and_print_cost(asked, answers)


if __name__ == "__main__":
    main()
