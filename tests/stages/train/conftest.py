import shutil
from random import Random

import polars as pl
import pytest

from attar.core.table import COLUMNS
from attar.engines.base import Spec
from attar.engines.local.spec import POCKET
from attar.pocket.speech import instruct, respond
from attar.pocket.tasks import draw_task


@pytest.fixture(scope="session")
def talks():
    """Asked and answered tasks of the pocket world."""

    def make(count, seed=0):
        rng = Random(seed)
        rows = [
            [{"role": "user", "content": instruct(task, rng)}, {"role": "assistant", "content": respond(task)}]
            for task in (draw_task(rng) for _ in range(count))
        ]
        return pl.DataFrame(
            {
                "id": [str(i) for i in range(count)],
                "messages": pl.Series(rows, dtype=COLUMNS["messages"]),
                "response": [turns[1]["content"] for turns in rows],
            }
        )

    return make


@pytest.fixture(scope="session")
def pairs(talks):
    """Tasks with the right answer chosen and another task's answer rejected."""

    def make(count, seed=0):
        rows = talks(count, seed)
        return rows.select(
            "id",
            pl.col("messages").list.head(1),
            chosen="response",
            rejected=pl.Series([*rows["response"][1:], rows["response"][0]]),
        )

    return make


@pytest.fixture
def base_with(tmp_path):
    """The pocket base with another chat template, and other files changed by a function."""

    def make(template, change=None):
        folder = shutil.copytree(POCKET / "base", tmp_path / "changed")
        (folder / "chat_template.jinja").write_text(template)
        if change:
            change(folder)
        return Spec("local", str(folder), {"threads": 1})

    return make
