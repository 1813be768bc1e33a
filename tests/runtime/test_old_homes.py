"""A home that an earlier version made is worth what it cost: a rerun asks no model anything, and comes to the same rows."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from attar.core.table import read
from attar.engines.base import Spec
from attar.engines.local.engine import Local
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import run

HOMES = Path(__file__).parents[1] / "homes"


class Cards(Quiet):
    def __init__(self):
        self.cards = {}

    def end(self, step, card, fresh):
        self.cards[step.name] = card


@pytest.fixture(params=["magpie", "alpaca"])
def rerun(request, tmp_path, monkeypatch):
    """The run's old results, its new ones, and the cards of its steps; nobody listens where its engines are."""
    with tarfile.open(HOMES / "first.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    for file in ("magpie.yaml", "alpaca.yaml", "baseline.jsonl"):
        shutil.copy(HOMES / file, tmp_path)
    monkeypatch.chdir(tmp_path)  # where the run files name their data from
    home, cards = Home(tmp_path / "home"), Cards()
    old = json.loads((home.runs / f"{request.param}.json").read_text())["results"]
    new = run(read_run_file(tmp_path / f"{request.param}.yaml").trace(), home, cards, name="again")
    return {name: home.steps / folder for name, folder in old.items()}, new, cards.cards


def test_no_model_is_asked(rerun):
    cards = rerun[2].values()
    assert sum(card["asked"] for card in cards) == 0
    assert sum(card["recalled"] for card in cards) in (272, 30)  # magpie: 5 x 40 and 2 x 36; alpaca: 6, 12 and 12


def test_every_result_has_the_same_rows(rerun):
    """The ends of intervals may differ in the fourth digit: their t quantile was a series once and is exact now."""
    old, new, _ = rerun
    assert old.keys() == new.keys()
    for name, folder in old.items():
        before, after = (read(path).drop("date", strict=False) for path in (folder, new[name]))
        assert_frame_equal(after.drop("low", "high", strict=False), before.drop("low", "high", strict=False), check_exact=True)
        assert_frame_equal(after, before, rel_tol=2e-4)


def test_a_pocket_model_is_known_by_what_it_has_always_been_known_by():
    known = {"teacher": "e4c633b7a85671bb", "base": "b25858463956bf51", "rewarder": "bb79cc36d57a37f6"}
    for name, identity in known.items():
        spec = Spec("local", f"pocket:{name}", {"dtype": "float64", "threads": 1})
        assert Local(spec).identity() == identity
