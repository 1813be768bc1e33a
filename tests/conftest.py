import os
import subprocess
import sys
import textwrap
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # a worker on each core: more threads would only be in each other's way
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from stages_for_tests import FAKE

from attar.engines.local.spec import POCKET
from attar.runtime.home import Home
from attar.runtime.progress import Quiet
from attar.runtime.run_file import read_run_file
from attar.runtime.runner import run

settings.register_profile("any-machine", deadline=None)  # how long an example takes is the machine's matter
settings.load_profile("any-machine")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def run_file(tmp_path):
    def write(text=FAKE, name="try.yaml"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def do(home):
    """Trace and run a recipe function; its results' folders."""
    from attar.runtime.flow import trace

    def go(recipe, watch=None, settings=None, **given):
        from attar.engines.base import Spec
        from attar.runtime.settings import Settings

        engines = {name: value for name, value in given.items() if isinstance(value, Spec)}
        knobs = {name: value for name, value in given.items() if name not in engines}
        return run(trace(recipe, engines, knobs), home, watch or Quiet(), settings or Settings())

    return go


@pytest.fixture
def do_file(home):
    """Read and run a run file; its results' folders."""

    def go(path, watch=None):
        file = read_run_file(path)
        return run(file.trace(), home, watch or Quiet(), file.settings)

    return go


@pytest.fixture(scope="session")
def gguf(tmp_path_factory):
    """The pocket teacher as llama.cpp reads it."""
    file = tmp_path_factory.mktemp("gguf") / "teacher.gguf"
    script = Path(__file__).parents[1] / "pocket" / "to_gguf.py"
    subprocess.run([sys.executable, str(script), str(POCKET / "teacher"), str(file)], check=True)
    return file
