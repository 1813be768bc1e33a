from math import exp, log

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from attar.chat.templates import prefix
from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.local.engine import POCKET, Local
from attar.stages.evaluate.benchmarks import pocket_exam

QUESTIONS = pocket_exam.tasks(count=30)["prompt"].to_list()


def pocket(name="teacher", **options):
    return Local(Spec("local", f"pocket:{name}", {"dtype": "float64", **options}))


@pytest.fixture(scope="module")
def teacher():
    return pocket(slots=16)


@pytest.fixture(scope="module")
def reference():
    model = AutoModelForCausalLM.from_pretrained(POCKET / "teacher", dtype=torch.float64).eval()
    return model, AutoTokenizer.from_pretrained(POCKET / "teacher")


def asked(**over):
    sampling = Sampling(**{"max_tokens": 60, **over})
    return [Request(i, messages=({"role": "user", "content": q},), sampling=sampling, seed=i) for i, q in enumerate(QUESTIONS)]


def test_greedy_writing_is_what_transformers_generates(teacher, reference):
    model, tokenizer = reference
    replies = in_order(teacher.write(asked()), len(QUESTIONS))
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
    expected = in_order(teacher.write(hot), len(hot))
    assert in_order(pocket(slots=slots).write(hot), len(hot)) == expected
    alone = next(iter(pocket().write([hot[7]])))
    assert alone == expected[7]


def test_seeds_differ_and_repeat(teacher):
    def draw(seed):
        start = prefix(teacher.template)
        return next(
            iter(teacher.write([Request(0, text=start.text, sampling=Sampling(1.0, 1.0, 60, start.stops), seed=seed)]))
        ).text

    assert draw(1) == draw(1)
    assert len({draw(seed) for seed in range(12)}) > 8


def test_a_text_that_reaches_its_limit_is_marked_as_cut(teacher):
    replies = in_order(teacher.write(asked(max_tokens=3)), len(QUESTIONS))
    assert all(reply.finish == "length" and reply.tokens_out == 3 for reply in replies)


def test_requests_are_taken_only_as_slots_come_free():
    taken = []

    def stream():
        for request in asked():
            taken.append(request.index)
            yield request

    replies = pocket(slots=8).write(stream())
    next(replies)
    assert len(taken) <= 8


def test_a_prompt_longer_than_the_model_fails_alone(teacher):
    long = Request(0, text="cat " * 600, sampling=Sampling(max_tokens=5))
    replies = in_order(teacher.write([long, *[Request(1, text="cat", sampling=Sampling(max_tokens=5))]]), 2)
    assert "the model takes 512" in replies[0].error
    assert replies[1].error is None


def test_the_chances_of_single_token_labels_are_the_models_own(teacher, reference):
    model, tokenizer = reference
    text = teacher.template.render([{"role": "user", "content": QUESTIONS[0]}], ask=True)
    logits = model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits[0, -1]
    expected = logits.log_softmax(-1)[tokenizer.convert_tokens_to_ids(["1", "7"])]
    reply = next(iter(teacher.weigh([Request(0, messages=({"role": "user", "content": QUESTIONS[0]},), labels=("1", "7"))])))
    assert reply.weights == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_label_that_another_goes_on_from_weighs_less_what_the_other_takes(teacher, reference):
    model, tokenizer = reference
    text = teacher.template.render([{"role": "user", "content": QUESTIONS[0]}], ask=True)

    def chance(*tokens):
        ids = tokenizer.encode(text, add_special_tokens=False)
        total = 0.0
        for token in tokens:
            logits = model(torch.tensor([ids])).logits[0, -1].detach()
            total += float(logits.log_softmax(-1)[token])
            ids = [*ids, token]
        return total

    one, nought = tokenizer.convert_tokens_to_ids(["1", "0"])
    reply = next(iter(teacher.weigh([Request(0, messages=({"role": "user", "content": QUESTIONS[0]},), labels=("1", "10"))])))
    assert reply.weights == pytest.approx([log(exp(chance(one)) - exp(chance(one, nought))), chance(one, nought)], abs=1e-4)
    assert sum(map(exp, reply.weights)) == pytest.approx(exp(chance(one)))


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_embeddings_are_the_pooled_states_at_length_one_however_they_are_batched(pool, reference):
    model, tokenizer = reference
    replies = in_order(pocket(pool=pool).embed(Request(i, text=text) for i, text in enumerate(QUESTIONS)), len(QUESTIONS))
    for text, reply in zip(QUESTIONS[:6], replies, strict=False):
        states = model.model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).last_hidden_state[0]
        pooled = states.mean(0) if pool == "mean" else states[-1]
        assert reply.vector == pytest.approx((pooled / pooled.norm()).tolist(), abs=1e-5)


