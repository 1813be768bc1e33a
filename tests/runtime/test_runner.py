import hashlib
import json

import polars as pl
import pytest
from stages_for_tests import Recorder, double, doubled, even, learn, most, needs_absent, nothing, numbers, spoken, total

from attar.core.errors import DataError, RecipeError, ReplyError
from attar.core.table import part_span, parts, read
from attar.engines.base import Spec
from attar.runtime.flow import recipe, trace
from attar.runtime.home import read_card
from attar.runtime.progress import Quiet
from attar.runtime.runner import run
from attar.runtime.settings import Settings
from attar.stages.synth.pocket_data import questions as asked
from attar.stages.synth.respond import sample

FAKE = Spec("fake", "m")


@pytest.mark.parametrize("shard", [1, 7, 1000])
def test_the_shard_size_does_not_show_in_the_rows(do, shard):
    out = read(do(spoken, settings=Settings(shard=shard), engine=FAKE, count=53)["out"])
    again = [f"n{i:05d}" for i in range(53)]
    assert out["id"].to_list() == again
    assert out["said"].null_count() == 0
    assert hashlib.sha256("|".join(out["said"]).encode()).hexdigest()[:8] == _expected_words(53)


def _expected_words(count):
    from attar.engines.base import Request
    from attar.engines.fake import Fake

    texts = [next(iter(Fake(FAKE).generate([Request(0, text=f"say {n}")]))).text for n in range(count)]
    return hashlib.sha256("|".join(map(str, texts)).encode()).hexdigest()[:8]


def test_a_table_without_rows_goes_all_the_way_through(do):
    out = do(doubled, count=0)["out"]
    assert read(out).columns == ["id", "n", "twice"]
    assert len(read(out)) == 0


def test_a_whole_table_stage_sees_only_the_columns_that_it_reads(do):
    @recipe()
    def wide(flow):
        return {"out": flow(total, flow(numbers, count=5, wide=True))}

    assert read(do(wide)["out"])["sum"].to_list() == [10]


def test_a_column_that_is_not_there_is_named_with_the_step(do):
    @recipe()
    def lacking(flow):
        return {"out": flow(needs_absent, flow(numbers, count=5))}

    with pytest.raises(DataError, match=r"step 'needs_absent'.*'absent' is missing; the table has: id, n"):
        do(lacking)


def test_a_failed_row_is_null_with_its_reason_and_stops_nobody(do):
    seen = Recorder()
    out = read(do(spoken, watch=seen, engine=Spec("fake", "m", {"faults": 0.1}), count=300)["out"])
    assert len(out) == 300
    assert 0 < out["said"].null_count() < 60
    assert out.filter(pl.col("said").is_null())["said_error"].unique().to_list() == ["fault on demand"]
    assert seen.cards["say"]["errors"] == {"fault on demand": out["said"].null_count()}


def test_a_step_stops_before_money_is_burnt(do, home):
    with pytest.raises(ReplyError, match=r"fault on demand \(\d+\).*max_failures"):
        do(spoken, settings=Settings(shard=20), engine=Spec("fake", "m", {"faults": 0.9}), count=5000)
    step = next(path for path in home.steps.iterdir() if "say" in path.name)
    assert read_card(step) is None
    assert parts(step) == []


def test_a_stage_that_folds_gets_each_input_part_by_part_and_only_what_it_reads(do):
    @recipe()
    def folded(flow):
        some = flow(double, flow(numbers, count=25))
        return {"out": flow(most, some, flow(double, flow(numbers, count=7)))}

    out = read(do(folded, settings=Settings(bulk=10))["out"])
    assert out["most"].to_list() == [24, 6]
    assert out["parts"].to_list() == [[10, 10, 5], [7]]
    assert out["columns"].to_list() == [["id", "n"]] * 2


def test_a_row_that_is_asked_n_things_counts_as_n_rows_of_a_part(do, home):
    @recipe()
    def often(flow):
        return {"out": flow(sample, flow(asked, count=10), engine=FAKE, n=5)}

    folder = do(often, settings=Settings(shard=10))["out"]
    assert [part_span(path) for path in parts(folder)] == [(i, i + 2) for i in range(0, 10, 2)]
    assert len(read(folder)) == 50


def test_a_model_that_a_step_trains_serves_the_next(do):
    @recipe()
    def train_then(flow, *, base):
        source = flow(numbers, count=4)
        return {"model": flow(learn, source, engine=base)}

    folder = do(train_then, base=FAKE)["model"]
    assert json.loads((folder / "model" / "config.json").read_text()) == {"mark": "m", "base": "m", "rows": 4}


def test_verdicts_are_cut_at_the_same_rows_as_their_table(do):
    from attar.stages.select import keep

    @recipe()
    def halves(flow):
        source = flow(numbers, count=31)
        return {"out": flow(double, flow(keep.rows, source, flow(even, source)))}

    assert read(do(halves, settings=Settings(bulk=7))["out"])["n"].to_list() == list(range(0, 31, 2))


def test_run_returns_where_the_results_are(home):
    found = run(trace(doubled, {}, {"count": 3}), home, Quiet())
    assert read(found["out"])["twice"].to_list() == [0, 2, 4]


def test_a_stage_that_returns_no_table_is_named(do):
    @recipe()
    def odd(flow):
        return {"out": flow(nothing, flow(numbers, count=5))}

    with pytest.raises(RecipeError, match=r"nothing returned NoneType: a stage returns a table"):
        do(odd)
