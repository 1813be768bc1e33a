import json
import sys
from pathlib import Path

import pytest
from arms_for_tests import made, marked
from pools_for_tests import ten_rows

from attar.cli.main import main

__all__ = ["made", "marked"]


@pytest.fixture
def attar(tmp_path, monkeypatch, capsys):
    """The command line, in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATTAR_HOME", raising=False)

    def go(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["attar", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code, err + out
        return json.loads(out) if "--json" in words else err if code else out

    return go


@pytest.fixture
def pool(tmp_path):
    """Ten rows and a broken line, where the command line runs."""
    return Path(ten_rows(tmp_path).name)
