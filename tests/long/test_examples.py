"""The examples on the pocket models, from their run files to dataset and report, with fewer rows unless FULL=1."""

import json
from pathlib import Path

import polars as pl
import pytest

from attar.core.table import read

EPOCHS = {"epochs": 2}


def accuracies(record):
    scores = read(Path(record["results"]["scores"])).filter(pl.col("level") == "all")
    return dict(scores.select("arm", "accuracy").iter_rows())


@pytest.mark.parametrize("name", ["pocket", "pika-pocket", "deita-pocket"])
def test_a_recipe_teaches_its_student_something_and_leaves_a_dataset_and_a_report(example, name):
    fewer = {
        "pocket": {"count": 1500, "size": 400, "exam_size": 150, "pairs": {"count": 150}},
        "pika-pocket": {"exam_size": 150},
        "deita-pocket": {"exam_size": 150},
    }
    record = example(name, **fewer[name])
    found = accuracies(record)
    assert found["selected"] > 0.1 > 0.05 > found["none"]  # the base answers next to nothing
    assert Path(record["report"]).read_text().count("<h2") > 3
    assert json.loads((Path(record["dataset"]) / "attar.json").read_text())["configs"].keys() >= {"sft"}


def test_an_evaluation_ends_with_figures_that_have_intervals(example):
    record = example("evaluate-pocket")
    figures = read(Path(record["results"]["figures"]))
    assert figures["value"].drop_nulls().len() > 0
    assert (figures.drop_nulls(["low", "high"]).select((pl.col("low") <= pl.col("high")).all()).item()) is True
