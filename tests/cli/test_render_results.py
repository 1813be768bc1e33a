"""How a run's results look on a terminal."""

import polars as pl
import pytest

from attar.cli import render_results


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def figure(name, value=0.5, **more):
    line = {"id": name, "figure": name, "value": value, "low": value - 0.1, "high": value + 0.1, "count": 1200}
    return line | {"judge": None, "order": None} | more


def printed(capsys):
    return [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]


def test_scores_have_a_line_for_each_arm_and_the_first_leads_the_others(capsys):
    rows = [
        {"arm": arm, "level": level, "accuracy": right, "low": right - 0.1, "high": right + 0.1}
        | {"lead": 0.25, "lead_low": -0.05, "lead_high": 0.55}
        for arm, both in {"selected": (0.75, 0.5), "random": (0.5, 0.25)}.items()
        for level, right in zip(("all", "hard"), both, strict=True)
    ]
    render_results.print_scores(pl.DataFrame(rows))
    _, first, second = printed(capsys)
    assert first == ["selected", "75.0%", "65.0", "to", "85.0", "50.0%"]
    assert second == ["random", "50.0%", "40.0", "to", "60.0", "25.0%", "+25.0", "(-5.0", "to", "+55.0)"]


def test_only_what_differs_names_a_figure(capsys):
    lines = [figure("win_rate", model=model, prompt="same") for model in ("new", "old")]
    render_results.print_figures(lines)
    head, *rows = printed(capsys)
    assert head[:3] == ["model", "figure", "value"]
    assert rows == [[model, "win_rate", "0.500", "0.400", "to", "0.600", "1,200"] for model in ("new", "old")]


def test_a_long_table_is_cut_and_the_rest_is_counted(capsys):
    render_results.print_figures([figure(f"f{place:02d}") for place in range(30)])
    out = capsys.readouterr().out
    assert [f"f{place:02d}" in out for place in range(30)] == [True] * 24 + [False] * 6
    assert "and 6 more lines" in out


def test_every_judge_is_named_once_with_the_order_it_read_in(capsys):
    judges = [("big", "both"), ("big", "both"), ("[small]", None)]
    render_results.print_figures([figure("score", judge=judge, order=order) for judge, order in judges])
    assert "judged by [small] (one answer at a time); big (both)" in capsys.readouterr().out


def test_a_figure_that_is_not_there_is_a_dash_without_an_interval():
    nothing = {"value": None, "low": None, "high": None}
    assert [render_results.format_number(line) for line in (None, nothing, {"value": 12.345})] == ["-", "-", "12.3"]
    assert [render_results.format_interval(line) for line in (None, nothing, {"low": 1, "high": 2.31})] == [
        "",
        "",
        "1.0 to 2.3",
    ]