def test_rewards_are_the_classifiers_own_however_they_are_batched():
    model = AutoModelForSequenceClassification.from_pretrained(POCKET / "rewarder", dtype=torch.float64).eval()
    tokenizer = AutoTokenizer.from_pretrained(POCKET / "rewarder")
    talks = [({"role": "user", "content": q}, {"role": "assistant", "content": "The answer is cat."}) for q in QUESTIONS[:8]]
    replies = in_order(pocket("rewarder").reward(Request(i, messages=talk) for i, talk in enumerate(talks)), 8)
    for talk, reply in zip(talks, replies, strict=True):
        ids = tokenizer.apply_chat_template(list(talk), return_tensors="pt", return_dict=True)
        assert reply.reward == pytest.approx(float(model(**ids).logits[0, 0].detach()), abs=1e-5)


def test_the_same_weights_elsewhere_are_the_same_engine(tmp_path):
    import shutil

    copy = shutil.copytree(POCKET / "teacher", tmp_path / "elsewhere")
    here, there = pocket(), Local(Spec("local", str(copy), {"dtype": "float64", "slots": 3, "threads": 1}))
    assert here.identity() == there.identity()
    assert pocket("base").identity() != here.identity()
    assert pocket(dtype="float32").identity() != here.identity()
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert Local(Spec("local", str(copy), {"dtype": "float64"})).identity() != here.identity()


@pytest.mark.parametrize(
    ("model", "options", "told"),
    [
        ("pocket:teach", {}, "no pocket model 'teach'; did you mean 'teacher'"),
        ("./nowhere", {}, "model folder ./nowhere does not exist"),
        ("pocket:teacher", {"slot": 3}, "unknown option 'slot'; did you mean 'slots'"),
    ],
)
def test_a_wrong_model_or_option_is_named(model, options, told):
    with pytest.raises(EngineError, match=told):
        Local(Spec("local", model, options))


def test_a_hub_model_without_a_network_is_one_clear_error(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EngineError, match=r"cannot load nobody/nothing-at-all: .*a local folder works without a network"):
        list(Local(Spec("local", "nobody/nothing-at-all")).write([Request(0, text="a")]))


