import asyncio
import math

import pytest
from servers.hosted import KEY, Anthropic, Responses
from servers.hosted_gemini import Gemini
from servers.threaded import serving

from attar.core.errors import EngineError
from attar.engines.base import Reply, Request, Sampling, Spec, in_order
from attar.engines.doctor.engine import examine
from attar.engines.http.batch_api import BatchEngine
from attar.engines.http.engine import Http
from attar.engines.http.failures import FailedTry
from attar.engines.http.hosted import explain_refused, find_api

STUBS = {"responses": Responses, "anthropic": Anthropic, "gemini": Gemini}
PLAIN = {"responses": "gpt-plain", "anthropic": "claude-plain", "gemini": "gemini-plain"}
THINKS = {"responses": "gpt-thinks", "anthropic": "claude-thinks", "gemini": "gemini-thinks"}
APIS = pytest.mark.parametrize("api", STUBS)


@pytest.fixture
def hosted(monkeypatch):
    """Serve the stand-in of an API; engines on it, and the stand-in."""
    monkeypatch.setenv("HOSTED_KEY", KEY)
    running, engines = [], []

    def start(api, model=None, **options):
        stub = STUBS[api]()
        up = serving(stub.app())
        running.append(up)
        url = up.__enter__().replace("/v1", f"/{stub.version}")
        options = {"url": url, "api": api, "key_env": "HOSTED_KEY", "tries": 2, **options}
        engines.append(Http(Spec("http", model or PLAIN[api], options)))
        return engines[-1], stub

    yield start
    for engine in engines:
        engine.close()
    for up in running:
        up.__exit__(None, None, None)


def rows(*texts, **sampling):
    sampling = {"temperature": 1.0, "max_tokens": 64, **sampling}
    return [
        Request(i, messages=({"role": "user", "content": text},), sampling=Sampling(**sampling)) for i, text in enumerate(texts)
    ]


def answers(engine, *texts, **sampling):
    return in_order(engine.generate(rows(*texts, **sampling)), len(texts))


@APIS
def test_every_row_gets_its_own_answer_and_its_tokens_are_counted(api, hosted):
    engine, _ = hosted(api)
    texts = [f"say {i}" for i in range(40)]
    out = {"responses": 30, "anthropic": 30, "gemini": 10}[api]
    assert answers(engine, *texts) == [Reply(i, f"SAY {i}", "stop", tokens_in=11, tokens_out=out) for i in range(40)]


@APIS
def test_thoughts_are_kept_beside_the_answer_and_are_counted_with_it(api, hosted):
    engine, stub = hosted(api, THINKS[api], thinking="on", thinking_tokens=2000)
    thought = {"responses": "**Adding**"}.get(api, "2 and 2")
    assert answers(engine, "add") == [Reply(0, "ADD", "stop", thought, tokens_in=11, tokens_out=30)]
    [sent] = stub.posted
    limit = {"responses": "max_output_tokens", "anthropic": "max_tokens"}.get(api)
    assert (sent[limit] if limit else sent["generationConfig"]["maxOutputTokens"]) == 2064


@APIS
def test_thoughts_are_turned_off(api, hosted):
    engine, _ = hosted(api, THINKS[api], thinking="off")
    [reply] = answers(engine, "add", temperature=0.5)
    assert (reply.text, reply.reasoning) == ("ADD", None)


@pytest.mark.parametrize("api", ["anthropic", "gemini"])
def test_a_model_that_cannot_think_is_known_before_a_request_is_paid(api, hosted):
    engine, stub = hosted(api, thinking="on")
    with pytest.raises(EngineError, match=r"http engine .*: this model does not think: leave `thinking` out"):
        answers(engine, "add")
    assert stub.posted == []
    assert answers(hosted(api, thinking="off")[0], "add")[0].text == "ADD"


def test_a_model_that_decides_how_long_it_thinks_is_asked_in_its_own_way(hosted):
    engine, stub = hosted("anthropic", "claude-adaptive-thinks", thinking="on")
    assert answers(engine, "add")[0].reasoning == "2 and 2"
    assert stub.posted[0]["thinking"] == {"type": "adaptive", "display": "summarized"}


def test_thoughts_that_come_unasked_are_shown_and_have_room(hosted):
    engine, stub = hosted("gemini", "gemini-thinks")
    assert answers(engine, "add")[0].reasoning == "2 and 2"
    assert stub.posted[0]["generationConfig"]["maxOutputTokens"] == 64 + 4096


