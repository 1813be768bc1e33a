import shutil
from math import exp, log

import pytest
import torch
from chat_families import FAMILIES
from pocket_for_tests import QUESTIONS, asked, pocket
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from attar.core.errors import EngineError
from attar.engines.base import Request, Sampling, Spec, in_order
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET


def test_a_prompt_longer_than_the_model_fails_alone(teacher):
    long = Request(0, text="cat " * 600, sampling=Sampling(max_tokens=5))
    replies = in_order(teacher.generate([long, *[Request(1, text="cat", sampling=Sampling(max_tokens=5))]]), 2)
    assert "the model takes at most 512" in replies[0].error
    assert replies[1].error is None


STEERED = {
    "Gemma 2": "<start_of_turn>user\nBe brief.\n\n{}<end_of_turn>\n<start_of_turn>model\n",
    "Mistral v0.1": "[INST] Be brief.\n\n{} [/INST]",
}


@pytest.mark.parametrize(("name", "text"), STEERED.items(), ids=STEERED)
def test_a_system_turn_that_the_template_refuses_opens_the_question(name, text, tmp_path):
    folder = shutil.copytree(POCKET / "teacher", tmp_path / "model")
    (folder / "chat_template.jinja").write_text(FAMILIES[name].source)
    engine = Local(Spec("local", str(folder), {"slots": 2, "dtype": "float64"}))
    steered = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTIONS[0]})
    bos = engine.template.tokens.get("bos_token", "")
    sampling = Sampling(max_tokens=8)
    requests = [
        Request(0, messages=steered, sampling=sampling),
        Request(1, text=bos + text.format(QUESTIONS[0]), sampling=sampling),
    ]
    ours, by_hand = in_order(engine.generate(requests), 2)
    assert ours.error is None
    assert (ours.text, ours.tokens_in) == (by_hand.text, by_hand.tokens_in)
    (unsteered,) = engine.generate([Request(0, messages=steered[1:], sampling=sampling)])
    assert ours.tokens_in == unsteered.tokens_in + len(engine.tokenizer.encode("Be brief.\n\n", add_special_tokens=False))


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
        list(Local(Spec("local", "nobody/nothing-at-all")).generate([Request(0, text="a")]))


def test_a_model_without_the_weights_for_its_role_is_refused_not_made_up():
    with pytest.raises(EngineError, match=r"pocket:teacher is not a model for rewards: it has no weights for score.weight"):
        list(pocket().reward([Request(0, messages=({"role": "user", "content": "a"},))]))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"slots": -1}, "option 'slots' is -1: input should be greater than or equal to 1"),
        ({"threads": "one"}, "option 'threads' is 'one': input should be a valid integer"),
        ({"pool": "max"}, "option 'pool' is 'max': input should be 'mean', 'last' or 'cls'"),
        ({"slots": True}, "option 'slots' is True"),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(options, told):
    with pytest.raises(EngineError, match=told):
        pocket(**options)


@pytest.mark.parametrize("options", [{"dtype": "float99"}, {"device": "tpu"}])
def test_a_device_or_precision_that_is_not_there_is_one_error(options):
    with pytest.raises(EngineError, match="cannot load pocket:teacher with"):
        list(pocket(**options).generate(asked()))


@pytest.mark.parametrize("sampling", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"max_tokens": 0}])
def test_a_sampling_that_makes_no_sense_is_refused(sampling):
    from attar.core.errors import RecipeError

    with pytest.raises(RecipeError, match="top_p > 0"):
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