def test_a_stop_of_several_tokens_ends_a_text_before_it(teacher):
    talk = ({"role": "user", "content": "Repeat these words: cat dog fox."},)
    (whole,) = teacher.write([Request(0, messages=talk, sampling=Sampling(max_tokens=60))])
    middle = whole.text.index(" dog fox")
    (cut,) = teacher.write([Request(0, messages=talk, sampling=Sampling(max_tokens=60, stop=(" dog fox", "no such words")))])
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
    import transformers

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
    for text, n, reply in zip(texts, wanted, in_order(engine.write(requests), 4), strict=True):
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        whole = model.generate(**ids, max_new_tokens=n, do_sample=False, pad_token_id=0, eos_token_id=3)
        expected = tokenizer.decode(whole[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
        assert reply.text == expected


def test_a_model_with_recurrent_layers_is_refused_with_what_to_do():
    from types import SimpleNamespace

    from attar.engines.local.generation import check_layers

    text = SimpleNamespace(layer_types=["full_attention", "linear_attention"])
    with pytest.raises(EngineError, match=r"linear_attention cannot be refilled in this process: serve it"):
        check_layers(SimpleNamespace(get_text_config=lambda: text))


def test_scores_that_are_not_numbers_are_an_error_and_never_a_text(tmp_path):
    from safetensors.torch import load_file, save_file

    for file in (POCKET / "base").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.norm.weight"] *= float("nan")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EngineError, match="not numbers"):
        list(Local(Spec("local", str(tmp_path))).write([Request(0, text="cat")]))


@pytest.mark.parametrize("holds", [1, 3, 7])
def test_where_memory_runs_out_it_goes_on_with_fewer_slots_and_the_same_texts(teacher, monkeypatch, holds):
    hot = asked(temperature=1.0)
    expected = in_order(teacher.write(hot), len(hot))
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
    assert in_order(small.write(hot), len(hot)) == expected
    assert failed


def test_memory_that_runs_out_in_the_middle_of_writing_costs_time_and_nothing_else(teacher, monkeypatch):
    hot = asked(temperature=1.0)
    expected = in_order(teacher.write(hot), len(hot))
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
    assert in_order(small.write(hot), len(hot)) == expected
    assert max(calls[20:]) <= 4


def test_top_p_draws_from_the_smallest_set_that_holds_it_by_its_own_chances():
    from collections import Counter

    from attar.engines.local.generation import Job, _sampled

    def drawn(top_p, count=4000):
        jobs = [Job(i, [], Sampling(1.0, top_p), frozenset(), seed=i) for i in range(count)]
        logits = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64).log().expand(count, 3)
        return Counter(_sampled(logits, jobs, logits.argmax(-1))[1].tolist())

    assert set(drawn(0.5)) == {1}
    assert set(drawn(0.6)) == {1, 2}
    assert drawn(0.6)[1] / 4000 == pytest.approx(0.625, abs=0.03)
    assert [drawn(1.0)[token] / 4000 for token in (0, 1, 2)] == pytest.approx([0.2, 0.5, 0.3], abs=0.03)


def test_a_device_that_holds_not_even_one_row_is_an_error(monkeypatch):
    engine = pocket(slots=4)

    def never(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(engine.causal(), "forward", never)
    with pytest.raises(EngineError, match="does not hold one row"):
        list(engine.write(asked()))


def test_a_model_without_the_weights_for_its_role_is_refused_not_made_up():
    with pytest.raises(EngineError, match=r"pocket:teacher is no model that scores: it has no weights for score.weight"):
        list(pocket().reward([Request(0, messages=({"role": "user", "content": "a"},))]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"slots": -1}, "option 'slots' is -1, not a number above nought"),
        ({"threads": "one"}, "option 'threads' is 'one', not a number above nought"),
        ({"pool": "max"}, "option 'pool' is 'max', not 'mean', 'last' or 'cls'"),
        ({"slots": True}, "option 'slots' is True"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(options, told):
    with pytest.raises(EngineError, match=told):
        pocket(**options)


@pytest.mark.parametrize("options", [{"dtype": "float99"}, {"device": "tpu"}])
def test_a_device_or_precision_that_is_not_there_is_one_error(options):
    with pytest.raises(EngineError, match="cannot load pocket:teacher with"):
        list(pocket(**options).write(asked()))


@pytest.mark.parametrize("sampling", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"max_tokens": 0}])
def test_a_sampling_that_makes_no_sense_is_refused(sampling):
    from attar.core.errors import RecipeError

    with pytest.raises(RecipeError, match="top_p above 0"):
        Sampling(**sampling)


@pytest.mark.parametrize("text", ["<s>[INST] ", "[INST] "])
def test_a_prefix_is_tokenised_with_exactly_one_bos_whether_its_template_writes_it_or_not(text):
    from tokenizers import AddedToken

    engine = Local(Spec("local", "pocket:teacher"))
    engine.tokenizer.add_special_tokens({"bos_token": AddedToken("<s>", special=True)})
    bos = engine.tokenizer.bos_token_id
    plain = engine.tokenizer.encode
    engine.tokenizer.encode = lambda text, add_special_tokens=True: (  # as tokenizers do that write one
        [bos] * add_special_tokens + plain(text, add_special_tokens=False)
    )
    assert engine.tokens(text).count(bos) == 1
    assert engine.tokens(text)[0] == bos