@APIS
def test_a_refusal_is_the_row_s_error_and_a_cut_answer_is_truncated(api, hosted):
    engine, _ = hosted(api)
    refused, cut, good = answers(engine, "refuse this", "cut this", "take this")
    why = {"responses": "the model refused: I can't help with that.", "anthropic": "the model refused: This may cause harm."}
    assert refused.error == why.get(api, "finish reason SAFETY (It may cause harm.)")
    assert (refused.tokens_in, cut.finish, good.text) == (11, "length", "TAKE THIS")


@APIS
def test_an_overload_is_waited_out(api, hosted):
    engine, stub = hosted(api)
    assert [reply.text for reply in answers(engine, "busy now", "say a")] == ["BUSY NOW", "SAY A"]
    assert sum("busy now" in str(sent) for sent in stub.posted) == 2
    assert engine.errors == {"overload" if api == "anthropic" else "rate limit": 1}


@APIS
def test_a_wrong_key_and_a_wrong_model_stop_before_anything_is_asked(api, hosted, monkeypatch):
    engine, stub = hosted(api, PLAIN[api] + "x")
    with pytest.raises(EngineError, match=f"no model '{PLAIN[api]}x'; did you mean '{PLAIN[api]}'"):
        answers(engine, "a")
    monkeypatch.setenv("HOSTED_KEY", "sk-wrong-key-0815")
    engine, stub = hosted(api)
    with pytest.raises(EngineError, match=r"API key|x-api-key") as caught:
        answers(engine, "a")
    assert stub.posted == []
    assert "sk-wrong-key-0815" not in str(caught.value)


@APIS
def test_a_schema_a_stop_string_and_a_system_turn_arrive_in_the_api_s_own_fields(api, hosted):
    engine, stub = hosted(api)
    stop = () if api == "responses" else ("END",)
    turns = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "say a"})
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=64, stop=stop, schema={"type": "object"})
    [reply] = engine.generate([Request(0, messages=turns, sampling=sampling)])
    assert reply.text == "SAY A"
    assert all(word in str(stub.posted[0]) for word in ("be brief", "object", *stop))


@APIS
def test_raw_prompts_are_refused_with_what_to_do(api, hosted):
    engine, stub = hosted(api)
    for ask in (lambda: list(engine.generate([Request(0, text="go on")])), lambda: engine.template):
        with pytest.raises(EngineError, match=r"takes conversations only, .* Magpie continues: use a model behind vllm"):
            ask()
    assert stub.posted == []


@pytest.mark.parametrize("api", ["responses", "gemini"])
def test_labels_are_weighed_by_the_first_token(api, hosted):
    engine, _ = hosted(api)
    [reply] = engine.weigh([Request(0, messages=rows("a or b")[0].messages, labels=("B", "A", "C"))])
    assert reply.weights == pytest.approx((-1.5, -0.25, -math.inf))
    assert reply.tokens_in == 11


def test_labels_are_refused_where_there_are_no_log_probabilities(hosted):
    engine, stub = hosted("anthropic")
    with pytest.raises(EngineError, match=r"no probabilities of labels: in `evaluate` .* \(`by: verdict`\), elsewhere name"):
        list(engine.weigh([Request(0, messages=rows("a")[0].messages, labels=("A", "B"))]))
    assert stub.posted == []
    engine, _ = hosted("gemini", "gemini-pro-thinks")
    with pytest.raises(EngineError, match="setting is refused"):
        list(engine.weigh([Request(0, messages=rows("a")[0].messages, labels=("A", "B"))]))


@APIS
def test_embeddings_and_rewards_are_refused_with_what_to_do(api, hosted):
    engine, _ = hosted(api)
    with pytest.raises(EngineError, match="name another engine as embedder"):
        list(engine.embed([Request(0, text="a")]))
    with pytest.raises(EngineError, match="has no reward models"):
        list(engine.reward([Request(0, text="a")]))


@pytest.mark.parametrize(
    ("api", "model", "options", "sampling", "why"),
    [
        ("responses", "gpt-thinks", {}, {"temperature": 0.0}, r"'temperature' is not supported .*omit: \[temperature, top_p\]"),
        ("responses", "gpt-plain", {"thinking": "off"}, {}, r"'reasoning.effort' is not .*leave out the engine's `thinking`"),
        ("anthropic", "claude-plain", {}, {"temperature": 1.5}, r"range: 0\.\.1.*omit: "),
        ("anthropic", "claude-thinks", {"thinking": "on"}, {"temperature": 0.0}, "only be set to 1 .*omit: "),
        ("anthropic", "claude-adaptive-thinks", {}, {"temperature": 0.5}, "deprecated for this model.*omit: "),
        ("gemini", "gemini-pro-thinks", {"thinking": "off"}, {}, "Budget 0 is invalid.*leave out the engine's `thinking`"),
    ],
)
def test_a_setting_that_every_row_would_be_refused_for_stops_the_run_with_what_to_do(
    api, model, options, sampling, why, hosted
):
    engine, _ = hosted(api, model, **options)
    with pytest.raises(EngineError, match=f"a setting is refused.*{why}"):
        answers(engine, *(f"say {i}" for i in range(100)), **sampling)


