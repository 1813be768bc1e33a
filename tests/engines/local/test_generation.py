from collections import Counter
from types import SimpleNamespace

import pytest
import torch
import transformers
from pocket_for_tests import QUESTIONS, asked, pocket
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.local.engine import Local
from attar.engines.local.generation import SequenceState, _sample_tokens, check_layers
from attar.engines.local.spec import POCKET


def test_greedy_writing_is_what_transformers_generates(teacher, reference):
    model, tokenizer = reference
    replies = in_order(teacher.generate(asked()), len(QUESTIONS))
    for question, reply in zip(QUESTIONS, replies, strict=True):
        ids = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        whole = model.generate(**ids, max_new_tokens=60, do_sample=False, pad_token_id=tokenizer.pad_token_id)
        expected = tokenizer.decode(whole[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert reply.text == expected


@pytest.mark.parametrize("slots", [1, 5, 64])
def test_neither_slots_nor_neighbours_change_what_is_drawn(teacher, slots):
    hot = asked(temperature=1.0, top_p=0.95)
    expected = in_order(teacher.generate(hot), len(hot))
    assert in_order(pocket(slots=slots).generate(hot), len(hot)) == expected
    alone = next(iter(pocket().generate([hot[7]])))
    assert alone == expected[7]


def test_seeds_differ_and_repeat(teacher):
    def draw(seed):
        start = prefix(teacher.template)
        return next(
            iter(teacher.generate([Request(0, text=start.text, sampling=Sampling(1.0, 1.0, 60, start.stops), seed=seed)]))
        ).text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(12)}) > 8


def test_a_text_that_reaches_its_limit_is_marked_as_cut(teacher):
    replies = in_order(teacher.generate(asked(max_tokens=3)), len(QUESTIONS))
    assert all(reply.finish == "length" and reply.tokens_out == 3 for reply in replies)


def test_requests_are_taken_only_as_slots_are_freed():
    taken = []

    def stream():
        for request in asked():
            taken.append(request.index)
            yield request

    replies = pocket(slots=8).generate(stream())
    assert next(replies).text
    assert taken == list(range(8))


def test_a_stop_of_several_tokens_ends_a_text_before_it(teacher):
    talk = ({"role": "user", "content": "Repeat these words: cat dog fox."},)
    (whole,) = teacher.generate([Request(0, messages=talk, sampling=Sampling(max_tokens=60))])
    middle = whole.text.index(" dog fox")
    (cut,) = teacher.generate([Request(0, messages=talk, sampling=Sampling(max_tokens=60, stop=(" dog fox", "no such words")))])
    assert cut.text == whole.text[:middle]
    assert cut.finish == "stop"
    assert cut.tokens_out < whole.tokens_out


TINY = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 985, "max_position_embeddings": 256}


