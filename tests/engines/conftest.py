import subprocess
import sys
from pathlib import Path

import pytest
from servers_for_tests import Served

from attar.engines.http import server_queue
from attar.engines.journal import Journal

FAULTS = Path(__file__).parent.parent / "servers" / "faults.py"


@pytest.fixture(scope="module")
def faults():
    """Start a misbehaving server; its root url."""
    running = []

    def start(**options):
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        child = subprocess.Popen([sys.executable, str(FAULTS), *words], stdout=subprocess.PIPE, text=True)
        running.append(child)
        assert child.stdout
        return f"http://127.0.0.1:{int(child.stdout.readline())}"

    yield start
    for child in running:
        child.kill()
        child.wait()


@pytest.fixture
def server():
    """Serve a handler of posts (what was asked, to a response) on a free port."""
    running = []

    def serve(speak, **options):
        running.append(Served(speak, **options))
        return running[-1]

    yield serve
    for one in running:
        one.stop()
    for known in server_queue._queues.values():  # a later test may be given the same port
        server_queue.wait_for(known.close())
    server_queue._queues.clear()


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()
