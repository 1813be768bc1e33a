"""Attar's own driver, with the journal off or on.

    .venv/bin/python bench/engines/peer_attar.py URL N [--journal] [--flat]

With --flat the answers are not kept, so that what is left in memory is the driver's.
"""

import sys
import tempfile
from pathlib import Path

from attar.engines.base import Request, Sampling, Spec
from attar.engines.http.engine import Http
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import Meter, questions, read_request_options

SAMPLING = Sampling(max_tokens=64)


def main() -> None:
    """Send all, print the cost."""
    options = read_request_options(__doc__, 0, journal={"action": "store_true"}, flat={"action": "store_true"})
    asked = questions(0 if options.flat else options.count)
    engine = Http(Spec("http", "stub", {"url": options.url}))
    meter = Meter("attar, journal on" if options.journal else "attar", "attar")
    journal = Journal(Path(tempfile.mkdtemp()) / "journal.sqlite") if options.journal else None
    driver = Journaled(engine, journal) if journal else engine
    texts = asked or (f"question {number}" for number in range(options.count))
    requests = (Request(i, messages=({"role": "user", "content": text},), sampling=SAMPLING) for i, text in enumerate(texts))
    answers: list[str | None] = [None] * len(asked)
    count = 0
    for reply in driver.generate(requests):
        count += 1
        if asked:
            answers[reply.index] = reply.text
    if journal:
        journal.close()
    assert count == options.count
    meter.check_and_print_cost(asked, answers) if asked else meter.print_cost(count)


if __name__ == "__main__":
    main()
