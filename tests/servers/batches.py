"""A batch API of OpenAI's form, kept in memory: files, batches, their states; what each is to become is told by the tests."""

import json
import time

from aiohttp import web


class BatchApi:
    """Batches take `takes` seconds; `fate` says how the next ones end."""

    def __init__(self, takes: float = 0.2) -> None:
        self.takes, self.fate = takes, "completed"
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self.answered: list[str] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**28)
        app.add_routes(
            [
                web.get("/v1/models", self.models),
                web.post("/v1/files", self.upload),
                web.get("/v1/files/{id}/content", self.content),
                web.post("/v1/batches", self.create),
                web.get("/v1/batches", self.listed),
                web.get("/v1/batches/{id}", self.told),
                web.post("/v1/batches/{id}/cancel", self.cancel),
            ]
        )
        return app

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m", "owned_by": "tests"}]})

    async def upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        name = f"file-{len(self.files)}"
        self.files[name] = form["file"].file.read()
        return web.json_response({"id": name, "object": "file"})

    async def content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        name = f"batch-{len(self.batches)}"
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert {line["url"] for line in lines} == {asked["endpoint"]}
        self.batches[name] = {**asked, "id": name, "status": "in_progress", "ends": time.time() + self.takes, "lines": lines}
        return web.json_response(self.shown(name))

    def shown(self, name: str) -> dict:
        batch = self.batches[name]
        if batch["status"] in ("in_progress", "cancelling") and time.time() >= batch["ends"]:
            self.finish(batch)
        return {key: value for key, value in batch.items() if key not in ("lines", "ends")}

    def finish(self, batch: dict) -> None:
        status = "cancelled" if batch["status"] == "cancelling" else self.fate
        batch["status"] = status
        if status == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "invalid", "message": "line 1 is no request", "line": 1}]}
            return
        lines = batch["lines"]
        done = lines if status == "completed" else lines[: len(lines) // 2]
        good = [line for line in done if "bad" not in line["body"]["messages"][-1]["content"]]
        bad = [line for line in done if line not in good]
        self.answered += [line["custom_id"] for line in good]
        failed = [
            {"custom_id": line["custom_id"], "response": {"status_code": 400, "body": {"error": {"message": "no"}}}}
            for line in bad
        ]
        late = {"code": "batch_expired", "message": "This request ran out of time."}
        failed += [{"custom_id": line["custom_id"], "response": None, "error": late} for line in lines[len(done) :]]
        batch["output_file_id"] = self.store([self.line(line) for line in reversed(good)])
        batch["error_file_id"] = self.store(failed) if failed else None

    def line(self, line: dict) -> dict:
        text = line["body"]["messages"][-1]["content"].upper()
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        body = {"choices": [choice], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}
        return {"id": "x", "custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}

    def store(self, lines: list[dict]) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = "\n".join(map(json.dumps, lines)).encode()
        return name

    async def listed(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [self.shown(name) for name in reversed(self.batches)]})

    async def told(self, request: web.Request) -> web.Response:
        return web.json_response(self.shown(request.match_info["id"]))

    async def cancel(self, request: web.Request) -> web.Response:
        self.batches[request.match_info["id"]]["status"] = "cancelling"
        return web.json_response(self.shown(request.match_info["id"]))
