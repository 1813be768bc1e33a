import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from servers.threaded import serving

from attar.engines.base import Reply
from attar.engines.journal import Journal

ATTAR = Path(sys.executable).parent / "attar"
KEY = "sk-secret-of-the-tests"
MINE = """
import polars as pl
from attar.engines.base import Spec
from attar.runtime.flow import recipe
from attar.stages.synth import respond

def questions(*, count: int):
    talks = [[{"role": "user", "content": f"question {i}"}] for i in range(count)]
    return pl.DataFrame({"id": [f"q{i}" for i in range(count)], "messages": talks})

@recipe()
def mine(flow, *, teacher: Spec, count: int = 60):
    return {"answers": flow(respond.sample, flow(questions, count=count), engine=teacher, max_tokens=64)}
"""


async def models(request):
    if request.headers.get("Authorization") != f"Bearer {KEY}":
        return web.json_response({"error": {"message": f"wrong key: {request.headers.get('Authorization')}"}}, status=401)
    return web.json_response({"data": [{"id": "strong-model"}]})


async def chat(request):
    asked = await request.json()
    choice = {"index": 0, "message": {"content": asked["messages"][0]["content"].upper()}, "finish_reason": "stop"}
    return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 1000, "completion_tokens": 500}})


def app():
    made = web.Application()
    made.add_routes([web.get("/v1/models", models), web.post("/v1/chat/completions", chat)])
    return made


