import json
from collections import Counter

import pytest

from attar.core.errors import RecipeError
from attar.stages.evaluate.benchmarks.constraint_kinds import validate_constraint
from attar.stages.evaluate.benchmarks.constraint_tasks import tasks


def test_an_exam_is_distinct_questions_that_say_all_that_is_checked():
    exam = tasks(count=300)
    assert exam["prompt"].n_unique() == exam["id"].n_unique() == 300
    assert Counter(exam["level"]) == {"easy": 100, "medium": 100, "hard": 100}
    kinds = Counter()
    for prompt, text, level in exam.select("prompt", "constraints", "level").iter_rows():
        demands = json.loads(text)
        assert len(demands) == {"easy": 1, "medium": 2, "hard": 3}[level]
        for demand in demands:
            assert validate_constraint(demand) == demand
            kinds[demand["kind"]] += 1
            for value in [value for name, value in demand.items() if name != "kind"]:
                assert all(str(item) in prompt for item in (value if isinstance(value, list) else [value]))
    assert min(kinds.values()) >= 5
    assert len(kinds) == 20


def test_no_question_demands_what_its_other_constraints_exclude():
    for text in tasks(count=3000)["constraints"]:
        kinds = {demand["kind"] for demand in json.loads(text)}
        assert not ({"sections"} <= kinds and kinds & {"capitals", "lowercase"}), "a heading has a capital letter of its own"
        assert len(kinds & {"capitals", "lowercase", "capital_words"}) <= 1
        assert len(kinds & {"quoted", "ends", "postscript"}) <= 1


def test_an_exam_depends_on_its_seed_and_a_longer_one_begins_with_a_shorter():
    assert tasks(count=60, seed=1).head(30).equals(tasks(count=30, seed=1))
    assert len(set(tasks(count=60, seed=1)["prompt"]) & set(tasks(count=60, seed=2)["prompt"])) < 6


def test_more_questions_than_there_are_is_refused(monkeypatch):
    groups = tuple((lambda rng, kind=kind: (f"{kind}.", {"kind": kind}),) for kind in ("title", "quoted", "no_comma"))
    for name, few in (("_SUBJECTS", ("maps",)), ("_REQUESTS", ("About {}.",)), ("_GROUPS", groups)):
        monkeypatch.setattr(f"attar.stages.evaluate.benchmarks.constraint_tasks.{name}", few)
    assert len(tasks(count=9)) == 9  # of each level three
    with pytest.raises(RecipeError, match="12 different questions are too many: there are 9"):
        tasks(count=12)
