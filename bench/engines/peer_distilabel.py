"""distilabel: LoadDataFromDicts, then TextGeneration through its OpenAILLM, as its documentation has it; no cache.

    /tmp/peers/distilabel/bin/python bench/engines/peer_distilabel.py URL N [CONCURRENCY]     (500 at once unless told)

It sends one batch, waits for all of it and goes on to the next, so the batch's size is what is under way at once.
"""

import logging
import os
import sys
import tempfile
from contextlib import redirect_stdout

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DISTILABEL_LOG_LEVEL"] = "ERROR"

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
from meter import Meter, arguments, questions


def ask(url: str, asked: list[str], batch: int) -> list[str | None]:
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
    """Ask, and say what it cost."""
    told = arguments(__doc__, 500)
    logging.disable(logging.WARNING)
    asked = questions(told.count)
    meter = Meter("distilabel", "distilabel")
    with redirect_stdout(sys.stderr):
        answers = ask(told.url, asked, told.concurrency)
    meter.done(asked, answers)


if __name__ == "__main__":
    main()