@pytest.fixture
def run(tmp_path):
    """Runs a recipe on an engine as a user would: exit code, all that was printed."""
    (tmp_path / "mine.py").write_text(MINE)

    def go(engine, rest="", key=KEY):
        (tmp_path / "mine.yaml").write_text(f"recipe: mine.py\nengines: {{teacher: {engine}}}\n{rest}\n")
        env = {**os.environ, "ATTAR_HOME": str(tmp_path / "home"), "MY_KEY": key, "COLUMNS": "200"}
        command = [str(ATTAR), "run", str(tmp_path / "mine.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60)
        return done.returncode, done.stderr

    return go


def engine(url, **over):
    options = {"kind": "http", "model": "strong-model", "url": url, "key_env": "MY_KEY", **over}
    return "{" + ", ".join(f"{key}: {value!r}" for key, value in options.items()) + "}"


def one_line(code, said):
    """The one line that a user's mistake is told in."""
    told = [line for line in said.splitlines() if line.startswith("attar: ")]
    assert code == 2
    assert len(told) == 1
    assert "Traceback" not in said
    assert KEY not in said
    return told[0]


def test_a_wrong_key_is_one_line_that_does_not_tell_the_key(run):
    with serving(app()) as url:
        told = one_line(*run(engine(url), key=KEY + "-old"))
    assert "refuses this API key (401: wrong key: Bearer ***" in told
    assert "-old" not in told


def test_a_variable_that_is_not_set_is_named(run):
    told = one_line(*run(engine("http://127.0.0.1:1/v1", key_env="NO_SUCH_KEY")))
    assert "the environment variable NO_SUCH_KEY is not set" in told


def test_a_port_where_nobody_listens_is_named(run):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = one_line(*run(engine(f"http://127.0.0.1:{port}/v1")))
    assert f"nothing answers on 127.0.0.1:{port} (connection refused); is the server running, and is this its url?" in told


def test_a_model_that_the_server_does_not_have_is_answered_with_the_nearest(run):
    with serving(app()) as url:
        told = one_line(*run(engine(url, model="strong-mdel")))
    assert "the server has no model 'strong-mdel'; did you mean 'strong-model'?" in told


def test_an_expired_certificate_is_said_to_be_expired(run, tmp_path):
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=tests", "-days", "30")
    openssl("req", *new, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=127.0.0.1")
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "leaf.pem", "-extfile", "names")
    openssl("x509", "-req", "-in", "leaf.csr", *signed, "-days", "-1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "leaf.pem", tmp_path / "leaf.key")
    with serving(app(), context) as url:
        told = one_line(*run(engine(url, ca=str(tmp_path / "ca.pem"))))
    assert "the server's certificate cannot be verified (certificate has expired)" in told


def test_a_mistake_loses_nothing_and_once_mended_the_run_goes_on(run):
    with serving(app()) as url:
        assert run(engine(url))[0] == 0
        one_line(*run(engine(url), rest="knobs: {count: 90}", key="wrong"))
        code, said = run(engine(url), rest="knobs: {count: 90}")
    assert code == 0
    assert "30 asked" in said
    assert "60 from the journal" in said


def test_a_limit_stops_the_run_cleanly_and_a_raised_one_lets_it_go_on(run):
    dear = {"price": {"input": 1.0, "output": 2.0}, "concurrency": 4}  # 0.002 dollars a row
    with serving(app()) as url:
        told = one_line(*run(engine(url, **dear), rest="limits: {cost: 0.05}"))
        assert "the run's limit of 0.05 in cost is reached; all replies so far are kept" in told
        spent = float(told.partition("spent: ")[2].split()[0])
        assert 0.04 <= spent <= 0.05
        code, said = run(engine(url, **dear), rest="limits: {cost: 1.0}")
    assert code == 0
    assert f"{60 - round(spent / 0.002)} asked" in said
    assert "$0.1200" in said


def test_a_limit_on_cost_without_a_price_is_refused(run):
    told = one_line(*run(engine("http://127.0.0.1:1/v1"), rest="limits: {cost: 1}"))
    assert "limits has a cost, but the price of teacher (strong-model) is not known; set `price`" in told


MAGPIE = """
recipe: magpie
engines: {ENGINES}
knobs:
  {count: 80, size: 20, prompt_tokens: 80, answer_tokens: 120, form: pocket, filter: pocket, by: reward, exam: pocket,
   exam_size: 45, train: {epochs: 1, lr: 0.004, batch: 8, max_length: 256},
   pairs: {count: 20, answers: 3, temperature: 2.0}, prefer: {lr: 0.0001, batch: 8, max_length: 256}}
"""
PIKA = """
recipe: pika
engines: {ENGINES}
knobs:
  {count: 40, size: 16, personas: pocket, voice: pocket, answers: 3, temperature: 1.8, rule: reward > 0, prompt_tokens: 80,
   answer_tokens: 120, exam: pocket, exam_size: 45, train: {epochs: 1, lr: 0.004, batch: 8, max_length: 256},
   prefer: {lr: 0.0001, batch: 8, max_length: 256}}
"""


@pytest.mark.parametrize(("text", "first"), [(MAGPIE, "80 asked"), (PIKA, "40 asked")])
def test_both_recipes_run_whole_against_a_real_server(gguf, tmp_path, text, first):
    server = Path(__file__).parents[1] / "servers" / "llama.py"
    engines = f"""
  teacher: {{kind: llamacpp, model: {str(gguf)!r}, command: [{sys.executable!r}, {str(server)!r}], server: {{parallel: 8}}}}
  rewarder: {{kind: local, model: "pocket:rewarder", threads: 1}}
  base: {{kind: local, model: "pocket:base", threads: 1}}
"""
    (tmp_path / "real.yaml").write_text(text.replace(" {ENGINES}", engines))
    env = {**os.environ, "ATTAR_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    for asked in (first, "kept from before"):
        command = [str(ATTAR), "run", str(tmp_path / "real.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=200)
        assert done.returncode == 0, done.stderr
        assert asked in done.stderr
    places = dict(
        line.split(maxsplit=1) for line in done.stdout.splitlines() if line.startswith(("dataset", "report", "model-"))
    )
    assert (Path(places["dataset"]) / "data" / "pairs" / "train.parquet").exists()
    assert "arXiv" in (Path(places["dataset"]) / "README.md").read_text()
    assert Path(places["report"]).exists()
    assert {"model-selected", "model-preferred", "model-random"} <= set(places)


def test_the_doctor_says_that_one_who_draws_lots_cannot_judge(attar):
    printed = attar("doctor", "anyone", "--kind", "fake", "--judge", "--json", code=1)
    assert printed["judge"] == "anyone"
    assert printed["able"]["pairwise"] is False
    assert {line["way"] for line in printed["figures"]} == {"pointwise", "pairwise"}


def test_a_damaged_journal_is_repaired_by_the_command_that_its_error_names(attar, tmp_path):
    path = tmp_path / "home" / "journal.sqlite"
    opened = Journal(path)
    opened.keep(b"k" * 16, Reply(0, "text"))
    opened.close()
    size = path.stat().st_size
    path.write_bytes(b"")
    assert "attar journal --repair --home" in attar("journal", "--home", path.parent, code=2)
    printed = attar("journal", "--repair", "--home", path.parent)
    assert "kept 0 replies" in printed
    assert f"{path}.damaged-1" in printed.replace("\n", "")
    assert attar("journal", "--home", path.parent, "--json")["replies"] == 0
    assert path.stat().st_size <= size
