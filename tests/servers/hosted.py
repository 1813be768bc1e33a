"""Stand-ins for hosted APIs: OpenAI's Responses and Anthropic's Messages; Gemini's is in `hosted_gemini`.

They refuse what the documentation refuses (unknown or missing fields, a wrong key, settings that a model lacks) and answer in
the documented shapes. A model whose name has "thinks" in it thinks; the last turn's first word decides how a request ends.
"""

import json
from collections import Counter

from aiohttp import web

KEY = "stub-key-9f3a71c2"


class Refused(Exception):  # noqa: N818 (an answer of the stand-in, not a fault)
    """A request that the API does not take: the status and the error's message."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def need(condition: object, message: str, status: int = 400) -> None:
    if not condition:
        raise Refused(message, status)


def check_fields(value: dict, required: set, allowed: set, message: str) -> None:
    need(isinstance(value, dict), "not an object")
    for name in value:
        need(name in required | allowed, message.format(name))
    for name in required:
        need(name in value, f"Missing required parameter: '{name}'.")


class HostedStub:
    """What all have in common: `posted` keeps all bodies, `headers` those of each call."""

    models: tuple[str, ...] = ()
    version = "v1"

    def __init__(self):
        self.posted, self.headers, self.paths = [], [], []
        self.busy = Counter()

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._guard(self.show))
        app.router.add_post("/{path:.*}", self._guard(self.post))
        return app

    def _guard(self, handler):
        async def guarded(request):
            try:
                self.check_key(request)
                return await handler(request)
            except Refused as refused:
                return web.json_response(self.error(refused), status=refused.status)

        return guarded

    async def post(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.posted.append(body)
        self.headers.append(request.headers)
        self.paths.append(request.path)
        said = self.check(request.path, body)
        word, self.busy[said] = said.split()[0], self.busy[said] + 1
        if word == "busy" and self.busy[said] == 1:
            return self.overloaded()
        return web.json_response(self.answer(body, word, said.upper()))

    def model_of(self, path: str) -> str:
        return path.split("/models/", 1)[1] if "/models/" in path else ""


class Responses(HostedStub):
    """api.openai.com/v1/responses. Reasoning models refuse sampling parameters unless their effort is none."""

    models = ("gpt-plain", "gpt-thinks")

    def check_key(self, request):
        need(request.headers.get("Authorization") == f"Bearer {KEY}", "Incorrect API key provided", 401)

    def error(self, refused):
        return {"error": {"message": str(refused), "type": "invalid_request_error", "param": None, "code": None}}

    async def show(self, request):
        need(request.path == "/v1/models", "unknown path", 404)
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "system"} for name in self.models]
        return web.json_response({"object": "list", "data": data})

    def overloaded(self):
        headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}
        return web.json_response({"error": {"message": "Rate limit reached"}}, status=429, headers=headers)

    def check(self, path, body):
        need(path == "/v1/responses", "unknown path", 404)
        allowed = {
            "max_output_tokens",
            "store",
            "temperature",
            "top_p",
            "text",
            "reasoning",
            "include",
            "top_logprobs",
            "instructions",
        }
        check_fields(body, {"model", "input"}, allowed, "Unknown parameter: '{}'.")
        need(body["model"] in self.models, f"The model '{body['model']}' does not exist", 404)
        need(body.get("max_output_tokens", 16) >= 16, "Invalid 'max_output_tokens': integer below minimum value.")
        for turn in body["input"]:
            check_fields(turn, {"role", "content"}, set(), "Unknown parameter: 'input[0].{}'.")
            need(turn["role"] in ("user", "assistant", "system", "developer"), "Invalid value: role")
        reasoning = body.get("reasoning", {})
        check_fields(reasoning, set(), {"effort", "summary"}, "Unknown parameter: 'reasoning.{}'.")
        if "thinks" not in body["model"]:
            need(not reasoning, "Unsupported parameter: 'reasoning.effort' is not supported with this model.")
        elif reasoning.get("effort") != "none":
            for name in ("temperature", "top_p"):
                need(name not in body, f"Unsupported parameter: '{name}' is not supported with this model.")
            need("include" not in body, "logprobs are not supported with reasoning models.")
        if "text" in body:
            check_fields(body["text"], {"format"}, set(), "Unknown parameter: 'text.{}'.")
            check_fields(body["text"]["format"], {"type", "name", "schema"}, {"strict"}, "Unknown parameter: 'text.format.{}'.")
        return body["input"][-1]["content"]

    def answer(self, body, word, text):
        thinks = "thinks" in body["model"] and body.get("reasoning", {}).get("effort") != "none"
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        if "include" in body:
            tops = [{"token": "A", "logprob": -0.25, "bytes": [65]}, {"token": "B", "logprob": -1.5, "bytes": [66]}]
            part["logprobs"] = [{"token": "A", "logprob": -0.25, "bytes": [65], "top_logprobs": tops}]
        if word == "refuse":
            part = {"type": "refusal", "refusal": "I can't help with that."}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        summary = [{"type": "summary_text", "text": "**Adding**"}] if body.get("reasoning", {}).get("summary") else []
        output = [{"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "gAAAA"}] if thinks else []
        reply = {"id": "resp_1", "object": "response", "status": "completed", "error": None, "incomplete_details": None}
        if word == "cut":
            reply |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
            message["status"] = "incomplete"
        if word == "filter":
            reply |= {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
        usage = {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0}, "output_tokens": 30}
        usage |= {"output_tokens_details": {"reasoning_tokens": 20 if thinks else 0}, "total_tokens": 41}
        lost_in_thought = word == "cut" and thinks
        return {**reply, "model": body["model"], "output": output if lost_in_thought else [*output, message], "usage": usage}


class Anthropic(HostedStub):
    """api.anthropic.com. `claude-thinks` takes a budget, `claude-adaptive-thinks` decides itself and refuses sampling."""

    models = ("claude-plain", "claude-thinks", "claude-adaptive-thinks")

    def check_key(self, request):
        need(request.headers.get("x-api-key") == KEY, "invalid x-api-key", 401)
        need(request.headers.get("anthropic-version") == "2023-06-01", "anthropic-version: header is required")

    def error(self, refused):
        kind = {401: "authentication_error", 404: "not_found_error"}.get(refused.status, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": str(refused)}, "request_id": "req_1"}

    def ways(self, model):
        return {"claude-plain": (), "claude-thinks": ("enabled",)}.get(model, ("adaptive",))

    async def show(self, request):
        name = self.model_of(request.path)
        if not name:
            need(request.path == "/v1/models", "unknown path", 404)
            return web.json_response({"data": [{"id": name, "type": "model"} for name in self.models], "has_more": False})
        need(name in self.models, f"model: {name}", 404)
        types = {way: {"supported": way in self.ways(name)} for way in ("enabled", "adaptive")}
        thinking = {"supported": bool(self.ways(name)), "types": types}
        return web.json_response(
            {"id": name, "type": "model", "display_name": name, "max_tokens": 8192, "capabilities": {"thinking": thinking}}
        )

    def overloaded(self):
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        return web.json_response(error, status=529, headers={"retry-after": "0"})

    def check(self, path, body):
        need(path == "/v1/messages", "unknown path", 404)
        allowed = {
            "system",
            "temperature",
            "top_p",
            "top_k",
            "stop_sequences",
            "thinking",
            "output_config",
            "cache_control",
            "metadata",
        }
        check_fields(body, {"model", "max_tokens", "messages"}, allowed, "{}: Extra inputs are not permitted")
        need(body["model"] in self.models, f"model: {body['model']}", 404)
        need(1 <= body["max_tokens"] <= 8192, "max_tokens: 9000 > 8192, which is the maximum allowed number of output tokens")
        for turn in body["messages"]:
            check_fields(turn, {"role", "content"}, set(), "messages.0.{}: Extra inputs are not permitted")
            need(
                turn["role"] in ("user", "assistant"),
                'messages: Unexpected role "system". Use the top-level `system` parameter',
            )
        need(0 <= body.get("temperature", 1) <= 1, "temperature: range: 0..1")
        thinking = body.get("thinking", {"type": "disabled"})
        if thinking["type"] == "enabled":
            check_fields(
                thinking, {"type", "budget_tokens"}, {"display"}, "thinking.enabled.{}: Extra inputs are not permitted"
            )
            need("enabled" in self.ways(body["model"]), '"thinking.type.enabled" is not supported for this model.')
            need(
                thinking["budget_tokens"] >= 1024,
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
            )
            need(thinking["budget_tokens"] < body["max_tokens"], "`max_tokens` must be greater than `thinking.budget_tokens`.")
        if thinking["type"] == "adaptive":
            need("adaptive" in self.ways(body["model"]), "adaptive thinking is not supported on this model")
        if thinking["type"] != "disabled":
            need(
                body.get("temperature", 1) == 1,
                "`temperature` may only be set to 1 when thinking is enabled or in adaptive mode.",
            )
        if "adaptive" in body["model"]:
            need("temperature" not in body, "`temperature` is deprecated for this model.")
        return body["messages"][-1]["content"]

    def answer(self, body, word, text):
        thinking = body.get("thinking", {"type": "disabled"})
        shown = thinking["type"] == "enabled" or thinking.get("display") == "summarized"
        blocks = [{"type": "text", "text": text, "citations": None}]
        if thinking["type"] != "disabled":
            thought = {"type": "thinking", "thinking": "2 and 2" if shown else "", "signature": "EqQB"}
            blocks = [thought, {"type": "redacted_thinking", "data": "EmwK"}, *([] if word == "cut" else blocks)]
        reply = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "stop_reason": "end_turn"}
        if word == "cut":
            reply["stop_reason"] = "max_tokens"
        if word == "refuse":
            details = {"type": "refusal", "category": "bio", "explanation": "This may cause harm."}
            blocks, reply = [], {**reply, "stop_reason": "refusal", "stop_details": details}
        usage = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 4, "output_tokens": 30}
        return {**reply, "stop_sequence": None, "content": blocks, "usage": usage}
