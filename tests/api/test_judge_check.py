import pytest
from engines_for_tests import Scripted
from pair_judges_for_tests import good

from attar.api.judge_check import check_judge
from attar.core.errors import RecipeError


def test_a_judge_is_checked_by_the_rubric_that_selection_uses():
    engine = Scripted(good)
    check_judge(engine)
    systems = {request.messages[0]["content"] for request in engine.asked if len(request.labels) == 11}
    assert len(systems) == 1
    assert next(iter(systems)).startswith("You grade answers of an AI assistant.")


def test_a_rubric_that_is_not_there_is_named():
    with pytest.raises(RecipeError, match="unknown rubric 'helpfulnes'; did you mean 'helpfulness'"):
        check_judge(Scripted(good), "helpfulnes")
