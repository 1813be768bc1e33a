import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from servers_for_tests import Served, good, refused, soon, told

ATTAR = Path(sys.executable).parent / "attar"


OWN_RECIPE = """
import polars as pl

from attar.engines.base import Spec
from attar.runtime.flow import recipe
from attar.stages.synth.respond import sample


def questions(*, count):
    talks = [[{"role": "user", "content": f"say {n}"}] for n in range(count)]
    return pl.DataFrame({"id": [f"n{n}" for n in range(count)], "messages": talks})


@recipe()
def own(flow, *, teacher: Spec, count: int = 60):
    return {"sft": flow(sample, flow(questions, count=count), engine=teacher)}
"""


@pytest.fixture
def attar(tmp_path):
    def go(*words, code=0):
        env = {**os.environ, "ATTAR_HOME": str(tmp_path / "home"), "COLUMNS": "160"}
        done = subprocess.run([str(ATTAR), *map(str, words)], capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.returncode == code, done.stderr + done.stdout
        assert "Traceback" not in done.stderr
        return done

    return go


def test_a_run_from_plan_to_the_story_of_a_row(attar, run_file):
    path = run_file()
    plan = json.loads(attar("plan", path, "--json").stdout)
    assert [line["calls"] for line in plan if line["step"] == "ask"] == [60]
    assert not any(line["done"] for line in plan)
    done = attar("run", path)
    assert "ask" in done.stderr
    assert "60 from the journal" in done.stderr
    assert "sft" in done.stdout
    record = json.loads(attar("run", path, "--json").stdout)
    assert all(line["done"] for line in json.loads(attar("plan", path, "--json").stdout))
    steps = json.loads(attar("status", "try", "--json").stdout)
    assert {line["state"] for line in steps} == {"done"}
    assert steps[-1]["rows"] == 10
    runs = json.loads(attar("status", "--json").stdout)
    assert runs[0]["done"] == runs[0]["steps"] == len(record["steps"])
    story = json.loads(attar("why", "try", "m0-0000004", "--json").stdout)
    assert [chapter["step"] for chapter in story][:3] == ["draws", "ask", "dedup"]
    assert story[1]["engine"] == "teacher"
    assert "kept: True" in attar("why", "try", "m0-0000004").stdout
    assert attar("resume", "try", "-q").stderr == ""
    assert "0 steps" in attar("gc").stdout


def test_the_report_opens_offline_and_holds_the_funnel(attar, run_file, tmp_path):
    attar("run", run_file(), "-q")
    place = Path(attar("report", "try", "-o", tmp_path / "r.html").stdout.strip())
    html = place.read_text()
    assert "From sampled to kept" in html
    assert not re.search(r"""(src|href)=["']?http""", html)
    told = attar("report", "try", "other", code=2).stderr
    assert told == "attar: no run 'other' in " + str(tmp_path / "home") + "; known: try\n"
    assert attar("report", "try", "try.yaml", code=2).stderr.startswith("attar: run 'try' has no scores")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "nowhere.yaml"], "attar: nowhere.yaml does not exist"),
        (["why", "nothing", "x"], "attar: no run 'nothing'"),
        (["status", "nothing"], "attar: no run 'nothing'"),
        (["convert", "nowhere.jsonl", "out.jsonl"], "attar: nowhere.jsonl does not exist"),
        (["doctor", "pocket:techer"], "attar: there is no pocket model 'techer'; did you mean 'teacher'?"),
        (["doctor", "x", "--kind", "locl"], "attar: unknown engine kind 'locl'; did you mean 'local'?"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(attar, words, told):
    done = attar(*words, code=2)
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == 1


def test_a_home_that_cannot_be_written_is_one_line(attar, run_file, tmp_path):
    (tmp_path / "file").write_text("")
    done = attar("run", run_file(), "--home", tmp_path / "file" / "home", code=2)
    assert done.stderr.splitlines()[-1].startswith("attar: Not a directory")


def test_an_id_that_is_not_there_is_named(attar, run_file):
    attar("run", run_file(), "-q")
    assert "has no row 'm0-9999999'" in attar("why", "try", "m0-9999999", code=2).stderr


def test_a_failing_step_says_which_and_why_and_the_rest_is_kept(attar, run_file):
    path = run_file(
        """
        recipe: magpie
        engines:
          teacher: {kind: fake, model: t}
          rewarder: {kind: fake, model: r, faults: 0.9}
        knobs: {count: 60, size: 10, filter: f3}
        """
    )
    done = attar("run", path, code=2)
    assert done.stderr.splitlines()[-1].startswith("attar: step 'score' (annotate.reward.score): ")
    states = {line["step"]: line["state"] for line in json.loads(attar("status", "try", "--json").stdout)}
    assert (states["sample"], states["score"], states["chosen"]) == ("done", "to do", "to do")


def test_the_doctor_looks_the_pocket_teacher_over(attar):
    findings = {line["what"]: line for line in json.loads(attar("doctor", "pocket:teacher", "--json").stdout)}
    assert all(line["good"] for line in findings.values())
    assert findings["prefix"]["told"].startswith("'<|im_start|>user\\n' = [2, ")
    assert findings["stops"]["told"].startswith("'<|im_end|>' (3), ")


def test_rows_that_cannot_be_converted_are_set_aside_with_their_place(attar, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"prompt": "Hi", "response": "Yo"}\nnot json\n{"nothing": 1}\n')
    found = json.loads(attar("convert", "in.jsonl", "out.jsonl", "--json").stdout)
    assert (found["rows"], found["rejected"]) == (1, 2)
    aside = [json.loads(line) for line in (tmp_path / "out.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [(Path(row["file"]).name, row["line"]) for row in aside] == [("in.jsonl", 2), ("in.jsonl", 3)]
    assert json.loads((tmp_path / "out.jsonl").read_text())["messages"][1] == {"role": "assistant", "content": "Yo"}


def test_recipes_are_listed_with_roles_and_knobs(attar):
    found = {line["recipe"]: line for line in json.loads(attar("recipes", "--json").stdout)}
    assert set(found) == {"alma", "deita", "evaluate", "magpie", "pika"}
    assert found["magpie"]["roles"] == {
        "teacher": "needed",
        **dict.fromkeys(("rewarder", "writer", "judge", "embedder", "guard", "base"), "optional"),
    }
    assert found["magpie"]["knobs"]["count"] == 1_000_000
    assert found["pika"]["paper"] == "arXiv:2510.06670"


def test_filters_are_printed_with_their_rules(attar):
    found = {line["filter"]: line for line in json.loads(attar("filters", "--json").stdout)}
    assert set(found) >= {"air", "pro", "f2", "f3", "f4", "f5", "f6", "pika-sft", "pika-dpo"}
    assert "reward > -12" in found["pro"]["rule"]
    assert "quality IN ('good', 'excellent')" in attar("filters").stdout


def test_a_run_with_a_dot_in_its_name_is_found_again(attar, run_file):
    attar("run", run_file(name="my.v2.yaml"), "-q")
    assert len(json.loads(attar("status", "my.v2", "--json").stdout)) == 15
    assert len(json.loads(attar("status", "my.v2.yaml", "--json").stdout)) == 15


def test_a_second_run_file_of_the_same_name_does_not_take_the_firsts_place(attar, run_file, tmp_path):
    attar("run", run_file(), "-q")
    other = tmp_path / "other"
    other.mkdir()
    (other / "try.yaml").write_text(run_file().read_text())
    assert "rename this run file" in attar("run", other / "try.yaml", code=2).stderr


def test_retry_asks_the_failed_rows_of_a_run_again(attar, run_file, tmp_path):
    down = {f"say {n}" for n in (3, 44)}

    async def speak(asked):
        return refused(500) if told(asked) in down else good(asked)

    server = Served(speak)
    (tmp_path / "own.py").write_text(OWN_RECIPE)
    text = f"recipe: own.py\nengines:\n  teacher: {{kind: http, model: m, url: '{server.url}', tries: 1}}\n"
    attar("run", path := run_file(text), "-q")
    steps = {line["step"]: line for line in json.loads(attar("status", path, "--json").stdout)}
    assert (steps["sample"]["failed"], steps["sample"]["transient"]) == (2, 2)
    down.clear()
    asked = len(server.posted)
    attar("retry", path, "-q")
    assert sorted(map(told, server.posted[asked:])) == ["say 3", "say 44"]
    steps = {line["step"]: line for line in json.loads(attar("status", path, "--json").stdout)}
    assert (steps["sample"]["failed"], steps["sample"]["transient"]) == (0, 0)
    server.stop()


def test_ctrl_c_says_how_to_go_on(attar, run_file, tmp_path):
    import signal
    import time

    path = run_file(run_file().read_text().replace("model: teacher", "model: teacher, delay: 0.1"))
    child = subprocess.Popen(
        [str(ATTAR), "run", str(path), "--home", str(tmp_path / "home")], stderr=subprocess.PIPE, text=True
    )
    assert soon(lambda: list((tmp_path / "home" / "steps").glob("magpie.ask-*")), seconds=60)
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=20)
    assert child.returncode == 130
    assert told.splitlines()[-1] == "attar: stopped; run the same command to continue"


def test_a_report_of_a_run_that_kept_nothing_is_still_a_report(attar, run_file, tmp_path):
    path = run_file(run_file().read_text().replace("size: 10", "size: 10, rule: reward > 1000"))
    attar("run", path, "-q")
    assert "From sampled to kept" in Path(tmp_path / attar("report", "try").stdout.strip()).read_text()


def test_the_doctor_finds_that_a_base_is_no_teacher(attar):
    findings = {line["what"]: line for line in json.loads(attar("doctor", "pocket:base", "--json", code=1).stdout)}
    assert not findings["sampling"]["good"]
    assert "base model" in findings["sampling"]["told"]


def test_magpie_with_a_teacher_alone_goes_from_plan_to_report_and_says_what_rows_are_kept_by(attar, run_file, tmp_path):
    path = run_file(
        """
        recipe: magpie
        engines:
          teacher: {kind: fake, model: teacher}
        knobs: {count: 60, size: 10, filter: f3}
        """
    )
    said = "nothing scores the answers: the first answer stands"
    assert said in attar("plan", path).stdout
    assert said in attar("run", path).stdout
    page, card = ((tmp_path / "home" / "runs" / name).read_text() for name in ("try.html", "try.dataset/README.md"))
    assert page.count("Rows are kept by: rule repeat_of IS NULL") == 1
    assert "the 10 longest answers; " + said in page
    assert "filter&#39;s reward &gt; -12, for FsfairX-LLaMA3-RM, is left out" in page
    assert said in card
    assert not any(
        "reward" in step["stage"] for step in json.loads((tmp_path / "home" / "runs" / "try.json").read_text())["steps"]
    )
