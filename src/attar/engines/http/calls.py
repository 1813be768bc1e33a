"""How requests share calls: samples of one prompt, or several texts; and what becomes of a shared call that is refused."""

from collections.abc import Iterable, Iterator

from attar.engines.base import Reply, Request
from attar.engines.http.failures import FailedTry
from attar.engines.http.stream import Attempt, CallRequests

TEXTS_PER_CALL = 32
"""Texts per call, for embeddings and rewards."""


def retry_singly(attempt: Attempt) -> Attempt:
    """The same call; if a call of several requests is refused, each is sent alone, so that only the bad ones fail."""

    async def attempt_singly(call: CallRequests) -> list[Reply | FailedTry]:
        try:
            return await attempt(call)
        except FailedTry as failure:
            if failure.retry or len(call) == 1:
                raise
        results: list[Reply | FailedTry] = []
        for request in call:  # one after another: the call has one place in the queue
            try:
                results += await attempt([request])
            except FailedTry as failure:
                results.append(failure)
        return results

    return attempt_singly


def group_equal(requests: Iterable[Request], most: int) -> Iterator[CallRequests]:
    """One request per call; with `most` above 1, neighbours that differ only in their seed share a call."""
    call: CallRequests = []
    for request in requests:
        is_random = request.sampling is not None and request.sampling.temperature > 0
        if call and (len(call) == most or not is_random or not _same_prompt(call[0], request)):
            yield call
            call = []
        call.append(request)
    if call:
        yield call


def _same_prompt(one: Request, other: Request) -> bool:
    return one.text == other.text and one.messages == other.messages and one.sampling == other.sampling


def batch_requests(requests: Iterable[Request]) -> Iterator[CallRequests]:
    """As many requests per call as it may have texts."""
    call: CallRequests = []
    for request in requests:
        call.append(request)
        if len(call) == TEXTS_PER_CALL:
            yield call
            call = []
    if call:
        yield call
