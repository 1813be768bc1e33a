import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes_for_tests import alive, ended

from attar.engines.http import watchdog

SERVER = """
import subprocess, sys, time, os, signal
{}
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), worker.pid, os.read(0, 1) if {} else "", flush=True)
time.sleep(600)
"""


@pytest.fixture
def watched():
    """Start a command under the watchdog; ended with the test, whatever becomes of it."""
    begun = []

    def start(code):
        command = [sys.executable, watchdog.__file__, sys.executable, "-c", code]
        begun.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for dog in begun:
        dog.stdin.close()
        dog.wait(30)


def read_pids(dog):
    return [int(word) for word in dog.stdout.readline().split()[:2]]


def test_a_server_and_its_workers_end_when_the_other_end_of_the_pipe_is_closed(watched):
    dog = watched(SERVER.format("", False))
    server, worker = read_pids(dog)
    assert alive(server)
    assert alive(worker)
    dog.stdin.close()
    assert dog.wait(30) in (0, 128 + signal.SIGTERM)  # whichever of its threads is the first to see the server end
    assert ended(server)
    assert ended(worker)


def test_a_server_that_does_not_heed_the_signal_is_killed_after_its_time(watched, tmp_path):
    quick = tmp_path / "watchdog.py"
    source = Path(watchdog.__file__).read_text()
    assert "_GRACE = 15.0" in source
    quick.write_text(source.replace("_GRACE = 15.0", "_GRACE = 0.2"))
    code = SERVER.format("signal.signal(signal.SIGTERM, signal.SIG_IGN)", False)
    dog = subprocess.Popen(
        [sys.executable, quick, sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    server, worker = read_pids(dog)
    dog.stdin.close()
    assert dog.wait(30) == 0
    assert ended(server)
    assert ended(worker)


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 128 + 9)])
def test_how_a_server_ended_by_itself_is_how_the_watchdog_ends(watched, code, status):
    assert watched(code).wait(30) == status


def test_the_server_reads_nothing_of_the_pipe_and_ctrl_c_is_left_to_the_parent(watched):
    dog = watched(SERVER.format("", True))
    server, _ = read_pids(dog)  # it has read to the end of its own input, which is empty
    dog.send_signal(signal.SIGINT)
    assert alive(server)
    assert dog.poll() is None
