import subprocess
import sys
from pathlib import Path

import pytest

from attar.core.errors import EngineError, RecipeError
from attar.core.table import part_span, parts, read
from attar.engines.base import Request, Spec, in_order
from attar.engines.doctor.engine import examine
from attar.engines.journal import Journal
from attar.engines.journaling import Journaled
from attar.engines.registry import KINDS, Kind, find_kind, identity_of, kind_of, open_engine, register
from attar.runtime.run_file import read_run_file

ECHO = """
from attar.engines.base import Reply
from attar.engines.registry import Kind


class Echo:
    def __init__(self, spec):
        self.spec = spec

    def identity(self):
        return self.spec.model

    def close(self):
        pass

    def generate(self, requests):
        for request in requests:
            yield Reply(request.index, f"{self.spec.model}: " + request.messages[-1]["content"], "stop")


KIND = Kind(open=Echo, verbs=("generate",), ahead=2, shard=3)
"""
RECIPE = """
import polars as pl

from attar.runtime.flow import recipe
from attar.stages.synth import respond
from attar.engines.base import Spec


def prompts():
    talks = [[{"role": "user", "content": f"say {n}"}] for n in range(7)]
    return pl.DataFrame({"id": [f"p{n}" for n in range(7)], "messages": talks, "prompt": [f"say {n}" for n in range(7)]})


@recipe()
def said(flow, *, teacher: Spec):
    return {"out": flow(respond.sample, flow(prompts), engine=teacher, max_tokens=8)}
"""
RUN = "recipe: said.py\nengines:\n  teacher: {kind: echo.py, model: parrot}\n"
ATTAR = Path(sys.executable).parent / "attar"


@pytest.fixture
def place(tmp_path):
    """A folder with a kind of engine, a recipe and a run file of a user's."""
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "said.py").write_text(RECIPE)
    (tmp_path / "try.yaml").write_text(RUN)
    return tmp_path


def attar(place, *words):
    done = subprocess.run([str(ATTAR), *words], capture_output=True, text=True, cwd=place)
    assert "Traceback" not in done.stderr
    return done


def answers(place):
    file = read_run_file(place / "try.yaml")
    return read(next((place / "home" / "steps").glob("respond.sample-*")))["response"].to_list() if file else []


def test_a_kind_in_one_file_of_the_users_runs_like_any_other(place):
    done = attar(place, "run", "try.yaml", "--home", "home")
    assert done.returncode == 0, done.stderr
    assert answers(place) == [f"parrot: say {n}" for n in range(7)]
    made = parts(next((place / "home" / "steps").glob("respond.sample-*")))
    assert [part_span(path) for path in made] == [(0, 3), (3, 6), (6, 7)]  # its own shard: three rows


def test_replies_of_changed_code_are_not_replayed_and_those_of_the_same_version_are(place):
    def asked(code):
        (place / "echo.py").write_text(code)
        out = attar(place, "run", "try.yaml", "--home", "home").stderr
        line = next(line for line in out.splitlines() if " sample " in line)
        return "7 asked" in line

    first, louder = ECHO, ECHO.replace('}: "', '}! "')
    assert asked(first)
    assert not asked(first.replace("pass", "pass  # nothing to close"))
    assert asked(louder)
    assert asked(ECHO.replace("shard=3", "shard=3, version='1'"))
    assert not asked(ECHO.replace("shard=3", "shard=3, version='1'").replace('}: "', '}! "'))


def test_a_doctor_tries_what_the_kind_promises_and_is_content_with_that(place):
    done = attar(place, "doctor", "try.yaml:teacher")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "chat" in done.stdout
    assert "embeddings" not in done.stdout
    findings = list(examine(Spec(find_kind("echo.py", place), "parrot")))
    assert [(finding.what, finding.good) for finding in findings] == [("identity", True), ("chat", True)]


def test_what_an_engine_cannot_do_is_one_line(place, tmp_path):
    engine = Journaled(open_engine(Spec(find_kind("echo.py", place), "parrot")), Journal(tmp_path / "j.sqlite"))
    with pytest.raises(EngineError, match="parrot cannot embed: engines of this kind generate"):
        list(engine.embed([Request(0, text="a")]))
    with pytest.raises(EngineError, match="no chat template"):
        _ = engine.template


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (ECHO.replace('verbs=("generate",)', 'verbs=("generate", "embed")'), "Echo has no 'embed'"),
        (ECHO.replace('verbs=("generate",)', 'verbs=("write",)'), "unknown verb 'write' in a Kind's verbs; .*'generate' now"),
        (ECHO.replace('verbs=("generate",)', 'verbs=("weight",)'), "unknown verb 'weight' .*did you mean 'weigh'"),
        (ECHO.replace("def generate", "def write"), "Echo has no 'generate'"),
        (ECHO.replace("def close", "def shut"), "Echo has no 'close'"),
        ("KIND = 1\n", "has 0 engine kinds"),
        (ECHO + "OTHER = KIND\n", "has 2 engine kinds .*name one as"),
        ("import nowhere_to_be_found\n", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_is_wrong_with_a_kind_is_one_line_that_names_its_file(place, code, why):
    (place / "odd.py").write_text(code)
    with pytest.raises((EngineError, RecipeError), match=why) as caught:
        open_engine(Spec(find_kind("odd.py", place), "m"))
    assert "odd.py" in str(caught.value)


def test_a_file_that_is_not_there_and_a_misspelt_kind_are_named_with_the_role(place):
    for kind, why in (("eco.py", "'teacher'.*eco.py of an engine kind does not exist"), ("htp", "did you mean 'http'")):
        (place / "try.yaml").write_text(RUN.replace("echo.py", kind))
        with pytest.raises(RecipeError, match=why):
            read_run_file(place / "try.yaml")


def test_a_kind_is_added_in_a_program_under_a_name_of_its_own(monkeypatch):
    from attar.engines.fake import Fake

    monkeypatch.setattr("attar.engines.registry.KINDS", dict(KINDS))
    register("mine", Kind(open=Fake, verbs=("generate",), version="1"))
    engine = open_engine(Spec("mine", "m"))
    assert in_order(engine.generate([Request(0, text="a")]), 1)[0].error is None
    assert identity_of(engine) != engine.identity()
    with pytest.raises(EngineError, match="already"):
        register("fake", Kind(open=Fake))


def test_a_kind_without_a_file_needs_a_version(monkeypatch):
    monkeypatch.setattr("attar.engines.registry.KINDS", dict(KINDS))
    with pytest.raises(EngineError, match="needs a `version`"):
        register("made", Kind(open=eval("lambda spec: None", {"__name__": "nowhere"})))


SPECS = {
    "http": Spec("http", "m", {"url": "http://127.0.0.1:9/v1"}),
    "batch": Spec("batch", "m", {"url": "http://127.0.0.1:9/v1"}),
    "vllm": Spec("vllm", "pocket:teacher"),
    "sglang": Spec("sglang", "pocket:teacher"),
    "llamacpp": Spec("llamacpp", "model.gguf"),
    "local": Spec("local", "pocket:teacher"),
    "fake": Spec("fake", "m"),
}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_ours_has_what_its_entry_promises_and_opens_without_loading_anything(name):
    engine = open_engine(SPECS[name])
    kind = kind_of(engine.spec)
    assert {"http": 4, "vllm": 4, "sglang": 4, "llamacpp": 4, "batch": 16}.get(name, 1) == kind.ahead
    assert (name in ("local", "vllm", "sglang")) == (kind.trainable_as == "transformers")
    assert identity_of(engine) == engine.identity()  # keys of the journal: ours have no version in them
    engine.close()
