"""Benchmarks run by their run files; the judges are real servers, which find the longer of two answers better."""

import json
import re
from contextlib import contextmanager
from math import log

import polars as pl
import yaml
from aiohttp import web
from servers_for_tests import Served

from attar.api.run import start
from attar.core.table import read
from attar.runtime.home import Home, run_record
from attar.runtime.progress import Quiet
from attar.runtime.run_file import check_run_file

LONG, SHORT = "A long and thorough answer.", "Short."


SURE = 0.75


ASKED = [{"instruction": f"What is {i}?", "output": SHORT, "generator": "old"} for i in range(12)]


def judge_of(say=None, first=None):
    """A judge who is sure by so much that the longer one is better, or the first; or who writes what `say` makes of it."""

    async def speak(asked):
        text = asked["messages"][-1]["content"]
        sizes = [len(said) for _, said in re.findall(r"Answer \w+, between the lines:\n(-+)\n(.*?)\n\1", text, re.DOTALL)]
        choice = {"message": {"role": "assistant", "content": say(text, sizes) if say else "m"}}
        if asked.get("logprobs"):
            sure = first or (0.5 if sizes[0] == sizes[1] else SURE if sizes[0] > sizes[1] else 1 - SURE)
            tops = [{"token": "m", "logprob": log(sure)}, {"token": "M", "logprob": log(1 - sure)}]
            choice["logprobs"] = {"content": [{"token": "m", "top_logprobs": tops}]}
        return web.json_response({"choices": [{"index": 0, "finish_reason": "stop", **choice}], "usage": {"prompt_tokens": 5}})

    return speak


@contextmanager
def served(*judges):
    servers = [Served(speak, models=(f"judge-{i}",)) for i, speak in enumerate(judges, 1)]
    try:
        yield [{"kind": "http", "model": f"judge-{i}", "url": each.url} for i, each in enumerate(servers, 1)], servers
    finally:
        for each in servers:
            each.stop()


def says(*replies, model="m"):
    return {"kind": "fake", "model": model, "replies": list(replies)}


def evaluated(place, engines, **knobs):
    """The results of a run, as tables."""
    content = {"recipe": "evaluate", "engines": engines, "knobs": {"bootstrap": 200, **knobs}}
    path = place / "run.yaml"
    path.write_text(yaml.safe_dump(content))
    home = Home(place / "home")
    start(check_run_file(content, path), home, Quiet())
    return {name: read(home.steps / folder) for name, folder in run_record(home, "run")["results"].items()}


def written(place, *rows, name="asked.jsonl"):
    (place / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(place / name)


def values(figures, **of):
    """Figures by name, of the lines that are of this."""
    rows = figures.filter(*(pl.col(name).eq_missing(pl.lit(value)) for name, value in of.items()))
    return {row["figure"]: row["value"] for row in rows.to_dicts()}
