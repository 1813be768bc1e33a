import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.core.errors import EngineError
from attar.engines.http.server_info import inspect_server, tokenize_body

TEMPLATE = "{{ messages[0].content }}"


def see(listed, model="m", host="h", status=200, **others):
    """What is seen of a server that answers with these."""

    async def get(path):
        return (status, listed) if path == "models" else (200, others[path]) if path in others else (404, None)

    return asyncio.run(inspect_server(get, model, host, "http engine m"))


def models(**item):
    return {"data": [{"id": "m", **item}]}


@pytest.mark.parametrize(
    ("owner", "dialect"),
    [
        ("vllm", "vllm"),
        ("sglang", "sglang"),
        ("llamacpp", "llamacpp"),
        ("library", "ollama"),
        ("acme", "other"),
        (None, "other"),
    ],
)
def test_a_server_is_known_by_who_owns_its_models(owner, dialect):
    assert see(models(owned_by=owner)).dialect == dialect


def test_openai_is_known_by_its_host():
    assert see(models(owned_by="system"), host="api.openai.com").dialect == "openai"


def test_the_context_is_read_where_servers_tell_it():
    assert see(models(owned_by="vllm", max_model_len=4096)).context == 4096
    assert see(models(owned_by="llamacpp", meta={"n_ctx": 2048})).context == 2048
    assert see(models()).context is None


def test_a_template_is_taken_from_the_servers_that_tell_it():
    said = {"chat_template": TEMPLATE, "bos_token": "<s>", "eos_token": None, "other": 3}
    for owner, path in (("vllm", "/tokenizer_info"), ("llamacpp", "/props")):
        server = see(models(owned_by=owner), **{path: said})
        assert server.template.source == TEMPLATE
        assert dict(server.template.tokens) == {"bos_token": "<s>"}
        assert see(models(owned_by=owner)).template is None
        assert see(models(owned_by=owner), **{path: {"chat_template": None}}).template is None


def test_a_model_is_found_by_its_alias_too():
    assert see({"data": [{"id": "long/name", "aliases": ["m"]}]}).models == ("long/name",)


def test_a_model_that_is_not_there_names_the_nearest():
    with pytest.raises(EngineError, match=r"^http engine m: the server has no model 'teachr'; did you mean 'teacher'\?$"):
        see({"data": [{"id": "teacher"}, {"id": "x"}]}, model="teachr")


@pytest.mark.parametrize("listed", [None, [], "x", {}, {"data": None}, {"data": []}, {"data": [3, None]}])
def test_a_server_without_a_list_is_an_other(listed):
    assert (see(listed, status=404).dialect, see(listed).models) == ("other", ())


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.sampled_from(["m", "vllm"]),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["data", "id", "owned_by"]), x, max_size=3),
    max_leaves=12,
)


@given(JSON | st.fixed_dictionaries({"data": st.lists(st.fixed_dictionaries({"id": st.just("m"), "owned_by": JSON}))}))
def test_whatever_a_server_says_of_itself_it_is_known_or_refused(listed):
    with suppress(EngineError):
        assert see(listed).dialect in ("vllm", "other")


@pytest.mark.parametrize("odd", [{"aliases": 3}, {"aliases": [["m"]]}, {"meta": "x"}])
def test_what_a_server_says_in_an_odd_form_is_let_be(odd):
    assert see(models(**odd)).dialect == "other"


def test_each_server_is_asked_for_tokens_in_its_own_words():
    assert tokenize_body("llamacpp", "m", "a", special=True) == {"content": "a", "add_special": True, "parse_special": True}
    assert tokenize_body("vllm", "m", "a", special=False) == {"model": "m", "prompt": "a", "add_special_tokens": False}
