"""APIs other than OpenAI's chat completions, one entry each: its headers, its bodies, how it is read, what it cannot do.

An engine speaks chat completions unless its option `api` says otherwise, or its host is known for an API of its own.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from yarl import URL

from attar.core.errors import EngineError, did_you_mean
from attar.engines import thinking
from attar.engines.base import Reply, Request
from attar.engines.http import anthropic_api, gemini_api, responses_api
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted_thinking import Thinking
from attar.engines.http.payloads import match_labels, read_logprobs
from attar.engines.http.server_info import Get, ServerInfo, inspect_server
from attar.engines.http.tokenizer import Post

ApiName = Literal["chat", "responses", "anthropic", "gemini"]
_HOSTS: dict[str, ApiName] = {"api.anthropic.com": "anthropic", "generativelanguage.googleapis.com": "gemini"}
KEY_VARIABLES = {
    "api.openai.com": "OPENAI_API_KEY",
    "api.anthropic.com": "ANTHROPIC_API_KEY",
    "generativelanguage.googleapis.com": "GEMINI_API_KEY",
}
"""Where an API's key is looked for if the options name no variable."""


def bearer_header(key: str) -> dict[str, str]:
    """The header with the key, as OpenAI and servers like it take it."""
    return {"Authorization": f"Bearer {key}"} if key else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedApi:
    """One API: all that an engine needs to speak it."""

    name: ApiName
    title: str
    version: str = "v1"
    """The path of a url that has none."""
    key_header: Callable[[str], dict[str, str]] = bearer_header
    text_path: Callable[[str], str]
    text_body: Callable[[Request, Thinking], dict[str, Any]]
    full_body: Callable[[str, dict[str, Any], dict[str, Any]], dict[str, Any]]
    read_text: Callable[[Any, int], Reply | FailedTry]
    logprobs_body: Callable[[Request, Thinking, int], dict[str, Any]] | None = None
    """None if the API gives no log-probabilities."""
    first_logprobs: Callable[[Any], Any] | None = None
    read_limits: Callable[[dict[str, Any]], tuple[int | None, tuple[str, ...] | None]] | None = None
    """Reads a model's entry; None if the API has none beyond OpenAI's list of models."""
    model_path: Callable[[str], str] = "models/{}".format
    options: tuple[str, ...] = ()
    """Options that this API alone has."""


APIS: dict[str, HostedApi] = {
    "responses": HostedApi(
        name="responses",
        title="the Responses API",
        text_path=responses_api.text_path,
        text_body=responses_api.text_body,
        full_body=responses_api.full_body,
        read_text=responses_api.read_text,
        logprobs_body=responses_api.logprobs_body,
        first_logprobs=responses_api.first_logprobs,
    ),
    "anthropic": HostedApi(
        name="anthropic",
        title="Anthropic's API",
        key_header=anthropic_api.key_header,
        text_path=anthropic_api.text_path,
        text_body=anthropic_api.text_body,
        full_body=anthropic_api.full_body,
        read_text=anthropic_api.read_text,
        read_limits=anthropic_api.read_limits,
        options=("cache",),
    ),
    "gemini": HostedApi(
        name="gemini",
        title="Gemini's API",
        version="v1beta",
        key_header=gemini_api.key_header,
        text_path=gemini_api.text_path,
        text_body=gemini_api.text_body,
        full_body=gemini_api.full_body,
        read_text=gemini_api.read_text,
        logprobs_body=gemini_api.logprobs_body,
        first_logprobs=gemini_api.first_logprobs,
        read_limits=gemini_api.read_limits,
        model_path=gemini_api.model_path,
    ),
}
_NOT_THEIRS = ("n", "rewards")
"""Options of servers that take several samples or reward models."""
_DO_INSTEAD = {
    "raw": "takes conversations only, not the raw prompts that Magpie continues: use a model behind vllm, sglang, llamacpp or "
    "kind: local",
    "weigh": "gives no probabilities of labels: in `evaluate` let the judge write its verdict (`by: verdict`), elsewhere name "
    "a rewarder, or a judge on OpenAI's chat API, vllm, sglang, llamacpp or kind: local",
    "embed": "is used for texts only: name another engine as embedder, such as kind: local",
    "reward": "has no reward models: use kind: local or vllm",
}


def find_api(options: Mapping[str, Any]) -> HostedApi | None:
    """The API that the options name or the host is known for; None for chat completions."""
    name = options.get("api") or _name_by_host(options.get("url", ""))
    return None if name == "chat" else APIS[name]


def _name_by_host(url: str) -> ApiName:
    """The API of a url's host; the path /openai is Gemini's imitation of chat completions."""
    try:
        place = URL(url)
    except ValueError:  # the client refuses it
        return "chat"
    return "chat" if "openai" in place.parts else _HOSTS.get(place.host or "", "chat")


def refuse_options(api: HostedApi | None, options: Mapping[str, Any], title: str) -> None:
    """Raise for an option that has no effect on this API."""
    if api and (unused := [name for name in _NOT_THEIRS if name in options]):
        raise EngineError(f"{title}: the option {unused[0]!r} has no effect on {api.title}: leave it out")
    for other in APIS.values():
        for name in other.options:
            if name in options and other is not api:
                raise EngineError(f"{title}: the option {name!r} is for {other.title} only: leave it out")


