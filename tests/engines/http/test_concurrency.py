import heapq
from itertools import pairwise
from math import inf
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.engines.http.concurrency import ConcurrencyLimit, RateLimit


class World:
    """A simulated server with so many slots and a queue, always sent as many requests as the pace allows."""

    def __init__(self, capacity, service, spread=0.0, refuses_above=inf, lost=0.0, seed=0, **pace):
        self.capacity, self.service, self.spread, self.refuses_above, self.lost = capacity, service, spread, refuses_above, lost
        self.now, self.dice = 0.0, Random(seed)
        self.pace = ConcurrencyLimit(clock=lambda: self.now, **pace)
        self.levels, self.ends, self.pushed, self.most_sent = [], [], 0, 0

    def run(self, count):
        events, queue, in_flight, serving = [], [], 0, 0
        while len(self.ends) < count:
            while in_flight < self.pace.limit:
                in_flight += 1
                self.most_sent = max(self.most_sent, in_flight)
                takes = self.service * (1 - self.spread + self.spread * self.dice.expovariate(1))
                if in_flight > self.refuses_above or self.dice.random() < self.lost:
                    heapq.heappush(events, (self.now + 0.01, self.dice.random(), "pushed", self.now))
                elif serving < self.capacity:
                    serving += 1
                    heapq.heappush(events, (self.now + takes, self.dice.random(), "done", takes))
                else:
                    queue.append(takes)
            self.now, _, what, value = heapq.heappop(events)
            in_flight -= 1
            if what == "pushed":
                self.pushed += 1
                self.pace.count_pushback(value)
                continue
            if queue:
                takes = queue.pop(0)
                heapq.heappush(events, (self.now + takes, self.dice.random(), "done", takes))
            else:
                serving -= 1
            self.ends.append(self.now)
            self.pace.count_reply(in_flight + 1, value if self.spread else 1.0)
            self.levels.append(self.pace.limit)
        return self

    @property
    def settled(self):
        return mean(self.levels[len(self.levels) // 2 :])

    def used(self):
        """The share of what the server could have done at most."""
        return len(self.ends) * self.service / self.capacity / self.now


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("capacity", "service", "spread"), [(32, 0.5, 0.0), (64, 1, 0.0), (64, 1, 0.7), (256, 10, 0.7)])
def test_the_level_settles_where_the_server_is_full_and_not_far_above(capacity, service, spread, seed):
    world = World(capacity, service, spread, seed=seed).run(100 * capacity)
    assert 0.9 * capacity <= world.settled <= 2.5 * capacity
    assert world.used() >= 0.85


def test_a_server_of_one_slot_is_not_buried():
    world = World(1, 0.5, start=16).run(500)
    assert world.settled <= 24
    assert world.used() >= 0.99


def test_the_level_doubles_as_long_as_that_pays():
    world = World(10**9, 1.0, start=16, most=1000).run(10_000)
    assert sorted(set(world.levels)) == [16, 32, 64, 128, 256, 512, 1000]
    assert world.levels == sorted(world.levels)


def test_it_stays_within_what_it_is_allowed():
    world = World(10**9, 1.0, most=50).run(2000)
    assert world.most_sent == 50
    assert ConcurrencyLimit(start=16, most=3).limit == 3


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_refuses_above_a_level_is_kept_under_it(seed):
    full = World(100, 1, 0.7, refuses_above=120, seed=seed).run(10_000)
    assert 75 <= full.settled <= 120
    assert full.pushed < 0.03 * 10_000
    wide = World(1000, 1, 0.5, refuses_above=50, seed=seed).run(10_000)
    assert 30 <= wide.settled <= 51
    assert wide.pushed < 0.06 * 10_000


def test_a_server_that_is_busy_now_and_then_is_used_all_the_same():
    worlds = [World(64, 1, 0.7, lost=0.03, seed=seed).run(5000) for seed in range(12)]
    assert mean(world.used() for world in worlds) >= 0.9


def test_a_server_that_is_busy_now_and_then_is_used_all_the_same_on_every_seed():
    worlds = [World(64, 1, 0.7, lost=0.03, seed=seed).run(5000) for seed in range(12)]
    assert min(world.settled for world in worlds) >= 0.8 * 64
    assert min(world.used() for world in worlds) >= 0.85


def fed(share, windows=40):
    """A pace at 16 that has little to do, of which this share is pushed back."""
    now = 0.0
    pace = ConcurrencyLimit(start=16, clock=lambda: now)
    for step in range(windows * 32):
        now += 0.1
        pace.count_pushback(now) if step % 100 < 100 * share else pace.count_reply(1)
    return pace.limit


def test_pushing_back_of_a_tenth_is_borne_and_of_more_is_heeded():
    assert fed(0.0) == fed(0.02) == 16
    assert fed(0.3) < 16


def test_pushing_back_alone_brings_it_down_to_four_and_no_further():
    assert fed(1.0) == 4


def test_with_too_little_to_ask_nothing_is_learnt():
    assert fed(0.0, windows=200) == 16


def test_a_request_sent_before_the_level_was_lowered_does_not_lower_it_again():
    now = 0.0
    pace = ConcurrencyLimit(start=64, clock=lambda: now)
    now = 10.0
    for _ in range(200):
        pace.count_pushback(sent_at=9.0)
    assert pace.limit == 32


EVENTS = st.lists(st.tuples(st.floats(0, 2), st.booleans(), st.integers(0, 100), st.floats(0, 1e6)), max_size=400)


@given(EVENTS, st.integers(1, 64), st.integers(1, 300))
def test_whatever_happens_the_level_is_at_least_four_and_at_most_the_most(events, start, most):
    now = 0.0
    pace = ConcurrencyLimit(start, most, clock=lambda: now)
    for passed, good, in_flight, work in events * 3:
        now += passed
        pace.count_reply(in_flight, work) if good else pace.count_pushback(now)
        assert min(4, start, most) <= pace.limit <= most
        assert isinstance(pace.limit, int)


def test_a_cap_spaces_requests_evenly():
    now = 100.0
    cap = RateLimit(30, clock=lambda: now)
    assert [cap.take() for _ in range(4)] == [0, 2, 4, 6]
    now = 103.0
    assert cap.take() == 5
    now = 200.0
    assert [cap.take(), cap.take()] == [0, 2]


def test_a_cap_takes_amounts_and_takes_them_back():
    cap = RateLimit(600, clock=lambda: 0.0)
    assert [cap.take(50), cap.take(100), cap.take(-100), cap.take(1)] == pytest.approx([0, 5, 15, 5])


def test_no_cap_never_waits():
    cap = RateLimit(None, clock=lambda: 0.0)
    assert [cap.take(10**9) for _ in range(3)] == [0, 0, 0]


@given(st.lists(st.floats(0, 5), min_size=2, max_size=60), st.floats(1, 1000))
def test_capped_requests_are_never_closer_than_they_may(gaps, per_minute):
    now, starts = 0.0, []
    cap = RateLimit(per_minute, clock=lambda: now)
    for gap in gaps:
        now += gap
        starts.append(now + cap.take())
    assert all(later - sooner >= 60 / per_minute - 1e-6 for sooner, later in pairwise(starts))
