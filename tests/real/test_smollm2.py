"""SmolLM2-135M-Instruct on llama.cpp's server."""

from attar.engines.base import Request, Sampling


def test_a_question_is_answered_in_words(smollm2):
    asked = Request(0, ({"role": "user", "content": "What is the capital of France?"},), sampling=Sampling(max_tokens=20))
    (reply,) = smollm2.generate([asked])
    assert reply.error is None
    assert (reply.text or "").strip()
