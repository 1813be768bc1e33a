from array import array
from math import inf, isfinite, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attar.engines.base import Reply, Request
from attar.engines.http import payloads
from attar.engines.http.failures import FailedTry


def rows(count):
    return [Request(10 + place) for place in range(count)]


def only(found):
    [result] = found
    return result


def test_embeddings_are_made_one_long_and_go_where_their_number_says():
    data = [{"index": 1, "embedding": [0, -2]}, {"index": 0, "embedding": [3, 4.0]}]
    first, second = payloads.read_vectors({"data": data}, rows(2))
    assert first == Reply(10, vector=array("f", [0.6, 0.8]))
    assert second == Reply(11, vector=array("f", [0.0, -1.0]))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8).filter(lambda values: max(map(abs, values)) > 1e-6))
def test_an_embedding_s_length_is_one_and_its_direction_kept(values):
    vector = only(payloads.read_vectors({"data": [{"embedding": values}]}, rows(1))).vector
    assert sum(value * value for value in vector) == pytest.approx(1)
    assert all(new * old >= 0 for new, old in zip(vector, values, strict=True))


def test_an_embedding_of_noughts_is_the_row_s_error():
    assert only(payloads.read_vectors({"data": [{"embedding": [0.0, 0]}]}, rows(1))).error == "the embedding is all zeros"


@pytest.mark.parametrize("values", [None, [], "AAAA", [1, None], [1, True], [float("nan")], [inf], {"0": 1}])
def test_an_embedding_that_is_no_list_of_numbers_is_asked_again(values):
    mishap = only(payloads.read_vectors({"data": [{"embedding": values}]}, rows(1)))
    assert isinstance(mishap, FailedTry)
    assert mishap.retry


def test_fewer_embeddings_than_texts_leave_the_rest_to_be_asked_again():
    first, second = payloads.read_vectors({"data": [{"index": 1, "embedding": [1]}]}, rows(2))
    assert isinstance(first, FailedTry)
    assert second == Reply(11, vector=array("f", [1.0]))


@pytest.mark.parametrize(
    ("read", "item"),
    [
        (payloads.read_vectors, {"embedding": [10**400]}),
        (payloads.read_vectors, {"embedding": [10**200, 1]}),
        (payloads.read_rewards, {"probs": [10**400]}),
    ],
)
def test_a_number_too_large_to_be_one_is_no_more_than_a_mishap(read, item):
    result = only(read({"data": [item]}, rows(1)))
    assert isinstance(result, FailedTry) or result.vector == pytest.approx((1, 0))


def test_large_numbers_too_become_a_vector_one_long():
    vector = only(payloads.read_vectors({"data": [{"embedding": [3e200, 4e200]}]}, rows(1))).vector
    assert vector == pytest.approx((0.6, 0.8))


def test_shares_of_the_usage_of_several_texts_add_up_to_it():
    data = [{"index": place, "embedding": [1.0], "probs": [0.5]} for place in range(3)]
    for read in (payloads.read_vectors, payloads.read_rewards):
        assert sum(reply.tokens_in for reply in read({"data": data, "usage": {"prompt_tokens": 32}}, rows(3))) == 32


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": [{"index": 0, "label": "LABEL_0", "probs": [-1.5], "num_classes": 1}]},
        {"object": "list", "data": [{"index": 0, "object": "pooling", "data": [-1.5]}]},
        {"object": "list", "data": [{"index": 0, "object": "pooling", "data": -1.5}]},
        {"object": "list", "data": [{"index": 0, "object": "pooling", "data": [[-1.5]]}]},
        [{"embedding": [-1.5], "meta_info": {"prompt_tokens": 3}}],
        {"data": [{"index": 0, "score": -1.5}]},
    ],
)
def test_a_reward_is_read_in_vllm_s_forms_and_sglang_s(body):
    assert only(payloads.read_rewards(body, rows(1))) == Reply(10, reward=-1.5)


def test_a_classifier_is_no_reward_model():
    mishap = only(payloads.read_rewards({"data": [{"index": 0, "label": "POSITIVE", "probs": [0.1, 0.9]}]}, rows(1)))
    assert isinstance(mishap, FailedTry)
    assert not mishap.retry
    assert str(mishap) == "2 numbers, expected 1: this is a classifier, not a reward model"


@pytest.mark.parametrize("value", [None, [], ["good"], [None], [float("nan")], [[]], {"score": 1}])
def test_a_reward_that_is_no_number_is_never_kept(value):
    assert isinstance(only(payloads.read_rewards({"data": [{"probs": value}]}, rows(1))), FailedTry)


@pytest.mark.parametrize(("dialect", "key"), [("vllm", "input"), ("other", "input"), ("sglang", "text")])
def test_rewards_are_asked_for_bare(dialect, key):
    body = payloads.rewards_body(["a", "b"], dialect)
    assert body[key] == ["a", "b"]
    if key == "input":
        assert body["add_special_tokens"] is body["use_activation"] is body["activation"] is body["softmax"] is False


def told(**logprobs):
    return {"choices": [{"index": 0, "finish_reason": "length", "message": {"content": "A"}, "logprobs": logprobs}]}


