"""Judges of the built-in pairs, as label log-probabilities: each takes a request and gives the labels' probabilities."""

from math import log

from engines_for_tests import Scripted

from attar.stages.evaluate.judging.judge_check_pairs import PAIRS

BETTER = tuple(pair.better for pair in PAIRS)
TINY = 1e-9


def logs(shares):
    return [log(max(share, TINY)) for share in shares]


def text_of(request):
    return request.messages[-1]["content"]


def on(label, labels, mass=1.0):
    """All of the probability that the labels have on one of them."""
    return logs([mass if other == label else 0.0 for other in labels])


def shows_better(request):
    """Of a rating: whether the answer is a better one."""
    return text_of(request).rsplit("\n\nYour grade:", 1)[0].rsplit("\n\nAnswer:\n", 1)[1] in BETTER


def better_is_first(request):
    """Of a comparison: whether the better answer is shown first."""
    text = text_of(request)
    pair = next(pair for pair in PAIRS if pair.prompt in text and pair.better in text and pair.worse in text)
    first, second = (f"\n{answer}\n-----" for answer in (pair.better, pair.worse))
    return text.index(first) < text.index(second)


def rates(request):
    return len(request.labels) > 2


def good(request):
    """Rates the better answer 9 and the worse 2; picks the better one wherever it is shown."""
    if rates(request):
        return on("9" if shows_better(request) else "2", request.labels, 0.9)
    return on(request.labels[0 if better_is_first(request) else 1], request.labels, 0.9)


def picks_second(request):
    """Rates well, but picks whatever is shown second."""
    return good(request) if rates(request) else on(request.labels[1], request.labels, 0.9)


def without_mass(request):
    """Its next token is no label, for all but a hundredth of its probability."""
    return logs([0.01 / len(request.labels)] * len(request.labels))


def constant(request):
    """Finds every answer worth a 7, and picks well."""
    return on("7", request.labels, 0.9) if rates(request) else good(request)


def judge(say):
    return Scripted(say)
