import json
import urllib.request

from servers_for_tests import http, soon

from attar.engines.base import Request, Sampling, in_order
from attar.engines.http import stream
from attar.engines.http.failures import retry_delay

KINDS = "429,500,503,reset,slow,truncated,malformed,not-json-object,one-more,duplicate,missing,no-text,no-finish"


def chats(count):
    texts = [f"bad {i}" if i % 50 == 7 else f"row {i} of the {count}" for i in range(count)]
    return texts, [
        Request(i, messages=({"role": "user", "content": text},), sampling=Sampling()) for i, text in enumerate(texts)
    ]


def met(root):
    with urllib.request.urlopen(f"{root}/told") as response:
        return json.load(response)


def test_through_every_fault_each_row_gets_its_own_text_once(faults, monkeypatch):
    monkeypatch.setattr(stream, "retry_delay", lambda *given: retry_delay(*given) / 5)
    root = faults(share=0.3, kinds=KINDS)
    texts, requests = chats(400)
    engine = http(f"{root}/v1", tries=12, timeout=20)
    replies = in_order(engine.generate(requests), 400)
    for text, reply in zip(texts, replies, strict=True):
        assert (reply.text, reply.error) == ((None, "400: this one never works") if text[:3] == "bad" else (text, None))
    told = met(root)
    assert told["answered"] + told["met"]["slow"] == 392
    assert told["most"] == 1
    assert set(told["met"]) == set(KINDS.split(","))
    assert soon(lambda: engine.in_flight == 0)


def test_with_a_single_try_each_fault_is_one_row_s_reason(faults):
    """But overload (429, 503), which is waited out and uses up no try."""
    root = faults(share=0.3, kinds=KINDS.replace("429,", "").replace("503,", ""), seed=1)
    texts, requests = chats(150)
    replies = in_order(http(f"{root}/v1", tries=1, timeout=20).generate(requests), 150)
    assert all(reply.text == text for text, reply in zip(texts, replies, strict=True) if not reply.error)
    assert all(reply.text is None for reply in replies if reply.error)
    told = met(root)
    assert sum(reply.error is not None for reply in replies) == sum(told["met"].values()) - told["met"]["slow"] + 3
