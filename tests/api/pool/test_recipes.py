import pytest

from attar.api.pool.recipes import embedding, find_graders, scoring, selection
from attar.core.errors import RecipeError
from attar.engines.base import Spec
from attar.runtime.flow import trace

SOURCE = {"source": "pool.jsonl", "content": "c0ffee", "form": None}
FAKE = Spec("fake", "m")


def trace_steps(recipe, engines=None, **knobs):
    return {step.name: step for step in trace(recipe, engines or {}, {"source": SOURCE, **knobs}).steps}


def list_judging(**knobs):
    """The steps of a selection that judge rows, in order, with their stages."""
    made = trace_steps(selection, **knobs)
    judged = [name.removeprefix("after-") for name in made if name.startswith("after-")]
    return {name: made[name].title for name in judged}


def test_rows_are_judged_from_the_cheapest_question_to_the_dearest_and_the_budget_comes_last():
    dedups = {"exact": None, "near": 0.7, "semantic": 0.95}
    assert list_judging(rule="score > 1", by="score", dedups=dedups, diverse_at=0.9, count=5) == {
        "where": "select.where.holds",
        "by": "select.ledger.keep_with_value",
        "exact": "select.dedup.exact",
        "near": "select.dedup.near",
        "embed": "select.ledger.keep_with_value",
        "semantic": "select.dedup.semantic",
        "diverse": "select.diverse.keep",
        "budget": "select.rank.top",
    }


def test_a_budget_of_rows_in_the_pools_order_of_ranks_or_of_tokens_is_another_stage():
    assert list_judging(count=5) == {"budget": "select.ledger.keep_first"}
    assert list_judging(count=5, per="lang") == {"budget": "select.rank.top"}
    assert list_judging(tokens=100.0, by="score") == {"by": "select.ledger.keep_with_value", "budget": "select.budget.fill"}
    assert trace_steps(selection, tokens=100.0)["budget"].knobs["cost"] == "conversation_chars / 4"


def test_letters_are_hashed_for_the_whole_pool_and_a_model_embeds_only_what_is_left():
    letters = trace_steps(selection, rule="score > 1", diverse_at=0.9)
    assert letters["letters"].inputs[0].name == "texts"
    assert letters["letters"].fingerprint == trace_steps(selection, diverse_at=0.5)["letters"].fingerprint
    model = trace_steps(selection, {"embedder": FAKE}, rule="score > 1", diverse_at=0.9)
    assert model["embed"].inputs[0].title == "select.ledger.remaining_rows"
    assert model["embed"].engine == FAKE


def test_vectors_that_the_pool_has_are_compared_and_nothing_is_embedded():
    made = trace_steps(selection, vectors="mini", diverse_at=0.9)
    assert made["diverse"].knobs["column"] == "mini"
    assert made["given"].title == "pool.vectors"
    assert [name for name in made if "embed" in name or name == "letters"] == []


@pytest.mark.parametrize(
    ("knobs", "engines", "why"),
    [
        ({"count": 3, "tokens": 9.0}, {}, r"count \(rows\) and tokens exclude each other"),
        (
            {"vectors": "mini", "diverse_at": 0.9},
            {"embedder": FAKE},
            r"vectors \(column 'mini'\) and an embedder exclude each other",
        ),
        ({"per": "lang"}, {}, "'per' needs a budget"),
    ],
)
def test_knobs_that_exclude_each_other_are_refused(knobs, engines, why):
    with pytest.raises(RecipeError, match=why):
        trace_steps(selection, engines, **knobs)


def test_each_score_has_its_grader_and_complexity_and_quality_together_give_a_third():
    engines = {"complexity": FAKE, "quality": Spec("fake", "other")}
    made = trace_steps(scoring, engines, trained={"complexity": None, "quality": "q"})
    assert {name: made[name].engine for name in engines} == engines
    assert made["quality"].knobs["question"] == "q"
    assert "annotate.scorer.evol" in {step.title for step in made.values()}
    judged = trace_steps(scoring, {"helpfulness": FAKE}, trained={})
    assert (judged["helpfulness"].title, judged["helpfulness"].knobs["rubric"]) == ("annotate.judge.score", "helpfulness")


def test_without_an_embedder_every_row_of_the_pool_is_embedded_by_its_letters():
    assert trace_steps(embedding)["letters"].title == "annotate.embed.letters"
    assert trace_steps(embedding, {"embedder": FAKE})["embed"].engine == FAKE


def test_one_model_grades_all_or_each_has_its_own():
    one, two = Spec("fake", "a"), Spec("fake", "b")
    assert find_graders(["helpfulness", "quality"], [one], []) == ({"helpfulness": one, "quality": one}, {})
    assert find_graders(["complexity", "quality"], [one, two], ["c", "q"]) == (
        {"complexity": one, "quality": two},
        {"complexity": "c", "quality": "q"},
    )
    with pytest.raises(RecipeError, match=r"2 models for 1 scores \(quality\)"):
        find_graders(["quality"], [one, two], [])
    with pytest.raises(RecipeError, match="no rubric 'complexity' for a judge"):
        find_graders(["complexity"], [one], [])
