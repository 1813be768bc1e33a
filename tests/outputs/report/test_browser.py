"""The page in a real browser: every chart drawn, no word on its console, nothing run or fetched that is not its own."""

import json
import re
import shutil
import subprocess

import numpy as np
import polars as pl
import pytest

from attar.outputs.report.charts import LOOKS
from attar.outputs.report.page import write_report
from attar.stages import pairs
from attar.stages.evaluate.judging import agreement

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\"> {{ 7 * 7 }} <b>"
LIGHT, DARK = "preferredColorScheme=1", "preferredColorScheme=0"


@pytest.fixture
def whole(made, scored, small_run):
    """A run that has something for every section, and texts that would break out if they could."""
    for step in small_run:
        if "prompt" in step["table"].columns:
            step["table"] = step["table"].with_columns(prompt=pl.format("{} {}", "prompt", pl.lit(EVIL)))
    curve = pl.DataFrame({"id": ["s1", "s2"], "step": [1, 2], "loss": [2.0, 1.0]})
    small_run.append(
        {"name": "train-new", "stage": "train.sft.train", "table": curve, "engine": "base", "card": {"seconds": 3.0}}
    )
    answers = pl.DataFrame(
        {
            "id": ["p.0", "p.1", "q.0", "q.1"],
            "parent": ["p", "p", "q", "q"],
            "messages": [[{"role": "user", "content": EVIL}]] * 4,
            "prompt": [EVIL] * 4,
            "response": ["a long answer", EVIL, "yes", "no, never"],
            "reward": [2.0, 1.0, 3.0, 0.5],
        }
    )
    drawn = pairs.choose(answers)
    gold = np.linspace(0, 10, 8)
    rated = pl.DataFrame({"id": [f"r{i}" for i in range(8)], "rating": gold, "score": gold, "parent": list("aabbccdd")})
    figures = pl.DataFrame({"id": ["a"], "figure": [EVIL], "model": [EVIL], "value": [0.5], "low": [0.4], "high": [0.6]})
    results = {
        "sft": "chosen",
        "scores": scored({f"round-{n}": 20 * n for n in (3, 1, 2)} | {"<i>": 5}),
        "pairs": drawn,
        "audit": pairs.audit(drawn),
        "agreement": agreement.side_by_side(rated, names=[EVIL], score="rating", gold="score", of="parent", bootstrap=10),
        "reliability": agreement.reliability(rated, score="rating", gold="score"),
        "figures": figures,
    }
    return made("<b>&", results, small_run)


def opened(place, folder, scheme):
    """The page as a browser has it once its script has run, and what it said on its console."""
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=10000")
    where = (f"--user-data-dir={folder}", f"--blink-settings={scheme}", "--host-resolver-rules=MAP * ~NOTFOUND")
    command = [str(BROWSER), *flags, *where, "--dump-dom", f"file://{place}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome is installed")
@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_browser_draws_every_chart_and_says_nothing(whole, home, tmp_path, scheme):
    place = write_report(home, whole)
    dom, console = opened(place, tmp_path / "browser", scheme)
    assert console == []
    names = re.findall(r'class="chart[^"]*" id="chart-([^"]+)"', dom)
    assert {"curve", "arms", "funnel", "map", "reliability", "loss-1", "time", "distribution-reward", "pairs-1"} <= set(names)
    assert len(names) == len(set(names))
    assert len(re.findall(r'<svg[^>]*class="marks"', dom)) == len(names)
    assert "taken" not in re.search(r"<title>(.*?)</title>", dom, re.DOTALL)[1]
    assert "{{ 7 * 7 }}" in dom
    assert place.stat().st_size < 5e6


def test_the_page_loads_nothing_and_a_rows_text_is_only_text(whole, page):
    shown = page(whole)
    assert shown.html.count("<script") == shown.html.count("</script") == 2  # the data, and the code
    assert not [tag for tag, _ in shown.tags if tag in ("img", "link", "iframe", "object", "i")]
    assert not [attrs for _, attrs in shown.tags if "src" in attrs or not attrs.get("href", "#").startswith("#")]
    assert EVIL in shown.text
    assert not re.search(r"@import|url\(", re.search(r"<style>(.*?)</style>", shown.html, re.DOTALL)[1])


def test_every_colour_is_one_of_the_pages_own(whole, page):
    shown = page(whole)
    used = set(re.findall(r"var\((--[\w-]+)\)", json.dumps([shown.charts, LOOKS])))
    assert {"--rose", "--bar", "--line", "--soft"} <= used
    assert used <= set(re.findall(r"(--[\w-]+): light-dark", shown.html))
    assert not re.search(r'"#[0-9a-f]{3,6}"', json.dumps([shown.charts, LOOKS]))


def test_every_place_has_its_chart_and_every_chart_its_place(whole, page):
    shown = page(whole)
    assert sorted(shown.places) == sorted(shown.charts)


def test_a_report_is_the_same_whenever_it_is_written(whole, home, tmp_path):
    one, two = (write_report(home, whole, out=tmp_path / name).read_text() for name in ("one.html", "two.html"))
    assert one == two


def test_an_unfinished_run_has_a_report_too(made, page, small_run):
    made("one", {"sft": "chosen", "scores": None}, [*small_run[:-1], small_run[-1] | {"todo": True}])
    assert "This run has no result yet." in page("one").text


def test_a_ledger_of_a_pool_is_shown_as_a_funnel(made, page):
    ledger = pl.DataFrame(
        {
            "id": list("abc"),
            "kept": [True, False, True],
            "step": [None, "dedup", None],
            "reason": [None, "repeats a prompt", None],
        }
    )
    made("one", {"ledger": ledger}, recipe="select")
    shown = page("one")
    funnel = next(rows for rows in shown.tables if rows[0][:2] == ["step", "left"])
    assert funnel[1] == ["dedup", "2", "1", "1 repeats a prompt"]
    assert "funnel" in shown.charts
