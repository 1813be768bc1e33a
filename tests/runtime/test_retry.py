"""Rows that failed for reasons that pass are asked again, once at the end of their step and by the same command."""

import polars as pl
import pytest
from aiohttp import web
from servers_for_tests import Served, refused, told
from stages_for_tests import Recorder, learn, numbers, say

from attar.core.stage import rowwise
from attar.core.table import read
from attar.engines.base import Spec
from attar.runtime import retry
from attar.runtime.flow import recipe, trace
from attar.runtime.home import read_card
from attar.runtime.settings import Settings


@rowwise
def shout(table):
    return table.with_columns(table["said"].str.to_uppercase().alias("shouted"))


def count_said(table):
    return pl.DataFrame({"id": ["all"], "count": [table["said"].count()]})


@recipe()
def counted(flow, *, engine):
    said = flow(say, flow(numbers, count=60), engine=engine)
    return {"count": flow(count_said, flow(shout, said)), "said": said}


@recipe()
def trained(flow, *, engine, base):
    said = flow(say, flow(numbers, count=60), engine=engine)
    model = flow(learn, said, engine=base)
    return {"said": said, "model": model, "after": flow(say, flow(numbers, count=5), engine=model, name="after")}


@pytest.fixture
def server():
    """Says what it is asked, except that it breaks at the texts in `broken`."""

    async def speak(asked):
        if told(asked) in served.broken:
            return refused(served.status)
        return web.json_response({"choices": [{"index": 0, "finish_reason": "stop", "text": told(asked)}], "usage": {}})

    served = Served(speak)
    served.broken, served.status = set(), 500
    yield served
    served.stop()


def engine_of(server, tries=1):
    return Spec("http", "m", {"url": server.url, "tries": tries})


def broken(server, *values):
    server.broken = {f"say {value}" for value in values}


def test_the_card_says_how_many_rows_failed_for_reasons_that_pass(do, server, home):
    broken(server, 3, 44)
    out = do(counted, engine=engine_of(server, tries=2))
    card = read_card(out["said"])
    assert (card["failed"], card["transient"], card["errors"]) == (2, 2, {"500: no (gave up after 2 tries)": 2})
    assert read(out["count"])["count"].to_list() == [58]


def test_a_refused_row_is_no_failure_that_passes_and_is_not_asked_again(do, server):
    broken(server, 3)
    server.status = 400
    out = do(counted, engine=engine_of(server))
    assert read_card(out["said"])["transient"] == 0
    asked = len(server.posted)
    broken(server)
    do(counted, engine=engine_of(server))
    assert len(server.posted) == asked


def test_rows_are_asked_once_more_when_the_others_are_done(do, server):
    broken(server, 3)
    watch = Recorder()
    do(counted, watch=watch, engine=engine_of(server))
    assert [told(asked) for asked in server.posted].count("say 3") == 2
    assert "1 rows failed for reasons that pass; they are asked once more" in watch.said


def test_the_same_command_asks_only_the_failed_rows_and_makes_again_what_came_of_them(do, server):
    broken(server, 3, 44)
    first = do(counted, engine=engine_of(server))
    asked, watch = len(server.posted), Recorder()
    broken(server)
    again = do(counted, watch=watch, settings=Settings(shard=7), engine=engine_of(server))
    assert sorted(told(one) for one in server.posted[asked:]) == ["say 3", "say 44"]
    assert again == first
    assert read(again["count"])["count"].to_list() == [60]
    assert read(again["said"])["said"].to_list() == [f"say {n}" for n in range(60)]
    assert watch.fresh == {"numbers": False, "say": True, "shout": True, "count_said": True}


def test_where_the_rows_fail_again_nothing_is_made_again(do, server):
    broken(server, 3)
    do(counted, engine=engine_of(server))
    watch = Recorder()
    do(counted, watch=watch, engine=engine_of(server))
    assert watch.fresh == {"numbers": False, "say": False, "shout": False, "count_said": False}


def test_with_retry_none_no_row_is_asked_again(do, server):
    broken(server, 3)
    do(counted, settings=Settings(retry="none"), engine=engine_of(server))
    asked = len(server.posted)
    assert asked == 60
    broken(server)
    do(counted, settings=Settings(retry="none"), engine=engine_of(server))
    assert len(server.posted) == asked


def test_a_model_that_was_trained_on_the_other_rows_is_trained_anew_only_on_demand(do, server):
    broken(server, 3)
    base = Spec("fake", "base")
    first = do(trained, engine=engine_of(server), base=base)
    name = (first["model"] / "known_as").read_text()
    broken(server)
    watch = Recorder()
    do(trained, watch=watch, engine=engine_of(server), base=base)
    assert watch.fresh["say"] is False
    assert any("attar retry RUN" in text for text in watch.said)
    do(trained, settings=Settings(retry="always"), engine=engine_of(server), base=base)
    assert read(first["said"])["said"].null_count() == 0
    assert '"rows": 60' in (first["model"] / "model" / "config.json").read_text()
    assert (first["model"] / "known_as").read_text() != name  # no reply of the earlier model is taken for the new one's


def test_a_run_killed_while_a_step_is_opened_again_comes_to_the_same_tables(do, server, home, monkeypatch):
    broken(server, 3)
    do(counted, engine=engine_of(server))
    broken(server)

    def killed(*_):
        raise KeyboardInterrupt

    for place in ("empty_folder", "part_results"):
        with monkeypatch.context() as patched:
            patched.setattr(retry, place, killed)
            with pytest.raises(KeyboardInterrupt):
                do(counted, engine=engine_of(server))
    out = do(counted, engine=engine_of(server))
    assert read(out["count"])["count"].to_list() == [60]


def test_dependents_are_found_through_inputs_and_engines_the_last_first(home):
    engines = {"engine": Spec("fake", "m"), "base": Spec("fake", "base")}
    steps = {step.name: step for step in trace(trained, engines, {}).steps}
    whole = trace(trained, engines, {})
    found = retry.find_dependents(whole, home, steps["say"].folder)
    assert found == [steps["after"].folder, steps["learn"].folder]
    assert retry.find_dependents(whole, home, steps["after"].folder) == []
