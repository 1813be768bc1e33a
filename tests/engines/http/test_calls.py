import asyncio

import pytest

from attar.engines.base import Reply, Request, Sampling
from attar.engines.http.calls import batch_requests, group_equal, retry_singly
from attar.engines.http.failures import FailedTry

HOT, COLD = Sampling(temperature=1.0), Sampling()


def sizes(calls):
    return [len(call) for call in calls]


def test_only_neighbours_that_differ_in_nothing_but_their_seed_share_a_call():
    rows = [Request(i, text="a", sampling=HOT, seed=i) for i in range(5)]
    assert sizes(group_equal(rows, 4)) == [4, 1]
    assert sizes(group_equal(rows, 1)) == [1] * 5
    assert sizes(group_equal([rows[0], Request(1, text="b", sampling=HOT), rows[2]], 4)) == [1, 1, 1]
    assert sizes(group_equal([Request(i, text="a", sampling=COLD) for i in range(3)], 4)) == [1, 1, 1]


def test_texts_go_by_thirty_two():
    assert sizes(batch_requests(Request(i, text="a") for i in range(70))) == [32, 32, 6]


@pytest.mark.parametrize(("retry", "tries"), [(False, [3, 1, 1, 1]), (True, [3])])
def test_a_shared_call_that_is_refused_is_sent_one_by_one_and_one_that_may_pass_is_not(retry, tries):
    sent = []

    async def attempt(call):
        sent.append(len(call))
        if len(call) > 1 or call[0].index == 1:
            raise FailedTry("refused", "no", retry=retry)
        return [Reply(call[0].index, "yes", "stop")]

    rows = [Request(i, text="a") for i in range(3)]
    if retry:
        with pytest.raises(FailedTry):
            asyncio.run(retry_singly(attempt)(rows))
    else:
        first, second, third = asyncio.run(retry_singly(attempt)(rows))
        assert (first.text, str(second), third.text) == ("yes", "no", "yes")
    assert sent == tries
