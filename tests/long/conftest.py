"""Kills, chaos and whole examples: minutes each, so `make test-long` runs them. FULL=1 takes the counts of the docs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("FULL", "") not in ("", "0")


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.long)


@pytest.fixture
def bench():
    """Run a script of bench/; what it printed."""

    def run(script, *words, full=()):
        command = [sys.executable, str(ROOT / "bench" / script), *map(str, full if FULL and full else words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture
def example(tmp_path):
    """Run an example's run file in a home of its own, with fewer rows where that is asked for; its record."""
    import yaml

    from attar.api.run import start
    from attar.runtime.home import Home
    from attar.runtime.progress import Quiet
    from attar.runtime.run_file import read_run_file

    def run(name, **fewer):
        content = yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text())
        for knob, value in ({} if FULL else fewer).items():
            group = content["knobs"].get(knob)
            content["knobs"][knob] = group | value if isinstance(group, dict) and isinstance(value, dict) else value
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content))
        return start(read_run_file(file), Home(tmp_path / "home"), Quiet())

    return run
