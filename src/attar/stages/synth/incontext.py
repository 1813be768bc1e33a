"""Answer with a base model by few-shot prompting: answered questions before the new one, no template, no training.

That answer's reward shows what the base model can do by itself; the teacher's reward minus it is what the row can teach.
"""

import polars as pl

from attar.core.fingerprint import seed_of
from attar.core.stage import rowwise
from attar.core.table import Table, need, put
from attar.engines.ask_rows import generate_answers
from attar.engines.base import Generator, Request, Sampling

SHOTS = (
    (
        "How can I tell whether an egg is still fresh without breaking it?",
        "Put it into a glass of cold water. A fresh egg lies flat on the bottom; one that stands on end is a week or two old "
        "and still good to eat when cooked; one that floats should be thrown away. The reason is the air pocket inside, which "
        "grows as water evaporates through the shell.",
    ),
    (
        "Write a Python function that counts the words of a text.",
        "```python\ndef count_words(text: str) -> int:\n    return len(text.split())\n```\n`split` without an argument "
        "cuts at any run of spaces and line breaks, so doubled spaces are not counted as words.",
    ),
    (
        "A train covers 150 km in an hour and a half. How fast is it on average?",
        "Speed is distance divided by time: 150 km / 1.5 h = 100 km/h.",
    ),
)
_STOPS = ("\n# Question", "\n\n\n")


@rowwise
def answer(table: Table, *, engine: Generator, max_tokens: int = 2048, into: str = "base_response", seed: int = 0) -> Table:
    """prompt -> {into}, {into}_error: greedy; a truncated answer is kept, since a base model seldom stops by itself."""
    need(table, "id", "prompt")
    drawn = Sampling(max_tokens=max_tokens, stop=_STOPS)
    asks = [
        Request(0, text=few_shot_text(prompt), sampling=drawn, seed=seed_of("incontext.answer", seed, name)) if prompt else None
        for name, prompt in zip(table["id"], table["prompt"], strict=True)
    ]
    found = generate_answers(engine, asks, whole=False)
    texts = [one.text or None for one in found]
    errors = [one.error or (None if text else "empty answer") for one, text in zip(found, texts, strict=True)]
    return put(table, into, texts, errors, dtype=pl.String)


def few_shot_text(prompt: str) -> str:
    """The few-shot text that a base model continues."""
    shots = "".join(f"# Question\n{question}\n\n# Answer\n{reply}\n\n" for question, reply in SHOTS)
    opening = "Questions, each with the answer of a knowledgeable and friendly assistant.\n\n"
    return f"{opening}{shots}# Question\n{prompt}\n\n# Answer\n"
