"""The mark of a failure that passes is found wherever a stage puts it."""

import re

import pytest

from attar.core.reasons import TRANSIENT, mark_transient


@pytest.mark.parametrize("tries", [1, 2, 17])
def test_a_marked_reason_is_found_alone_and_inside_another(tries):
    reason = mark_transient("503: overloaded", tries)
    assert reason.startswith("503: overloaded (gave up after ")
    assert all(re.search(TRANSIENT, text) for text in (reason, f"game 1: {reason}", f"{reason}; no second answer"))


@pytest.mark.parametrize("reason", ["cut off", "400: bad request", "gave up after 3 tries", "(gave up after tries)", ""])
def test_other_reasons_are_not_taken_for_one(reason):
    assert not re.search(TRANSIENT, reason)
