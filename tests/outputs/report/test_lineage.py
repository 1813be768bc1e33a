import polars as pl

from attar.outputs.report import funnel


def table(ids, **columns):
    return pl.DataFrame({"id": list(ids), **columns})


def step(name, stage, rows, *inputs, **columns):
    return {"name": name, "stage": stage, "table": table(rows, **columns), "inputs": list(inputs)}


def level_rows(line):
    return [(level.name, level.rows) for level in line.levels]


def test_a_line_has_the_steps_its_rows_came_through_and_no_verdicts_or_arms_beside(line, small_run):
    beside = {"name": "control", "stage": "select.keep.rows", "inputs": ["good", "best"]}
    found = line([*small_run, beside], "chosen")
    assert level_rows(found) == [("draws", 6), ("ask", 6), ("fresh", 5), ("score", 5), ("good", 4), ("chosen", 2)]
    assert found.kept == {"c", "f"}


def test_a_row_has_the_first_reason_that_dropped_it(line, small_run):
    found = line(small_run, "chosen")
    assert found.reasons(["a", "b", "c", "e"]) == {
        "b": "repeats a prompt",
        "e": "not: reward > 0",
        "a": "rank 3 by reward, 2 kept",
    }


def test_of_a_pool_that_is_judged_twice_the_first_reason_counts(line):
    def judged(name, why):
        verdict_rows = table("ab", kept=[True, False], reason=[None, why])
        return {"name": name, "stage": "x.pick", "table": verdict_rows, "inputs": ["pool"]}

    steps = [
        step("pool", "x.read", "ab"),
        judged("round-2-pick", "another is picked"),
        judged("round-3-pick", "used before"),
        step("round-2-rows", "select.keep.rows", "a", "pool", "round-2-pick"),
        step("round-3-rows", "select.keep.rows", "a", "pool", "round-3-pick"),
        step("end", "select.keep.concat", "a", "round-2-rows", "round-3-rows"),
    ]
    assert line(steps, "end").reasons(["b"]) == {"b": "another is picked"}


def test_rounds_beside_each_other_are_one_level_and_their_rows_are_counted_together(line):
    steps = [
        step("pool", "x.read", "abcd"),
        step("round-2-picked", "x.pick", "ab", "pool"),
        step("round-3-picked", "x.pick", "c", "pool"),
        step("rows", "select.keep.concat", "abc", "round-2-picked", "round-3-picked"),
    ]
    assert level_rows(line(steps, "rows")) == [("pool", 4), ("round-n-picked", 3), ("rows", 3)]


def test_steps_behind_each_other_are_never_one_level_whatever_their_names(line):
    steps = [
        step("fresh-2", "x.first", "abcd"),
        step("fresh-3", "x.second", "ab", "fresh-2"),
        step("end", "x.y", "a", "fresh-3"),
    ]
    assert level_rows(line(steps, "end")) == [("fresh-2", 4), ("fresh-3", 2), ("end", 1)]


def test_a_prompt_is_kept_if_an_answer_to_it_is(line):
    steps = [step("ask", "x.ask", "pq"), step("answers", "x.answer", ["p.0", "p.1"], "ask", parent=["p", "p"])]
    assert line(steps, "answers").kept == {"p", "p.0", "p.1"}


def test_a_result_that_is_not_there_yet_has_no_line(line, small_run):
    assert line([*small_run[:-1], small_run[-1] | {"todo": True}], "chosen") is None


def test_the_funnel_shows_what_each_step_left_and_why_it_dropped_rows(line, small_run):
    stands = funnel.funnel_steps(line(small_run, "chosen"))
    assert [(stand.name, stand.rows, stand.dropped, list(stand.reasons)) for stand in stands] == [
        ("draws", 6, 0, []),
        ("fresh", 5, 1, [("repeats a prompt", 1)]),
        ("good", 4, 1, [("not: reward > 0", 1)]),
        ("chosen", 2, 2, [("rank by reward, 2 kept", 2)]),  # the ranks 3 and 4 are one reason
    ]


def test_reasons_that_differ_by_one_rows_own_numbers_are_one(line):
    by_id = {
        "a": "cosine 0.951 with a kept row",
        "b": "cosine -0.20 with a kept row",
        "c": "overlaps mt_bench item 81: 13 words",
    }
    by_id |= {"d": "overlaps mt_bench item x y", "e": "not: reward > 3.5", "f": "not: reward > 4.5", "g": None}
    reasons = pl.Series("reason", list(by_id.values()))
    judged = table(by_id, kept=[why is None for why in by_id.values()]).with_columns(reasons)
    steps = [
        step("pool", "x.read", by_id),
        {"name": "judged", "stage": "x.y", "table": judged},
        step("end", "select.keep.rows", "g", "pool", "judged"),
    ]
    assert dict(funnel.funnel_steps(line(steps, "end"))[-1].reasons) == {
        "cosine with a kept row": 2,
        "overlaps mt_bench": 2,
        "not: reward > 3.5": 1,
        "not: reward > 4.5": 1,
    }


def test_a_bar_is_as_long_as_the_rows_before_a_step_unless_a_pool_was_judged_over_and_over():
    stands = [
        funnel.FunnelStep("pool", 10, 0, []),
        funnel.FunnelStep("once", 7, 3, []),
        funnel.FunnelStep("each-round", 6, 15, []),
    ]
    assert [(bar["rows"], bar["before"]) for bar in funnel.bars(stands)] == [(10, 10), (7, 10), (6, 6)]


def test_a_ledger_is_a_funnel_too():
    ledger = pl.DataFrame(
        {
            "id": list("abcde"),
            "kept": [True, False, False, False, True],
            "step": [None, "read", "dedup", "dedup", None],
            "reason": [None, "no text", "repeats a prompt", "repeats a prompt", None],
        }
    )
    assert [(stand.name, stand.rows, list(stand.reasons)) for stand in funnel.ledger_steps(ledger)] == [
        ("pool", 5, []),
        ("read", 4, [("no text", 1)]),
        ("dedup", 2, [("repeats a prompt", 2)]),
    ]