ARCHITECTURES = {
    "Llama": {"num_key_value_heads": 2, "intermediate_size": 64},
    "Qwen2": {"num_key_value_heads": 2, "intermediate_size": 64},
    "Mistral": {"num_key_value_heads": 2, "intermediate_size": 64, "sliding_window": 8},
    "Gemma2": {"num_key_value_heads": 2, "intermediate_size": 64, "sliding_window": 8, "head_dim": 8},
    "Phi3": {"num_key_value_heads": 2, "intermediate_size": 64, "pad_token_id": 0},
    "GPTNeoX": {"intermediate_size": 64},
    "GPT2": {},
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_slot_refill_writes_what_generate_writes_on_other_architectures(name, tmp_path):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**TINY, **ARCHITECTURES[name], eos_token_id=3, bos_token_id=None)
    dtype = torch.float32 if name == "Gemma2" else torch.float64  # in float64 its padded rows are NaN to transformers too
    model = getattr(transformers, "GPT2LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")(config).to(dtype).eval()
    model.generation_config.eos_token_id = 3
    model.save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "base")
    tokenizer.save_pretrained(tmp_path)
    engine = Local(Spec("local", str(tmp_path), {"dtype": str(dtype).removeprefix("torch."), "slots": 3}))
    texts = ["cat dog", "cat", "one two three four five six seven eight nine", "the lake and the hill and the road"]
    wanted = [5, 30, 12, 21]
    requests = [
        Request(i, text=text, sampling=Sampling(max_tokens=n)) for i, (text, n) in enumerate(zip(texts, wanted, strict=True))
    ]
    for text, n, reply in zip(texts, wanted, in_order(engine.generate(requests), 4), strict=True):
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        whole = model.generate(**ids, max_new_tokens=n, do_sample=False, pad_token_id=0, eos_token_id=3)
        expected = tokenizer.decode(whole[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert reply.text == expected


def test_a_model_with_recurrent_layers_is_refused_with_what_to_do():
    text = SimpleNamespace(layer_types=["full_attention", "linear_attention"])
    with pytest.raises(EngineError, match=r"linear_attention cannot be batched in this process: serve it"):
        check_layers(SimpleNamespace(get_text_config=lambda: text))


def test_scores_that_are_not_numbers_are_an_error_and_never_a_text(tmp_path):
    for file in (POCKET / "base").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.norm.weight"] *= float("nan")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match="logits are NaN"):
        list(Local(Spec("local", str(tmp_path))).generate([Request(0, text="cat")]))


@pytest.mark.parametrize("holds", [1, 3, 7])
def test_where_memory_runs_out_it_goes_on_with_fewer_slots_and_the_same_texts(teacher, monkeypatch, holds):
    hot = asked(temperature=1.0)
    expected = in_order(teacher.generate(hot), len(hot))
    small = pocket(slots=16)
    model = small.causal()
    forward, failed = model.forward, []

    def scarce(*args, **given):
        found = forward(*args, **given)
        if len(given["input_ids"]) > holds:  # fails after the cache was written, as a real one may
            failed.append(len(given["input_ids"]))
            raise torch.OutOfMemoryError
        return found

    monkeypatch.setattr(model, "forward", scarce)
    assert in_order(small.generate(hot), len(hot)) == expected
    assert failed


def test_memory_that_runs_out_in_the_middle_of_writing_costs_time_and_nothing_else(teacher, monkeypatch):
    hot = asked(temperature=1.0)
    expected = in_order(teacher.generate(hot), len(hot))
    small = pocket(slots=16)
    model = small.causal()
    forward, calls = model.forward, []

    def fails_now_and_then(*args, **given):
        found = forward(*args, **given)
        calls.append(len(given["input_ids"]))
        if len(calls) in (7, 20):
            raise torch.OutOfMemoryError
        return found

    monkeypatch.setattr(model, "forward", fails_now_and_then)
    assert in_order(small.generate(hot), len(hot)) == expected
    assert max(calls[20:]) <= 4


def test_top_p_draws_from_the_smallest_set_that_holds_it_by_its_own_chances():
    def drawn(top_p, count=4000):
        jobs = [SequenceState(i, [], Sampling(1.0, top_p), frozenset(), seed=i) for i in range(count)]
        logits = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log().expand(count, 3)
        return Counter(_sample_tokens(logits, jobs, logits.argmax(-1))[1].tolist())

    assert set(drawn(0.5)) == {1}
    assert set(drawn(0.6)) == {1, 2}
    assert drawn(0.6)[1] / 4000 == pytest.approx(0.625, abs=0.03)
    assert [drawn(1.0)[token] / 4000 for token in (0, 1, 2)] == pytest.approx([0.2, 0.5, 0.3], abs=0.03)


def test_a_device_that_holds_not_even_one_row_is_an_error(monkeypatch):
    engine = pocket(slots=4)

    def never(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(engine.causal(), "forward", never)
    with pytest.raises(EngineError, match="too little memory for one row"):
        list(engine.generate(asked()))
