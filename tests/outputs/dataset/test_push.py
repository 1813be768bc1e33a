import base64
import json
import os
import subprocess
import sys

import pytest
from aiohttp import web
from servers.threaded import serving

from attar.outputs.dataset.push import folder_of
from attar.runtime.home import Home, write_json

TOKEN = "hf_" + "a1" * 17
CODE = "import attar.cli.dataset; from attar.cli.main import main; main()"


class Hub:
    """A stand-in for the Hub, as far as its client asks: repositories, commits, and large files by LFS."""

    def __init__(self, large=(), status=200, public=False):
        self.large, self.status, self.public = large, status, public
        self.asked, self.tokens, self.files, self.repo = [], [], {}, {}
        self.app = web.Application(client_max_size=2**26)
        self.app.router.add_route("*", "/{path:.*}", self.answer)

    async def answer(self, request):
        path = "/" + request.match_info["path"]
        self.asked.append(f"{request.method} {path}")
        self.tokens.append(request.headers.get("Authorization"))
        body = await request.read()
        if self.status != 200:
            said = f"no, and {request.headers.get('Authorization')} is shown"
            return web.json_response({"error": said}, status=self.status, headers={"X-Error-Message": said})
        for end, reply in (
            ("/api/repos/create", self.create),
            ("/api/validate-yaml", lambda request, body: web.json_response({"errors": [], "warnings": []})),
            ("/preupload/main", self.preupload),
            ("/objects/batch", self.batch),
            ("/commit/main", self.commit),
        ):
            if path.endswith(end):
                return reply(request, body)
        if path.startswith("/upload/"):
            self.files[path.removeprefix("/upload/")] = body
            return web.Response()
        return web.json_response({"id": "me/data", "private": not self.public, "sha": "0" * 40, "tags": []})

    def create(self, request, body):
        self.repo = json.loads(body)
        return web.json_response({"url": f"http://{request.host}/datasets/me/data"})

    def preupload(self, request, body):
        names = [file["path"] for file in json.loads(body)["files"]]
        modes = ["lfs" if name.endswith(tuple(self.large)) and self.large else "regular" for name in names]
        files = [
            {"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": None}
            for name, mode in zip(names, modes, strict=True)
        ]
        return web.json_response({"files": files})

    def batch(self, request, body):
        objects = [
            {**one, "authenticated": True, "actions": {"upload": {"href": f"http://{request.host}/upload/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        return web.json_response({"transfer": "basic", "objects": objects})

    def commit(self, request, body):
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            if line["key"] == "lfsFile":
                self.files[line["value"]["path"]] = self.files.pop(line["value"]["oid"])
        return web.json_response(
            {"commitUrl": f"http://{request.host}/datasets/me/data/commit/{'1' * 40}", "commitOid": "1" * 40}
        )


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "home" / "runs" / "try.dataset"
    (folder / "data" / "sft").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# try\n")
    (folder / "data" / "sft" / "train.parquet").write_bytes(b"PAR1" + bytes(range(256)) * 40)
    (folder / ".env").write_text("not for others")
    write_json(folder / "attar.json", {"run": "try", "finished": "then", "configs": {}})
    write_json(tmp_path / "home" / "runs" / "try.json", {"name": "try", "finished": "then"})
    return folder


@pytest.fixture
def attar(tmp_path):
    def go(*words, url="http://127.0.0.1:9", code=0, token=TOKEN, **more):
        home = {"ATTAR_HOME": str(tmp_path / "home"), "HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": url}
        env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")} | home | more
        env |= {"HF_TOKEN": token} if token else {}
        command = [sys.executable, "-c", CODE, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
        assert done.returncode == code, done.stderr + done.stdout
        assert TOKEN not in done.stderr + done.stdout
        return done

    return go


def sent(folder):
    """What of a folder should arrive."""
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".env"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize("large", [(), (".parquet",)])
def test_every_file_arrives_in_one_commit_under_the_token(attar, dataset, large):
    hub = Hub(large)
    with serving(hub.app) as url:
        done = attar("push", "try", "me/data", "--private", "--json", url=url.removesuffix("/v1"), HF_HUB_DISABLE_XET="1")
    assert hub.files == sent(dataset)
    assert hub.repo["name"] == "data"
    assert hub.repo["organization"] == "me"
    assert hub.repo["type"] == "dataset"
    assert hub.repo["visibility"] == "private"
    assert sum(line.endswith("/commit/main") for line in hub.asked) == 1
    own = [token for token, line in zip(hub.tokens, hub.asked, strict=True) if "/me/data" in line or "/create" in line]
    assert set(own) == {f"Bearer {TOKEN}"}
    result = json.loads(done.stdout)
    assert result["url"].endswith("/datasets/me/data")
    assert result["commit"].endswith("/commit/" + "1" * 40)


def test_a_set_that_is_to_be_private_is_not_sent_to_a_public_place(attar, dataset):
    hub = Hub(public=True)
    with serving(hub.app) as url:
        done = attar("push", dataset, "me/data", "--private", url=url.removesuffix("/v1"), code=2)
    assert done.stderr.startswith("attar: me/data exists and is public")
    assert not hub.files


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "the token in HF_TOKEN is not valid"), (403, "has no write access to me/data"), (418, "no, and")],
)
def test_a_refusal_is_one_line_without_the_token_and_nothing_is_lost(attar, dataset, status, message):
    before = sent(dataset)
    hub = Hub(status=status)
    with serving(hub.app) as url:
        done = attar("push", "try", "me/data", url=url.removesuffix("/v1"), code=2)
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert f"(HTTP {status})" in done.stderr
    assert f"the dataset is still in {dataset}" in done.stderr
    assert sent(dataset) == before


@pytest.mark.parametrize(("more", "message"), [({}, "cannot be reached"), ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set")])
def test_without_a_network_it_is_one_line(attar, dataset, more, message):
    done = attar("push", dataset, "me/data", code=2, **more)
    assert message in done.stderr
    assert (done.stderr.count("\n"), done.stdout) == (1, "")


def test_a_dry_run_tells_what_would_go_and_asks_nobody(attar, dataset):
    result = json.loads(attar("push", "try", "me/data", "--dry-run", "--json", token="").stdout)
    assert result["files"] == {name: len(content) for name, content in sent(dataset).items()}
    assert result["bytes"] == sum(map(len, sent(dataset).values()))
    assert not result["token"]
    shown = attar("push", "try", "me/data", "--dry-run").stdout
    assert "data/sft/train.parquet" in shown
    assert "(public); nothing was sent" in shown
    assert ".env" not in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["try", "me/data"], "the environment variable HF_TOKEN is not set"),
        (["try", "me/data", "--token-env", "MINE"], "the environment variable MINE is not set"),
        (["try", "me/da ta"], "'me/da ta' cannot name a repository"),
        (["tri", "me/data"], "no run 'tri'"),
        (["hf", "me/data"], "hf is no dataset of Attar's"),
    ],
)
def test_what_cannot_be_sent_is_reported_before_anything_is(attar, dataset, tmp_path, words, message):
    (tmp_path / "hf").mkdir()
    done = attar("push", *words, code=2, token="")
    assert done.stderr.startswith(f"attar: {message}")
    assert done.stderr.count("\n") == 1


def test_a_run_is_its_dataset_but_not_one_of_an_earlier_try(dataset, tmp_path, attar):
    home = Home(tmp_path / "home")
    assert folder_of("try", home) == folder_of("try.yaml", home) == folder_of(str(dataset), home) == dataset
    write_json(home.runs / "try.json", {"name": "try", "finished": "later"})
    assert "is older than run 'try'" in attar("push", "try", "me/data", code=2).stderr
    (dataset / "attar.json").unlink()
    assert "run 'try' has no dataset yet: run attar dataset try" in attar("push", "try", "me/data", code=2).stderr
