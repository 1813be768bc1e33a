"""A stand-in for Gemini's own API, as strict as those in `hosted`."""

from aiohttp import web
from servers.hosted import KEY, HostedStub, check_fields, need


class Gemini(HostedStub):
    """generativelanguage.googleapis.com/v1beta. `gemini-pro-thinks` cannot stop thinking."""

    models = ("gemini-plain", "gemini-thinks", "gemini-pro-thinks")
    version = "v1beta"

    def check_key(self, request):
        need(request.headers.get("x-goog-api-key") == KEY, "API key not valid. Please pass a valid API key.")

    def error(self, refused):
        return {"error": {"code": refused.status, "message": str(refused), "status": "INVALID_ARGUMENT"}}

    async def show(self, request):
        entries = [{"name": f"models/{name}", "outputTokenLimit": 8192, "thinking": "thinks" in name} for name in self.models]
        if not (name := self.model_of(request.path)):
            need(request.path == "/v1beta/models", "unknown path", 404)
            return web.json_response({"models": entries})
        need(name in self.models, f"models/{name} is not found for API version v1beta", 404)
        return web.json_response(entries[self.models.index(name)])

    def overloaded(self):
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.02s"}
        error = {"code": 429, "message": "You exceeded your current quota", "status": "RESOURCE_EXHAUSTED", "details": [info]}
        return web.json_response({"error": error}, status=429)

    def check(self, path, body):
        model, _, verb = self.model_of(path).partition(":")
        need(path.startswith("/v1beta/") and verb == "generateContent" and model in self.models, "not found", 404)
        unknown = 'Invalid JSON payload received. Unknown name "{}": Cannot find field.'
        check_fields(body, {"contents"}, {"systemInstruction", "generationConfig", "safetySettings", "cachedContent"}, unknown)
        for turn in (*body["contents"], *([body["systemInstruction"]] if "systemInstruction" in body else [])):
            check_fields(turn, {"parts"}, {"role"}, unknown)
            need(turn.get("role", "user") in ("user", "model"), "Please use a valid role: user, model.")
        config = body.get("generationConfig", {})
        sampling = {
            "temperature",
            "topP",
            "topK",
            "seed",
            "maxOutputTokens",
            "stopSequences",
            "responseMimeType",
            "responseJsonSchema",
        }
        check_fields(config, set(), sampling | {"responseLogprobs", "logprobs", "thinkingConfig"}, unknown)
        need(config.get("maxOutputTokens", 1) <= 8192, "maxOutputTokens is above the model's limit")
        need(0 <= config.get("seed", 0) < 2**31, "Invalid value at 'generation_config.seed' (TYPE_INT32)")
        if thinking := config.get("thinkingConfig"):
            check_fields(thinking, set(), {"thinkingBudget", "includeThoughts", "thinkingLevel"}, unknown)
            need("thinks" in model, "Thinking is not enabled for models/" + model)
            if thinking.get("thinkingBudget") == 0:
                need("pro" not in model, "Budget 0 is invalid. This model only works in thinking mode.")
        need("responseLogprobs" not in config or "pro" not in model, f"Logprobs is not enabled for models/{model}")
        return body["contents"][-1]["parts"][0]["text"]

    def answer(self, body, word, text):
        model = self.model_of(self.paths[-1]).partition(":")[0]
        config = body.get("generationConfig", {})
        thinking = config.get("thinkingConfig", {})
        thinks = "thinks" in model and thinking.get("thinkingBudget") != 0
        usage = {"promptTokenCount": 11, "candidatesTokenCount": 10, "cachedContentTokenCount": 4, "totalTokenCount": 41}
        usage |= {"thoughtsTokenCount": 20} if thinks else {}
        if word == "block":
            return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 11}}
        parts = [{"text": "2 and 2", "thought": True}] if thinks and thinking.get("includeThoughts") else []
        parts.append({"text": text})
        candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}
        if word == "cut":
            candidate = {"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
            usage.pop("candidatesTokenCount")
        if word == "refuse":
            candidate = {"finishReason": "SAFETY", "finishMessage": "It may cause harm.", "index": 0}
        if config.get("responseLogprobs"):
            tops = [{"token": "A", "tokenId": 1, "logProbability": -0.25}, {"token": "B", "tokenId": 2, "logProbability": -1.5}]
            candidate["logprobsResult"] = {"topCandidates": [{"candidates": tops}], "chosenCandidates": tops[:1]}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": "r1"}