@pytest.mark.parametrize("api", ["responses", "anthropic"])
def test_a_refused_setting_can_be_left_out(api, hosted):
    engine, _ = hosted(api, THINKS[api], thinking="on", omit=["temperature", "top_p"])
    assert answers(engine, "say a", temperature=0.0, top_p=0.9)[0].text == "SAY A"


@pytest.mark.parametrize(
    ("reason", "stops"),
    [
        ("400: Unsupported value: 'none' is not supported with the 'gpt-5' model. Supported values are: 'minimal'.", True),
        ("400: `temperature` and `top_p` cannot both be specified for this model.", True),
        ("400: the prompt is too long", False),
        ("400: Invalid prompt: it was flagged " + "x" * 200 + " temperature is not supported", False),
        ("422: temperature is not supported", False),
    ],
)
def test_only_what_is_wrong_with_every_row_stops_the_run(reason, stops):
    async def post(path, body):
        raise FailedTry("refused", reason, retry=False)

    with pytest.raises(EngineError if stops else FailedTry):
        asyncio.run(explain_refused(post, "here")("messages", {}))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"url": "https://api.openai.com/v1"}, None),
        ({"url": "https://api.openai.com/v1", "api": "responses"}, "responses"),
        ({"url": "https://api.anthropic.com/v1"}, "anthropic"),
        ({"url": "https://api.anthropic.com"}, "anthropic"),
        ({"url": "https://api.anthropic.com/v1", "api": "chat"}, None),
        ({"url": "https://generativelanguage.googleapis.com/v1beta"}, "gemini"),
        ({"url": "https://generativelanguage.googleapis.com/v1beta/openai"}, None),
        ({"url": "http://localhost:8000/v1"}, None),
        ({"url": "no url"}, None),
    ],
)
def test_the_api_is_known_by_the_option_or_the_host(options, name):
    api = find_api(options)
    assert (api.name if api else None) == name


def test_a_url_without_a_path_gets_the_api_s_version_and_the_key_its_usual_variable(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    wire = Http(Spec("http", "m", {"url": "https://generativelanguage.googleapis.com"})).wire
    assert (str(wire.url), wire.key) == ("https://generativelanguage.googleapis.com/v1beta", KEY)


def identity(**options):
    return Http(Spec("http", "m", {"url": "http://h/v1", **options})).identity()


def test_the_api_is_part_of_the_identity_only_where_it_is_not_chat():
    assert identity() == identity(api="chat")
    assert len({identity(), *(identity(api=api) for api in STUBS)}) == 4
    assert identity(api="anthropic") == identity(api="anthropic", cache="system")
    by_host = Http(Spec("http", "m", {"url": "https://api.anthropic.com/v1"}))
    assert by_host.identity() == identity(api="anthropic")


def test_caching_is_asked_for_without_a_change_of_the_answers(hosted):
    engine, stub = hosted("anthropic", cache="prompt")
    assert answers(engine, "say a")[0].text == "SAY A"
    assert stub.posted[0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"api": "anthropic", "n": 4}, "'n' has no effect on Anthropic's API"),
        ({"api": "gemini", "rewards": "pooling"}, "'rewards' has no effect on Gemini's API"),
        ({"api": "gemini", "cache": "system"}, "'cache' is for Anthropic's API only"),
        ({"cache": "system"}, "'cache' is for Anthropic's API only"),
        ({"api": "claude"}, "'api'"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(options, why):
    with pytest.raises(EngineError, match=why):
        identity(**options)


def test_batches_take_the_apis_that_have_openai_s_form():
    with pytest.raises(EngineError, match=r"Anthropic's API has no batches of OpenAI's form: use kind: http"):
        BatchEngine(Spec("batch", "m", {"url": "https://api.anthropic.com/v1"}))
    assert BatchEngine(Spec("batch", "m", {"url": "https://api.openai.com/v1", "api": "responses"})).http.api


def test_the_doctor_says_what_an_api_can_do_and_how_its_thoughts_are_limited(hosted):
    engine, _ = hosted("gemini", "gemini-thinks")
    found = {finding.what: finding for finding in examine(engine.spec, rows=4)}
    assert found["server"].told == "gemini with gemini-thinks"
    assert "after a thought of 7 characters; `thinking_tokens` (4,096) limits the thought" in found["chat"].told
    assert not found["raw prompts"].good
    assert "takes conversations only" in found["raw prompts"].told
