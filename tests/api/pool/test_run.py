import json
from pathlib import Path

import polars as pl
import pytest
from pools_for_tests import ten_rows, verdicts

from attar.api.pool.output import Target
from attar.api.pool.recipes import embedding, scoring, selection
from attar.api.pool.run import PoolCommand, run_pool_command
from attar.core.errors import DataError
from attar.core.table import parts
from attar.engines.base import Spec
from attar.runtime.home import run_record
from attar.runtime.progress import Quiet
from attar.stages.pool import read_parts


@pytest.fixture
def choose(home, tmp_path):
    """Run a choice on a pool of ten rows; what came of it."""
    pool = ten_rows(tmp_path)

    def go(recipe=selection, source=pool, target=None, watch=None, **given):
        own = {name: given.pop(name) for name in ("engines", "rules", "form") if name in given}
        choice = PoolCommand(recipe, str(source), own.get("form"), own.get("engines", {}), given, own.get("rules", {}))
        return run_pool_command(choice, home, watch or Quiet(), target or Target())

    return go


def test_the_pool_is_read_once_and_what_is_kept_and_written_is_counted(choose, home, tmp_path):
    target = Target(tmp_path / "out.jsonl", "messages", tmp_path / "v.parquet")
    found = choose(target=target, by="score", dedups={"exact": None}, count=3)
    kept = [name for name, row in verdicts(target.verdicts).items() if row["kept"]]
    assert kept == [json.loads(line)["id"] for line in target.out.read_text().splitlines()] == ["r7", "r8", "r9"]
    assert (found["rows"], found["kept"], found["written"]) == (11, 3, 3)
    assert run_record(home, found["run"])["recipe"] == "selection"
    read = [path.stat().st_mtime_ns for path in home.steps.glob("pool.read-*/*.parquet")]
    assert choose(by="score", count=5)["kept"] == 5
    assert [path.stat().st_mtime_ns for path in home.steps.glob("pool.read-*/*.parquet")] == read


def test_reading_that_was_stopped_begins_again_and_no_row_comes_twice(choose, monkeypatch):
    def stopped(**knobs):
        yield next(read_parts(**knobs)).head(3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attar.stages.pool.read_parts", stopped)
        with pytest.raises(KeyboardInterrupt):
            choose(count=4)
    assert [choose(count=4)[name] for name in ("rows", "kept")] == [11, 4]


def test_every_part_of_the_pool_has_the_columns_that_came_up_late(choose, home, tmp_path):
    late = tmp_path / "late.jsonl"
    rows = [{"prompt": f"p{n}", "response": "r", **({"late": "yes"} if n == 20_500 else {})} for n in range(20_600)]
    late.write_text("\n".join(map(json.dumps, rows)))
    assert choose(source=late, rule="late = 'yes' OR prompt = 'p3'")["kept"] == 2
    [folder] = home.steps.glob("pool.read-*")
    schemas = [pl.read_parquet_schema(path) for path in parts(folder)]
    assert len(schemas) > 1
    assert all(schema == schemas[0] and "late" in schema for schema in schemas)


def test_an_expression_over_a_column_that_the_pool_has_not_is_refused_as_the_user_calls_it(choose, home):
    with pytest.raises(DataError, match=r"--by 'scor \* 2': .*pool.jsonl has no column 'scor'; did you mean 'score'"):
        choose(by="scor * 2", count=2, rules={"--by": "scor * 2"})
    assert choose(by="score * 2", count=2, rules={"--by": "score * 2", "--where": None})["kept"] == 2


def test_a_pool_without_a_row_that_can_be_read_says_why_and_leaves_nothing(choose, home):
    with pytest.raises(DataError, match="no row could be read; the first reason: the key 'instruction' is missing"):
        choose(form="alpaca", count=2)
    assert list(home.steps.glob("pool.read-*/*.parquet")) == []
    assert choose(count=2)["kept"] == 2


def test_scores_and_vectors_become_columns_of_all_rows(choose, tmp_path):
    out = tmp_path / "scored.parquet"
    found = choose(scoring, target=Target(out), engines={"quality": Spec("fake", "judge")}, trained={})
    assert (found["written"], found["replaced"]) == (10, [])
    assert pl.read_parquet(out)["quality"].is_between(1, 5).all()
    choose(embedding, target=Target(tmp_path / "v.parquet"))
    assert pl.read_parquet(tmp_path / "v.parquet")["embedding"].list.len().to_list() == [512] * 10


def test_a_run_is_named_by_its_recipe_and_its_pool_wherever_it_is_written(choose, tmp_path):
    name = choose(count=1)["run"]
    assert name.startswith("selection-pool-")
    assert choose(count=2)["run"] == name
    other = tmp_path / "elsewhere"
    other.mkdir()
    assert choose(source=ten_rows(other), count=1)["run"] != name
    assert Path(choose(count=1)["source"]).name == "pool.jsonl"