def refuse_verb(api: HostedApi | None, verb: str, title: str) -> None:
    """Raise for what an API cannot do, with what to do instead."""
    if api and (verb != "weigh" or api.logprobs_body is None):
        raise EngineError(f"{title}: {api.title} {_DO_INSTEAD[verb]}")


def text_call(
    api: HostedApi, request: Request, options: Mapping[str, Any], server: ServerInfo, title: str
) -> tuple[str, dict[str, Any]]:
    """The path and the body of a call that generates a text."""
    if request.text is not None:
        refuse_verb(api, "raw", title)
    try:
        return api.text_path(server.models[0]), api.text_body(request, _thinking_of(options, server))
    except EngineError as error:
        raise EngineError(f"{title}: {error}") from error


async def weigh(
    api: HostedApi, request: Request, options: Mapping[str, Any], server: ServerInfo, title: str, post: Post
) -> Reply | FailedTry:
    """The log-probabilities of labels, by the answer's first token."""
    from attar.engines.http.label_logprobs import check_first_tokens

    if request.text is not None:
        refuse_verb(api, "raw", title)
    if api.logprobs_body is None or api.first_logprobs is None:
        raise EngineError(f"{title}: {api.title} {_DO_INSTEAD['weigh']}")
    body = api.logprobs_body(request, _thinking_of(options, server), options.get("logprobs", 20))
    reply = await post(api.text_path(server.models[0]), body)
    logprobs = read_logprobs(api.first_logprobs(reply))
    weights = match_labels(logprobs, check_first_tokens(request.labels, logprobs))
    counted = api.read_text(reply, request.index)
    tokens_in, tokens_out = (counted.tokens_in, counted.tokens_out) if isinstance(counted, Reply) else (0, 0)
    return Reply(request.index, weights=weights, tokens_in=tokens_in, tokens_out=tokens_out)


def _thinking_of(options: Mapping[str, Any], server: ServerInfo) -> Thinking:
    return Thinking(thinking.setting(options), options.get("thinking_tokens"), server.thinking, server.most_tokens)


async def inspect_api(api: HostedApi | None, get: Get, model: str, host: str, title: str) -> ServerInfo:
    """What the server reports about itself and the model; raises if it has none of that name, or refuses the key."""
    if api is None or api.read_limits is None:
        found = await inspect_server(get, model, host, title)
        return replace(found, models=(model,)) if api else found
    status, entry = await get(api.model_path(model))
    if status == 200 and isinstance(entry, dict):
        most, ways = api.read_limits(entry)
        return ServerInfo(api.name, (model,), most_tokens=most, thinking=ways)
    if status == 404:
        _, listed = await get("models")
        raise EngineError(f"{title}: {api.title} has no model {model!r}; {did_you_mean(model, _names(listed))}")
    error = entry.get("error") if isinstance(entry, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    raise EngineError(f"{title}: {api.title} does not show the model ({status}: {message or 'no reason given'})")


def _names(listed: Any) -> list[str]:
    """The models that an API lists, by the names that requests have."""
    items = (listed.get("data") or listed.get("models")) if isinstance(listed, dict) else None
    entries = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [str(entry.get("id") or entry.get("name", "")).removeprefix("models/") for entry in entries]


_ADVICE = (
    (
        r"\b(temperature|top_?p|top_?k|seed)\b",
        "change it in the step, or leave it out with the engine's option omit: [temperature, top_p]",
    ),
    (
        r"\b(thinking|reasoning|budget(_tokens)?)\b|values are: '(none|minimal|low|medium)'",
        "change or leave out the engine's `thinking` and `thinking_tokens`, or set the API's own field with `extra`",
    ),
    (
        r"\b(top_)?logprobs\b",
        "this model gives no probabilities of labels: use another judge, or in `evaluate` its written verdicts (`by: verdict`)",
    ),
)
_REFUSES_SETTING = re.compile(
    r"unsupported (parameter|value)|not (supported|enabled|allowed)|does not support|deprecated|only be set to|cannot both be"
    r"|is invalid|range: 0|must be greater than",
    re.IGNORECASE,
)
_MESSAGE_START = 160
"""Letters of an error in which the API names the setting; further on it may repeat the row."""


def explain_refused(post: Post, title: str) -> Post:
    """The same calls; one that is refused for a setting, so that every row would be, raises an error with what to do."""

    async def post_explained(path: str, body: dict[str, Any]) -> Any:
        try:
            return await post(path, body)
        except FailedTry as failure:
            if failure.kind == "refused" and (advice := _find_advice(failure.reason[:_MESSAGE_START])):
                raise EngineError(f"{title}: a setting is refused ({failure.reason}): {advice}") from failure
            raise

    return post_explained


def _find_advice(message: str) -> str | None:
    if not message.startswith("400") or not _REFUSES_SETTING.search(message):
        return None
    return next((advice for pattern, advice in _ADVICE if re.search(pattern, message)), None)
