"""What all commands share: names of runs, values for programs, and a stop that says how to go on."""

import json

import pytest
import typer

from attar.cli.app import print_value, report_progress, run_name


@pytest.mark.parametrize("given", ["my.v2", "my.v2.yaml", "my.v2.yml", "runs/of/mine/my.v2.yaml"])
def test_a_run_is_named_by_itself_or_by_its_file(given):
    assert run_name(given) == "my.v2"


def test_programs_get_one_line_of_json_with_every_letter_as_it_is(capsys):
    print_value({"said": "Grüße\n日本", "n": None}, True, pytest.fail)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "Grüße" in out
    assert json.loads(out) == {"said": "Grüße\n日本", "n": None}


def test_a_stop_is_code_130_and_says_that_the_same_command_goes_on(capsys):
    with pytest.raises(typer.Exit) as ended, report_progress(None):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    err = capsys.readouterr().err
    assert err.startswith("attar: stopped; ")
    assert "the same command" in err
    assert err.count("\n") == 1


def test_a_fault_is_passed_on_as_it_is(capsys):
    with pytest.raises(ValueError, match="mine"), report_progress(None):
        raise ValueError("mine")
    assert capsys.readouterr().err == ""
