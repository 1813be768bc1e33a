"""Attar's own driver, with the journal off or on.

.venv/bin/python bench/engines/peer_attar.py URL N [--journal] [--flat]

`--flat` asks without keeping the answers, so that what is left in memory is the driver's.
"""

import tempfile
from pathlib import Path

from meter import Meter, arguments, questions

from attar.engines.base import Request, Sampling, Spec
from attar.engines.http.engine import Http
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled

SAMPLING = Sampling(max_tokens=64)


def main() -> None:
    """Ask, and say what it cost."""
    told = arguments(__doc__, 0, journal={"action": "store_true"}, flat={"action": "store_true"})
    asked = questions(0 if told.flat else told.count)
    engine = Http(Spec("http", "stub", {"url": told.url}))
    meter = Meter("attar, journal on" if told.journal else "attar", "attar")
    journal = Journal(Path(tempfile.mkdtemp()) / "journal.sqlite") if told.journal else None
    driver = Journaled(engine, journal) if journal else engine
    texts = asked or (f"question {number}" for number in range(told.count))
    requests = (Request(i, messages=({"role": "user", "content": text},), sampling=SAMPLING) for i, text in enumerate(texts))
    answers: list[str | None] = [None] * len(asked)
    count = 0
    for reply in driver.write(requests):
        count += 1
        if asked:
            answers[reply.index] = reply.text
    if journal:
        journal.close()
    assert count == told.count
    meter.done(asked, answers) if asked else meter.flat(count)


if __name__ == "__main__":
    main()
