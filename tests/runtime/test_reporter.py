import inspect

import pytest

from attar.runtime.progress import Live, Quiet
from attar.runtime.reporter import Reporter


@pytest.mark.parametrize("kind", [Live, Quiet])
@pytest.mark.parametrize("event", ["begin", "advance", "end", "say"])
def test_what_shows_a_runs_progress_takes_every_event_as_the_run_sends_it(kind, event):
    def parameters(owner):
        return list(inspect.signature(getattr(owner, event)).parameters)

    assert parameters(kind) == parameters(Reporter)
