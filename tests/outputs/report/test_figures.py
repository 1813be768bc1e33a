import polars as pl
import pytest

from attar.outputs.report import figures


def test_a_table_of_figures_is_a_drawing_for_each_figure_with_a_line_for_each_group():
    table = pl.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "figure": ["win rate", "win rate", "length", "length"],
            "model": ["new", "old", "new", "old"],
            "value": [0.6, 0.4, 512.0, None],
            "low": [0.5, 0.3, 500.0, None],
            "high": [0.7, 0.5, 520.0, None],
            "count": [100, 100, 100, 0],
            "judge": ["big", "big", "big", "big"],
            "date": ["2026-01-02"] * 4,
        }
    )
    found = figures.figures("figures", table)
    assert [(figure.name, [(row["group"], row["value"]) for row in figure.lines]) for figure in found.figures] == [
        ("win rate", [("new", 0.6), ("old", 0.4)]),
        ("length", [("new", 512.0)]),  # a figure without a value is not shown as a point
    ]
    assert found.provenance == {"judge": ["big"], "date": ["2026-01-02"]}


def test_groups_are_named_by_what_differs():
    table = pl.DataFrame(
        {
            "id": ["1", "2"],
            "model": ["m", "m"],
            "category": ["math", "code"],
            "value": [0.1, 0.2],
            "low": [0.0, 0.1],
            "high": [0.2, 0.3],
        }
    )
    (found,) = figures.figures("x", table).figures
    assert [(row["series"], row["group"]) for row in found.lines] == [("", "math"), ("", "code")]


def test_of_two_names_the_one_with_fewer_values_is_shown_by_colour():
    cells = [(model, category) for model in ("new", "old", "base") for category in ("math", "code")]
    names = {"model": [model for model, _ in cells], "category": [category for _, category in cells]}
    table = pl.DataFrame({"id": [f"{i}" for i in range(6)], **names, "value": [0.5] * 6, "low": [0.4] * 6, "high": [0.6] * 6})
    (found,) = figures.figures("x", table).figures
    assert [(row["group"], row["series"]) for row in found.lines] == cells
    colours = found.chart["layer"][0]["encoding"]["color"]["scale"]
    assert colours["domain"] == ["math", "code"]
    assert len(set(colours["range"])) == 2


def test_a_group_without_a_name_is_all_of_them():
    table = pl.DataFrame(
        {"id": ["1", "2"], "category": [None, "code"], "value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3]}
    )
    (found,) = figures.figures("x", table).figures
    assert [row["group"] for row in found.lines] == ["all", "code"]


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame({"id": ["a"], "value": [1.0]}),
        pl.DataFrame({"id": ["a"], "value": ["x"], "low": ["x"], "high": ["x"]}),
        pl.DataFrame({"id": ["a"], "value": [None], "low": [None], "high": [None]}, schema_overrides={"value": pl.Float64}),
    ],
)
def test_a_table_that_has_no_figures_is_not_shown(table):
    assert figures.figures("x", table) is None


def test_a_scale_is_of_shares_only_if_every_end_can_be_one():
    assert figures.is_share([{"value": 0.5, "low": 0.0, "high": 1.0}])
    assert not figures.is_share([{"value": 0.5, "low": -0.1, "high": 1.0}])
    assert figures.is_share([{"value": 0.5, "low": None, "high": None}])
