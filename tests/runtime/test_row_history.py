import polars as pl
import pytest

from attar.core.errors import DataError
from attar.core.table import ORIGIN, write_part
from attar.runtime.home import write_json
from attar.runtime.row_history import HistoryEntry, history_of


def origin(*parents):
    return {"stage": "x", "engine": "m", "seed": 0, "parents": list(parents)}


@pytest.fixture
def run(home):
    """A run of four steps: prompts, scores, verdicts, answers to what is left (rows of their own); the last is not complete."""
    tables = {
        "ask": pl.DataFrame({"id": ["a", "b"], "prompt": ["why?", "how?"]}),
        "score": pl.DataFrame({"id": ["a", "b"], "prompt": ["why?", "how?"], "score": [3, 1]}),
        "rule": pl.DataFrame({"id": ["a", "b"], "kept": [True, False], "reason": [None, "score > 2"], "because": [None, None]}),
        "answer": pl.DataFrame(
            {"id": ["a/0"], "response": ["so"], "origin": [origin("a")]}, schema_overrides={"origin": ORIGIN}
        ),
    }
    steps = []
    for name, table in tables.items():
        write_part(table, home.steps / name, 0, len(table))
        write_json(home.steps / name / "card.json", {"rows": len(table)})
        steps.append({"name": name, "stage": f"x.{name}", "engine": "m" if name == "ask" else None, "folder": name})
    steps.append({"name": "train", "stage": "x.train", "engine": "m", "folder": "train"})
    write_json(home.runs / "mine.json", {"name": "mine", "steps": steps})
    return home


def test_an_entry_has_only_what_its_step_added(run):
    assert history_of(run, "mine", "b") == [
        HistoryEntry("ask", "x.ask", "m", "b", {"prompt": "how?"}),
        HistoryEntry("score", "x.score", None, "b", {"score": 1}),
        HistoryEntry("rule", "x.rule", None, "b", {"kept": False, "reason": "score > 2"}),
    ]


def test_a_row_s_history_begins_with_that_of_the_rows_it_was_made_from(run):
    entries = [(entry.step, entry.id) for entry in history_of(run, "mine", "a/0")]
    assert entries == [("ask", "a"), ("score", "a"), ("rule", "a"), ("answer", "a/0")]


def test_a_row_that_no_completed_step_has_is_refused(run):
    with pytest.raises(DataError, match="run 'mine' has no row 'z' in its 4 finished steps"):
        history_of(run, "mine", "z")
