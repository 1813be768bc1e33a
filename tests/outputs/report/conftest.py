import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest
from stages_for_tests import marks_of

from attar.core.table import write_part
from attar.outputs.report import lineage
from attar.outputs.report.page import write_report
from attar.runtime.home import run_record, write_json
from attar.stages.evaluate.figures import arm_scores


class Page(HTMLParser):
    """Tables as lists of rows of cells, every tag with its attributes, the text, and the charts' data."""

    def __init__(self, html):
        super().__init__()
        self.html, self.tables, self.tags, self.open, self.text, self.within = html, [], [], [], "", ""
        self.feed(html)
        found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', html, re.DOTALL)
        self.charts = json.loads(found[1])["charts"] if found else {}

    def handle_starttag(self, tag, attrs):
        self.within = tag
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        self.open += [tag] if tag in ("td", "th") else []

    def handle_endtag(self, tag):
        self.within = ""
        self.open = self.open[:-1] if tag in ("td", "th") else self.open

    def handle_data(self, data):
        if self.within in ("script", "style"):
            return
        self.text += data
        if self.open:
            self.tables[-1][-1][-1] += data.strip("\n")

    def table(self, first):
        return next(rows for rows in self.tables if rows[0][0] == first)

    @property
    def places(self):
        return [attrs["id"].removeprefix("chart-") for _, attrs in self.tags if attrs.get("class") == "chart"]


@pytest.fixture
def scored():
    """A table of scores by arm: the number of correct tasks out of `count`, half of them easy."""

    def make(right, count=200):
        exams = [
            pl.DataFrame(
                {
                    "id": [f"t{i:03d}" for i in range(count)],
                    "correct": [i < number for i in range(count)],
                    "level": ["easy", "hard"] * (count // 2),
                }
            )
            for number in right.values()
        ]
        return arm_scores.compare(*exams, arms=list(right))

    return make


@pytest.fixture
def made(home):
    """A run as a home keeps it: its record, its steps' folders, their cards."""

    def make(name, results, steps=(), recipe="alma", **knobs):
        lines = []
        places = {}
        for step in [*steps, *({"name": key, "stage": f"x.{key}", "table": table} for key, table in results.items())]:
            folder = places[step["name"]] = f"{step['name']}-{name}"
            engine = step.get("engine")
            lines.append({"name": step["name"], "stage": step["stage"], "folder": folder, "engine": engine})
            lines[-1] |= {"inputs": step.get("inputs", []), "role": step.get("role"), "marks": marks_of(step["stage"])}
            if step.get("todo") or isinstance(step.get("table", 0), str | None):
                continue
            table = step.get("table", pl.DataFrame({"id": ["a"]}))
            write_part(table, home.steps / folder, 0, len(table))
            card = {"rows": len(table), "failed": 0, "errors": {}, "asked": 0, "recalled": 0, "tokens_out": 0, "engine": None}
            card |= {"seconds": 0.0, "spent": {"tokens_out": 0}, "knobs": {}} | step.get("card", {})
            write_json(home.steps / folder / "card.json", card)
        record = {"name": name, "recipe": recipe, "paper": None, "engines": {"base": {"kind": "local", "model": "b"}}}
        where = {key: places[table] if isinstance(table, str) else f"{key}-{name}" for key, table in results.items()}
        record |= {"knobs": knobs, "steps": lines, "results": where, "finished": "today"}
        write_json(home.runs / f"{name}.json", record)
        return name

    return make


@pytest.fixture
def line(home, made):
    """The line that led to the step `end`."""

    def go(steps, end):
        made("one", {}, steps)
        found = lineage.finished_steps(home, run_record(home, "one"))
        return lineage.build_lineage(found, f"{end}-one")

    return go


@pytest.fixture
def page(home):
    return lambda *names: Page(write_report(home, *names).read_text())


def table(ids, **columns):
    return pl.DataFrame({"id": list(ids), **columns})


def verdicts(reasons):
    """id -> why it was dropped, or None."""
    return pl.DataFrame(
        {"id": list(reasons), "kept": [why is None for why in reasons.values()], "reason": list(reasons.values())},
        schema_overrides={"reason": pl.String},
    ).with_columns(because=pl.lit(None, dtype=pl.String))


@pytest.fixture
def small_run():
    """Steps of a run: six draws, of which one repeats, one is a row that scores too low, and two are kept."""
    ids = list("abcdef")
    prompts = table(ids, prompt=[f"What is {name}?" for name in ids])
    left = [name for name in ids if name != "b"]
    score = dict(zip(left, (3.0, 5.0, 1.0, -2.0, 4.0), strict=True))
    answered = table(left, prompt=[f"What is {name}?" for name in left], response=[f"It is {name}." for name in left])
    answered = answered.with_columns(pl.Series("reward", list(score.values())))
    good = answered.filter(pl.col("reward") > 0)
    chosen = good.filter(pl.col("reward") >= 4)
    return [
        {"name": "draws", "stage": "synth.magpie.draws", "table": table(ids)},
        {"name": "ask", "stage": "synth.magpie.ask", "table": prompts, "inputs": ["draws"]},
        {
            "name": "dedup",
            "stage": "select.dedup.exact",
            "table": verdicts({name: "repeats a prompt" if name == "b" else None for name in ids}),
            "inputs": ["ask"],
        },
        {
            "name": "fresh",
            "stage": "select.keep.rows",
            "table": prompts.filter(pl.col("id") != "b"),
            "inputs": ["ask", "dedup"],
        },
        {"name": "score", "stage": "annotate.reward.score", "table": answered, "inputs": ["fresh"]},
        {
            "name": "rule",
            "stage": "select.where.holds",
            "table": verdicts({name: "not: reward > 0" if name == "e" else None for name in left}),
            "inputs": ["score"],
        },
        {"name": "good", "stage": "select.keep.rows", "table": good, "inputs": ["score", "rule"]},
        {
            "name": "best",
            "stage": "select.rank.top",
            "table": verdicts({"a": "rank 3 by reward, 2 kept", "c": None, "d": "rank 4 by reward, 2 kept", "f": None}),
            "inputs": ["good"],
            "card": {"knobs": {"by": "reward", "keep": 2}},
        },
        {"name": "chosen", "stage": "select.keep.rows", "table": chosen, "inputs": ["good", "best"]},
    ]
