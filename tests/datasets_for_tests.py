"""A small run with conversations, pairs and a curve, for tests of datasets."""

import textwrap

import yaml

from attar.api.run import start
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.settings import Settings

RECIPE = """
import polars as pl
from attar.engines.base import Spec
from attar.runtime.flow import recipe
from attar.stages.select import keep, where
from attar.stages.synth import respond
from attar.core.table import COLUMNS, ORIGIN, origin

def asks(*, count):
    prompts = [f"What is {i} and {i % 10}?" for i in range(count)]
    return pl.DataFrame({"id": [f"q{i:04d}" for i in range(count)], "prompt": prompts}).with_columns(
        pl.Series("messages", [[{"role": "user", "content": text}] for text in prompts], dtype=COLUMNS["messages"]),
        pl.Series("language", ["en" if i % 4 else "de" for i in range(count)]),
        pl.Series("system", ["Be brief."] * count),
        pl.Series("origin", [origin("own.asks", "/srv/weights/teacher", i) for i in range(count)], dtype=ORIGIN),
    )

def score(table, *, note=""):
    return table.with_columns(
        pl.Series("reward", [float(i % 7) for i in range(len(table))], dtype=pl.Float64), vector=pl.lit([0.5, 0.5]),
        nothing=pl.lit(None, dtype=pl.String), source=pl.lit("/srv/pools/first.jsonl"),
    )

def couple(table):
    good = table.filter(pl.col("response").is_not_null())
    first, last = (good.unique("parent", keep=k, maintain_order=True) for k in ("first", "last"))
    both = first.join(last.select("parent", pl.col("response").alias("rejected")), on="parent")
    return both.select(
        pl.col("parent").alias("id"), pl.col("messages").list.head(1), "prompt", pl.col("response").alias("chosen"), "rejected",
        pl.lit(2.0).alias("chosen_reward"),
    )

def curve(table):
    return pl.DataFrame({"id": ["step-1"], "loss": [0.5]})

@recipe(paper="arXiv:2510.06670")
def own(flow, *, teacher: Spec, count: int = 40, note: str = "", pairs: bool = True):
    asked = flow(asks, count=count)
    scored = flow(score, flow(respond.sample, asked, engine=teacher, n=2, temperature=0.7, whole=False), note=note)
    kept = flow(keep.rows, scored, flow(where.holds, scored, rule="reward > 1", name="rule"))
    return {"sft": kept, "model-own": flow(curve, kept)} | ({"pairs": flow(couple, scored)} if pairs else {})
"""
RUN = """
recipe: own.py
engines:
  teacher: {kind: fake, model: /srv/weights/teacher, faults: 0.1}
knobs: {count: 40}
"""


def make_run(place, text=RUN, name="try", bulk=20_000):
    """Run the recipe in this folder; the home, and what `start` returns."""
    place.mkdir(exist_ok=True)
    (place / "own.py").write_text(RECIPE)
    (place / f"{name}.yaml").write_text(textwrap.dedent(text))
    file, home = read_run_file(place / f"{name}.yaml"), Home(place / "home")
    object.__setattr__(file, "settings", Settings(bulk=bulk, shard=bulk))
    return home, start(file, home, Quiet())


def load_config(folder, config, cache):
    """A configuration of a written dataset, as `datasets` loads it."""
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(str(folder), config, cache_dir=str(cache))


def read_card_text(folder):
    """The header and the text of a dataset's card."""
    _, header, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), text
