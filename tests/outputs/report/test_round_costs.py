"""The cost of each round, from the cards of its steps."""

from attar.outputs.report.round_costs import Round, costs_by_round


def step(name, role=None, trains=None):
    return {"name": name, "marks": {"role": role, "trains": trains}}


def card(rows, seconds, tokens_out=0):
    return {"rows": rows, "seconds": seconds, "spent": {"tokens_out": tokens_out}}


def test_a_rounds_time_is_split_into_writing_judging_training_and_the_rest():
    steps = [
        step("round-1-answers", "answers"),
        step("round-1-scores", "scores"),
        step("round-1-train", trains="pairs"),
        step("round-1-pick", "ranking"),
    ]
    cards = {
        "round-1-answers": card(40, 8.0, tokens_out=900),
        "round-1-scores": card(40, 4.0, tokens_out=70),
        "round-1-train": card(5, 16.0),
        "round-1-pick": card(40, 0.5),
    }
    assert costs_by_round(steps, cards) == [
        Round(1, answers=40, tokens=900, writing=8.0, judging=4.0, training=16.0, seconds=28.5, whole=True)
    ]


def test_several_steps_of_answers_are_added_and_rounds_stand_in_the_order_of_their_numbers():
    names = ["round-10-answers", "round-2-answers-1", "round-2-answers-2"]
    cards = {name: card(rows, 1.0, rows * 10) for name, rows in zip(names, (5, 3, 4), strict=True)}
    found = costs_by_round([step(name, "answers") for name in names], cards)
    assert [(each.number, each.answers, each.tokens) for each in found] == [(2, 7, 70), (10, 5, 50)]


def test_a_round_with_a_step_to_come_is_not_whole_and_counts_what_is_done():
    steps = [step("round-1-answers", "answers"), step("round-1-scores", "scores"), step("round-2-answers", "answers")]
    found = costs_by_round(steps, {"round-1-answers": card(6, 2.0)})
    assert [(each.number, each.answers, each.seconds, each.whole) for each in found] == [(1, 6, 2.0, False), (2, 0, 0.0, False)]


def test_steps_outside_of_rounds_cost_no_round_anything():
    steps = [step("pool"), step("round-up", "answers"), step("last-round-1-answers", "answers")]
    assert costs_by_round(steps, {each["name"]: card(9, 9.0) for each in steps}) == []
