"""The page as a file: where it is written, and that it holds all that its places need and nothing unfinished."""

from functools import partial

import polars as pl
from at_once_for_tests import kill_in, only_locked_out, put_foreign, run_on_full_disk, run_together, unchanged

from attar.outputs.report.page import is_complete, write_report


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


def test_two_at_once_give_one_whole_page_or_one_clear_line(home, made, scored):
    for name, right in (("one", 120), ("two", 130)):
        made(name, {"scores": scored({"selected": right, "random": 100})})
    target = home.runs / "page.html"
    whole = {write_report(home, name).read_bytes() for name in ("one", "two")}
    foreign = put_foreign(target)
    for results in run_together(*(partial(write_report, home, name, out=target) for name in ("one", "two"))):
        assert only_locked_out(results)
        assert target.read_bytes() in whole
    assert unchanged(foreign)
    assert len(list(home.runs.glob("*page.html*"))) == 1 + len(foreign)


def test_a_page_that_was_killed_or_met_a_full_disk_leaves_the_old_one(home, made, scored):
    made("one", {"scores": scored({"selected": 120, "random": 100})})
    old = write_report(home, "one").read_bytes()
    known = sorted(home.runs.iterdir())
    kill_in("attar.core.atomic.move_into_place", partial(write_report, home, "one"))
    assert (home.runs / "one.html").read_bytes() == old
    assert "File too large" in run_on_full_disk(partial(write_report, home, "one"), len(old) // 2)
    assert (home.runs / "one.html").read_bytes() == old
    write_report(home, "one")
    assert sorted(home.runs.iterdir()) == known


def test_a_page_without_its_end_is_not_complete(home, made, scored):
    made("one", {"scores": scored({"selected": 120, "random": 100})})
    page = write_report(home, "one")
    assert is_complete(page)
    page.write_bytes(page.read_bytes()[:-9])
    assert not is_complete(page)
    assert not is_complete(home.runs / "none.html")
