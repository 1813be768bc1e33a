import pytest
from judges_for_tests import ASKED, LONG, SURE, evaluated, judge_of, says, served, values, written

from attar.core.errors import RecipeError
from attar.runtime.run_file import check_run_file


def test_alpaca_eval_of_a_model_against_a_file_with_controls_beside_it(tmp_path):
    source = written(tmp_path, *ASKED)
    with served(judge_of()) as ([judge], [server]):
        found = evaluated(
            tmp_path, {"model": says(LONG), "judge": judge}, benchmark="alpaca_eval", questions=source, baseline=source
        )
    assert values(found["figures"], model="m")["win_rate"] == pytest.approx(100 * SURE)
    assert values(found["figures"], model="null-empty")["win_rate"] == pytest.approx(100 * (1 - SURE))
    assert values(found["figures"], model="longest")["win_rate"] == pytest.approx(100 * SURE)
    assert values(found["figures-length"])["longer_wins"] == 1
    assert values(found["figures-place-judge"])["gap"] == 0
    answers = found["answers-model"]
    assert answers["preference"].to_list() == pytest.approx([SURE] * 12)
    assert set(answers["judge"]) == {"judge-1"}
    assert not answers["disagrees"].any()
    # each pair once in each order: the model's and the empty ones; "longest" are the model's own, "random" may be the file's
    assert 2 * 2 * 12 <= len(server.posted) <= 2 * 3 * 12


@pytest.mark.parametrize(
    ("engines", "knobs", "why"),
    [
        ({}, {"benchmark": "pocket"}, "benchmark 'pocket' needs an engine for the role 'model'"),
        ({"model": says("a")}, {"benchmark": "alpaca_eval"}, "needs an engine for the role 'judge' or 'rewarder'"),
        ({"model": says("a"), "rewarder": says("a")}, {"benchmark": "mt_bench"}, "it needs a 'judge', a 'rewarder' has none"),
        ({"model": says("a"), "judge": says("a")}, {"benchmark": "arena_hard", "order": "seeded"}, "is AlpacaEval's"),
        ({"judge": says("a"), "rewarder": says("a")}, {"benchmark": "judge_accuracy"}, "one of them judges"),
        ({"model": says("a"), "second_judge": says("a")}, {"benchmark": "wildbench"}, "first judge has the role 'judge'"),
        ({"model": says("a"), "judge": says("a")}, {"benchmark": "arena_hard"}, "Give 'questions': a file"),
        (
            {"model": says("a"), "judge": says("a")},
            {"benchmark": "alpaca_eval", "questions": "pocket"},
            "name an engine 'opponent', or a file of answers as 'baseline'",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_is_asked(tmp_path, engines, knobs, why):
    with pytest.raises(RecipeError, match=why):
        check_run_file({"recipe": "evaluate", "engines": engines, "knobs": knobs}, tmp_path / "run.yaml").trace()