def test_log_probabilities_of_a_chat():
    tops = [{"token": "A", "bytes": [65], "logprob": -0.1}, {"token": " B", "bytes": None, "logprob": -2}]
    content = [{"token": "A", "logprob": -0.1, "top_logprobs": tops}, {"token": "x", "logprob": -9, "top_logprobs": []}]
    assert payloads.read_logprobs(told(content=content)) == [("A", -0.1), (" B", -2.0)]


def test_log_probabilities_of_a_chat_that_tells_only_the_token_itself():
    assert payloads.read_logprobs(told(content=[{"token": "A", "logprob": -0.1, "top_logprobs": []}])) == [("A", -0.1)]


def test_log_probabilities_of_a_legacy_completion():
    legacy = {"tokens": ["A"], "token_logprobs": [-0.1], "top_logprobs": [{"A": -0.1, " B": -2}], "text_offset": [0]}
    assert payloads.read_logprobs(told(**legacy)) == [("A", -0.1), (" B", -2.0)]


def test_log_probabilities_by_token_id():
    tops = [{"token": "token_id:32", "logprob": -0.1}, {"token": "token_id:x", "logprob": -1}]
    assert payloads.read_logprobs(told(content=[{"token": "token_id:32", "logprob": -0.1, "top_logprobs": tops}])) == [
        (32, -0.1),
        ("token_id:x", -1.0),
    ]
    assert payloads.read_logprobs(told(top_logprobs=[{"token_id:32": -0.1, "token_id:7": -2.0}])) == [(32, -0.1), (7, -2.0)]
    own = [{"id": 32, "token": "A", "logprob": -0.1}, {"id": 7, "token": "B", "logprob": -2.0}]
    assert payloads.read_logprobs(told(content=[{"id": 32, "token": "A", "logprob": -0.1, "top_logprobs": own}])) == [
        (32, -0.1),
        (7, -2.0),
    ]


def test_log_probabilities_that_are_none_are_left_out():
    tops = [{"token": "A", "logprob": -0.1}, {"token": "B", "logprob": None}, {"token": "C", "logprob": -inf}]
    assert payloads.read_logprobs(told(content=[{"token": "A", "logprob": -0.1, "top_logprobs": tops}])) == [("A", -0.1)]


@pytest.mark.parametrize("logprobs", [None, {}, {"content": []}, {"content": None}, {"top_logprobs": []}])
def test_a_reply_without_log_probabilities_is_a_mishap(logprobs):
    with pytest.raises(FailedTry, match="no log-probabilities"):
        payloads.read_logprobs({"choices": [{"logprobs": logprobs}]})


@pytest.mark.parametrize(
    "logprobs",
    [
        [1],
        {"content": ["x"]},
        {"content": [{"top_logprobs": "abc"}]},
        {"content": [{"id": None, "logprob": -1.0}]},
        {"top_logprobs": [None]},
        {"top_logprobs": ["x"]},
    ],
)
def test_log_probabilities_of_another_shape_are_a_mishap(logprobs):
    with pytest.raises(FailedTry):
        payloads.read_logprobs({"choices": [{"logprobs": logprobs}]})


def test_a_token_whose_name_only_looks_like_an_id_keeps_its_name():
    assert payloads.read_logprobs(told(top_logprobs=[{"token_id:\u00b2": -1.0}])) == [("token_id:\u00b2", -1.0)]


def test_a_label_s_weight_is_the_sum_over_its_spellings():
    found = [(" yes", log(0.3)), ("yes", log(0.2)), ("Yes", log(0.15)), ("no", log(0.1)), (7, log(0.05))]
    assert payloads.match_labels(found, ("no", "yes", "maybe")) == pytest.approx((log(0.1), log(0.5), -inf))


def test_a_log_probability_that_can_be_none_stops_nothing():
    assert len(payloads.match_labels([("A", 1e6)], ("A", "B"))) == 2


@given(st.lists(st.tuples(st.sampled_from(["A", " A", "A ", "B", "C"]), st.floats(-50, 0)), max_size=8))
def test_label_weights_are_numbers_or_minus_infinity(found):
    for label, weight in zip("AB", payloads.match_labels(found, ("A", "B")), strict=True):
        assert isfinite(weight) == any(token.strip() == label for token, _ in found)


LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=3)
JSON = st.recursive(
    LEAVES,
    lambda x: (
        st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["data", "index", "embedding", "probs"]), x, max_size=4)
    ),
    max_leaves=15,
)


@given(JSON | st.fixed_dictionaries({"data": JSON}), st.integers(1, 3))
def test_whatever_json_comes_a_number_is_finite_or_there_is_none(body, count):
    for read in (payloads.read_vectors, payloads.read_rewards):
        try:
            found = read(body, rows(count))
        except FailedTry:
            continue
        assert [place for place, result in enumerate(found) if isinstance(result, Reply) and result.index != 10 + place] == []
        numbers = [
            number for result in found if isinstance(result, Reply) for number in (*(result.vector or ()), result.reward)
        ]
        assert all(isfinite(number) for number in numbers if number is not None)
