import threading
import time

import polars as pl
import pytest
from aiohttp import web
from servers.threaded import serving
from stages_for_tests import numbers, say

from attar.core.errors import AttarError, LimitError
from attar.core.stage import rowwise
from attar.core.table import index_parts, parts, read, write_part
from attar.engines.base import Spec
from attar.engines.fake import Fake
from attar.engines.registry import Kind
from attar.runtime.executor import StageJob, run_in_process
from attar.runtime.flow import recipe
from attar.runtime.home import read_card
from attar.runtime.settings import Settings


class Ahead(Fake):
    """An engine that takes several parts at once, and counts how many it was given."""

    kind = Kind(open=Fake, ahead=3)

    def __init__(self):
        super().__init__(Spec("fake", "m"))
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.meter = self
        self.stopped = ""

    def stop(self, reason):
        self.stopped = reason

    def generate(self, requests):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.05)
        yield from super().generate(requests)
        with self.lock:
            self.now -= 1


@pytest.fixture
def job(tmp_path):
    write_part(numbers(count=100), tmp_path / "in", 0, 100)
    return StageJob(say, (index_parts(tmp_path / "in"),), {}, tmp_path / "out")


SPANS = [(start, start + 10) for start in range(0, 100, 10)]


def test_as_many_parts_are_under_way_as_the_engine_takes_and_all_rows_are_there(job):
    engine = Ahead()
    done = list(run_in_process(job, engine, SPANS, lambda _: None))
    assert engine.most == 3
    assert sorted((one.start, one.stop) for one in done) == SPANS
    assert read(job.out)["n"].to_list() == list(range(100))


class Slow(Ahead):
    """Its third part takes until it is stopped."""

    def __init__(self):
        super().__init__()
        self.began, self.over = 0, threading.Event()

    def stop(self, reason):
        self.stopped = reason
        self.over.set()

    def generate(self, requests):
        with self.lock:
            self.began += 1
            late = self.began > 2
        if late:
            assert self.over.wait(10)
        yield from Fake.generate(self, requests)


def test_a_part_that_is_refused_stops_the_others_from_asking_and_keeps_what_was_written(job):
    engine = Slow()

    def accept(done):
        if len(parts(job.out)) == 1:
            raise AttarError("too many failures")

    with pytest.raises(AttarError, match="too many failures"):
        list(run_in_process(job, engine, SPANS, accept))
    assert engine.stopped == "another part of the step failed"
    assert len(parts(job.out)) == 1


def test_parts_are_not_read_before_there_is_room_for_them(job):
    engine, taken = Ahead(), []

    def spans():
        for span in SPANS:
            taken.append(span)
            yield span

    next(run_in_process(job, engine, spans(), lambda _: None))
    assert len(taken) <= 6


@recipe()
def spoken(flow, *, engine, count=400):
    return {"out": flow(say, flow(numbers, count=count), engine=engine)}


async def echo(request):
    asked = await request.json()
    choice = {"index": 0, "text": asked["prompt"].upper(), "finish_reason": "stop"}
    return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 10}})


async def models(request):
    return web.json_response({"data": [{"id": "m"}]})


@pytest.fixture
def url():
    app = web.Application()
    app.add_routes([web.post("/v1/completions", echo), web.get("/v1/models", models)])
    with serving(app) as found:
        yield found


@pytest.mark.parametrize("shard", [1, 7, 1000])
def test_rows_over_http_are_the_same_whatever_the_parts(do, url, shard):
    out = do(spoken, engine=Spec("http", "m", {"url": url}), settings=Settings(shard=shard), count=60)["out"]
    assert read(out).sort("id")["said"].to_list() == [f"SAY {n}" for n in range(60)]


def test_equal_requests_of_different_parts_are_asked_once(do, url, home):
    out = do(same, engine=Spec("http", "m", {"url": url}), settings=Settings(shard=10))["out"]
    assert set(read(out)["said"]) == {"SAY THE SAME"}
    assert read_card(out)["asked"] == 1


@rowwise
def say_the_same(table, *, engine):
    from attar.engines.base import Request, in_order

    replies = in_order(engine.generate(Request(i, text="say the same") for i in range(len(table))), len(table))
    return table.with_columns(pl.Series("said", [reply.text for reply in replies]))


@recipe()
def same(flow, *, engine, count=200):
    return {"out": flow(say_the_same, flow(numbers, count=count), engine=engine)}


def test_a_token_limit_stops_between_requests_and_the_run_goes_on_once_it_is_raised(home, url):
    from attar.engines.meter import Limits
    from attar.runtime.flow import trace
    from attar.runtime.progress import Quiet
    from attar.runtime.runner import run

    steps = trace(spoken, {"engine": Spec("http", "m", {"url": url, "concurrency": 4})}, {"count": 100})
    with pytest.raises(LimitError, match=r"the run's limit of 1,000 tokens is reached; .* \(spent: .* 1,000 tokens"):
        run(steps, home, Quiet(), Settings(shard=10), Limits(tokens=1000), "r")
    out = run(steps, home, Quiet(), Settings(shard=10), Limits(tokens=2000), "r")["out"]
    assert read(out)["said"].null_count() == 0
    assert read_card(out)["spent"]["tokens_in"] + read_card(out)["spent"]["tokens_out"] == 2000
