import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5Model,
)

from attar.core.errors import EngineError
from attar.engines.base import Request, Spec, in_order
from attar.engines.journaling import Journaled
from attar.engines.local.engine import Local

WORDS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", *"abcdefgh"]
TEXTS = ["a b c", "d", "e f g h a b c d e f g h", "b b", "a b c d e f g h a b c d e f g h a b c d"]
SMALL = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32, "vocab_size": len(WORDS)}


def tokenizer():
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    frame = [("[CLS]", 0), ("[SEP]", 2)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=frame)
    named = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **named)


def saved(folder, model):
    torch.manual_seed(7)
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.4)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def bert(tmp_path):
    return saved(tmp_path / "bert", BertModel(BertConfig(**SMALL, max_position_embeddings=16, pad_token_id=1)))


def put(folder, name, said):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(said))


def as_sentence_transformer(folder, pooling, *more):
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense", "3_Normalize": "Normalize", "4_Odd": "CNN"}
    listed = [{"path": path, "type": f"sentence_transformers.models.{kinds[path]}"} for path in ("", "1_Pooling", *more)]
    put(folder, "modules.json", listed)
    put(folder, "1_Pooling/config.json", pooling)


def vectors(folder, texts=TEXTS, **options):
    replies = in_order(local(folder, **options).embed(Request(i, text=text) for i, text in enumerate(texts)), len(texts))
    return np.array([reply.vector for reply in replies]), replies


def local(folder, **options):
    return Local(Spec("local", str(folder), options))


def states(folder, words):
    """The last layer's states of [CLS], these words, [SEP], read alone by transformers' own forward."""
    ids = [0, *map(WORDS.index, words), 2]
    with torch.inference_mode():
        return AutoModel.from_pretrained(folder).eval()(input_ids=torch.tensor([ids])).last_hidden_state[0].numpy()


def unit(row):
    return row / np.linalg.norm(row)


POOLED = {"mean": lambda found: found.mean(0), "cls": lambda found: found[0], "last": lambda found: found[-1]}


@pytest.mark.parametrize("pool", POOLED)
def test_a_text_is_read_between_the_models_own_special_tokens_cut_where_its_positions_end(bert, pool):
    found, replies = vectors(bert, pool=pool)
    for text, row in zip(TEXTS, found, strict=True):
        assert row == pytest.approx(unit(POOLED[pool](states(bert, text.split()[:14]))), abs=1e-5)
    assert [reply.finish for reply in replies] == ["stop", "stop", "stop", "stop", "length"]
    assert [reply.tokens_in for reply in replies] == [5, 3, 14, 4, 16]


@pytest.mark.parametrize(
    ("said", "pool"),
    [
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": "lasttoken", "include_prompt": True}, "last"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}, "mean"),
    ],
)
def test_a_sentence_transformers_folder_says_how_it_pools_how_much_it_reads_and_what_comes_first(bert, said, pool):
    as_sentence_transformer(bert, said, "3_Normalize")
    put(bert, "sentence_bert_config.json", {"max_seq_length": 8, "do_lower_case": True})
    put(
        bert, "config_sentence_transformers.json", {"prompts": {"query": "h G ", "other": "a "}, "default_prompt_name": "query"}
    )
    found, _ = vectors(bert)
    assert found[2] == pytest.approx(unit(POOLED[pool](states(bert, "hgefgh"))), abs=1e-5)
    ours, _ = vectors(bert, pool="mean", longest=5, prefix="")
    assert ours[2] == pytest.approx(unit(states(bert, "efg").mean(0)), abs=1e-5)


def test_a_dense_layer_behind_the_pooling_is_gone_through(bert):
    as_sentence_transformer(bert, {"pooling_mode": "mean"}, "2_Dense", "3_Normalize")
    put(bert, "2_Dense/config.json", {"activation_function": "torch.nn.modules.activation.Tanh"})
    weight, bias = torch.randn(5, 24), torch.randn(5)
    save_file({"linear.weight": weight, "linear.bias": bias}, bert / "2_Dense" / "model.safetensors")
    found, _ = vectors(bert)
    expected = np.tanh(weight.numpy() @ states(bert, "abc").mean(0) + bias.numpy())
    assert found[0] == pytest.approx(unit(expected), abs=1e-5)


@pytest.mark.parametrize(
    ("said", "more", "told"),
    [
        ({"pooling_mode": "max"}, [], r"1_Pooling/config.json: unsupported pooling 'max'; set `pool: mean`"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, [], "unsupported pooling"),
        ({"pooling_mode": "mean", "include_prompt": False}, [], "unsupported pooling"),
        ({"pooling_mode": "mean"}, ["4_Odd"], "unsupported module 'CNN'"),
        ({"pooling_mode": "mean"}, ["2_Dense"], r"a dense layer needs a model\.safetensors"),
    ],
)
def test_what_a_folder_asks_for_and_cannot_be_done_is_refused_by_name(bert, said, more, told):
    as_sentence_transformer(bert, said, *more)
    with pytest.raises(EngineError, match=told):
        vectors(bert)


def test_positions_are_counted_as_the_model_counts_them(tmp_path):
    config = RobertaConfig(**SMALL, max_position_embeddings=40, pad_token_id=1)
    folder = saved(tmp_path / "roberta", RobertaModel(config))
    found, _ = vectors(folder)
    for text, row in zip(TEXTS, found, strict=True):
        assert row == pytest.approx(unit(states(folder, text.split()).mean(0)), abs=1e-5)


def test_of_a_model_with_a_decoder_the_encoder_is_used(tmp_path):
    config = T5Config(vocab_size=len(WORDS), d_model=24, d_kv=6, d_ff=32, num_layers=2, num_heads=4, pad_token_id=1)
    folder = saved(tmp_path / "t5", T5Model(config))
    with torch.inference_mode():
        read = T5Model.from_pretrained(folder).eval().get_encoder()(input_ids=torch.tensor([[0, 4, 5, 6, 2]])).last_hidden_state
    assert vectors(folder)[0][0] == pytest.approx(unit(read[0].mean(0).numpy()), abs=1e-5)


def test_half_the_bits_of_the_weights_turn_a_vector_hardly(bert):
    exact, rough = vectors(bert)[0], vectors(bert, dtype="bfloat16")[0]
    assert not np.array_equal(exact, rough)
    assert np.einsum("ij,ij->i", exact, rough).min() > 0.995


def test_a_checkpoint_without_the_layer_behind_cls_still_embeds(tmp_path):
    folder = saved(tmp_path / "bare", BertModel(BertConfig(**SMALL, pad_token_id=1), add_pooling_layer=False))
    assert vectors(folder)[0][0] == pytest.approx(unit(states(folder, "abc").mean(0)), abs=1e-5)


def test_another_pooling_length_or_prefix_is_another_engine(bert):
    known = {local(bert, **options).identity() for options in ({}, {"pool": "cls"}, {"longest": 8}, {"prefix": "a "})}
    for pooling in ("mean", "cls"):
        as_sentence_transformer(bert, {"pooling_mode": pooling})
        known.add(local(bert).identity())
    assert len(known) == 6


def test_a_rerun_opens_no_model_and_gets_the_very_same_vectors(bert, journal, monkeypatch):
    def embedded():
        engine = Journaled(local(bert), journal)
        return in_order(engine.embed(Request(i, text=text) for i, text in enumerate(TEXTS)), len(TEXTS)), engine.sent_count

    first, asked = embedded()
    monkeypatch.setattr(Local, "_open", None)
    assert embedded() == (first, 0)
    assert asked == len(TEXTS)
