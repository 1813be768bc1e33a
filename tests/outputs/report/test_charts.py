"""Charts are plain data in the style of the page that holds them."""

import json
import re
from pathlib import Path

import altair as alt

from attar.outputs.report import charts

CSS = Path(charts.__file__).with_name("page.css")


def test_a_drawing_is_plain_data_with_its_rows_its_size_and_its_words():
    rows = [{"name": "a", "rows": 3}, {"name": "b", "rows": 5}]
    spec = charts.drawing(charts.chart_of(iter(rows)).mark_bar().encode(x="rows:Q"), "Two bars", width=200, height=60)
    assert json.loads(json.dumps(spec)) == spec
    assert [row for data in spec["datasets"].values() for row in data] == rows
    assert (spec["description"], spec["width"], spec["height"]) == ("Two bars", 200, 60)


def test_a_drawing_has_no_style_of_its_own_as_the_page_has_it_once():
    layered = alt.layer(charts.chart_of([{"x": 1}]).mark_bar(), charts.chart_of([{"x": 2}]).mark_rule())
    assert {"config", "$schema"} <= set(layered.to_dict())
    assert not {"config", "$schema"} & set(charts.drawing(layered, "Bars"))


def test_every_colour_is_one_that_the_page_defines():
    defined = set(re.findall(r"(--[\w-]+)\s*:", CSS.read_text()))
    named = re.findall(r"var\((--[\w-]+)\)", json.dumps([charts.LOOKS, charts.HUES, charts.PAPER, charts.SOFT]))
    assert len(named) > 10
    assert set(named) <= defined


def test_a_series_is_told_from_another_by_its_colour():
    assert len(set(charts.HUES)) == len(charts.HUES) == 6


def test_a_chart_grows_with_its_lines_and_is_never_flat():
    assert charts.height_of(4) == 4 * charts.height_of(1)
    assert charts.height_of(3, each=10) == 30
    assert charts.height_of(0) == charts.height_of(1) > 0
