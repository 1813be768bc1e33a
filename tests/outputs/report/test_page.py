"""The page as a file: where it is written, and that it holds all that its places need and nothing unfinished."""

import polars as pl

from attar.outputs.report.page import write_report


def test_a_page_lies_beside_its_runs_under_their_names(home, made, scored):
    for name, right in (("one", 120), ("two", 130)):
        made(name, {"scores": scored({"selected": right, "random": 100})})
    assert write_report(home, "one") == home.runs / "one.html"
    assert write_report(home, "one", "two") == home.runs / "one+two.html"
    assert (home.runs / "one+two.html").read_text().startswith("<!doctype html>")


def test_a_page_is_written_where_it_is_asked_for_and_its_folder_is_made(home, made, scored, tmp_path):
    made("one", {"scores": scored({"selected": 120, "random": 100})})
    target = tmp_path / "new" / "folder" / "r.html"
    assert write_report(home, "one", out=target) == target
    assert target.exists()
    assert not (home.runs / "one.html").exists()


def test_every_place_has_its_chart_and_every_chart_its_place(made, scored, page, small_run):
    made("one", {"scores": scored({"selected": 120, "random": 100}), "sft": "chosen"}, small_run)
    found = page("one")
    assert len(found.places) >= 2
    assert sorted(found.places) == sorted(found.charts)


def test_a_result_that_is_not_finished_has_no_section(made, page):
    ledger = pl.DataFrame({"id": ["a", "b"], "step": [None, "read"], "reason": [None, "no text of its own"]})
    made("one", {"ledger": ledger})
    assert "no text of its own" in page("one").text
    made("two", {"ledger": "later"}, [{"name": "later", "stage": "x.later", "todo": True}])
    found = page("two")
    assert "no text of its own" not in found.text
    assert "two" in found.text


def test_texts_of_a_run_are_shown_and_never_run(made, page):
    made("one", {}, note="<script>alert(1)</script>")
    found = page("one")
    assert "<script>alert(1)</script>" in found.text
    assert "<script>alert(1)</script>" not in found.html
