from engines_for_tests import Scripted
from pair_judges_for_tests import good, picks_second

from attar.api.judge_check import check_judge
from attar.cli.render_judge import print_judge_check
from attar.stages.evaluate.judging.judge_check import plain


def test_the_verdict_on_each_way_is_a_line_with_what_to_do(capsys, monkeypatch):
    monkeypatch.setattr("attar.cli.render_judge.console.width", 160, raising=False)
    print_judge_check(plain(check_judge(Scripted(picks_second))))
    out = capsys.readouterr().out
    assert "scripted by rating answers one by one: able" in out
    assert "scripted by comparing two answers: unable: its two orders disagree in 100% of pairs (at most 40%)" in out
    assert "unless the knob force_judge is true" in out


def test_an_able_judge_needs_nothing_done(capsys):
    print_judge_check(plain(check_judge(Scripted(good))))
    out = capsys.readouterr().out
    assert out.count(": able") == 2
    assert "what to do" not in out
