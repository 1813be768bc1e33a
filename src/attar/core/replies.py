"""Parse model replies: one option of a set, a number, JSON, a ranking. A parser returns a value or a Failure, never a default.

Label probabilities give an expected score. The total probability of the labels (the mass) is reported beside it; if it is too
small, the model would have replied with something else, and there is no score.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, isfinite
from typing import Any

LEAST_MASS = 0.1
Weights = tuple[float, ...] | str
"""Log-probabilities of labels, or the reason why there are none."""
Scored = tuple[float | None, float | None, str | None]
"""A score, the total probability of all labels, and the reason if there is no score."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a reply could not be read."""

    reason: str


_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w%]|\.\d)")


def parse_choice(text: str, options: Iterable[str]) -> str | Failure:
    """The one option that a reply names, ignoring case; two different options are a failure."""
    known = {option.casefold(): option for option in options}
    flat = text.casefold()
    if (exact := flat.strip(" \t\r\n.\"'`*")) in known:
        return known[exact]
    longest_first = sorted(known, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")
    named = set(pattern.findall(flat))
    if len(named) == 1:
        return known[named.pop()]
    return Failure("names no option" if not named else f"names {len(named)} options")


def parse_number(text: str, least: float, most: float) -> float | Failure:
    """The one number of a reply, within bounds."""
    values = {float(match) for match in _NUMBER.findall(text)}
    if len(values) != 1:
        return Failure("no number" if not values else f"{len(values)} numbers")
    value = values.pop()
    return value if least <= value <= most else Failure(f"number outside {least:g} to {most:g}")


def parse_json_object(text: str) -> dict[str, Any] | Failure:
    """The first JSON object of a reply, fenced or bare; a truncated object is a failure."""
    start, reason = text.find("{"), "no JSON object"
    while start >= 0:
        try:
            value, _ = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            message = error.args[0]
            truncated = getattr(error, "pos", 0) >= len(text.rstrip()) or message.startswith("Unterminated")
            if truncated:  # an object nested in it is not the reply
                return Failure("truncated JSON")
            reason = f"broken JSON: {message.split(':')[0]}"
            start = text.find("{", start + 1)
            continue
        return value
    return Failure(reason)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON: {constant}")


def parse_ranking(text: str, count: int) -> list[int] | Failure:
    """The order of items 1 to count, best first, from a reply such as '3 > 1 > 2' or '[3] [1] [2]'."""
    order = [int(digits) if len(digits) < 10 else 0 for digits in re.findall(r"\d+", text)]
    if sorted(order) != list(range(1, count + 1)):
        return Failure(f"not an order of 1 to {count}")
    return order


def replace_surrogates(text: str) -> str:
    """Text that can be encoded: half a surrogate pair, as truncation can leave, becomes U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def expected_score(weights: Weights, values: Sequence[float], least_mass: float, *, rounded: bool = False) -> Scored:
    """The expected value under the labels' probabilities; with `rounded` the most probable value."""
    if isinstance(weights, str):
        return None, None, weights
    probabilities = _probabilities(weights)
    mass = sum(probabilities)
    if mass < least_mass or mass == 0:
        return None, mass, f"the judge gives the answers that may be {mass:.2g} of its probability"
    if rounded:
        return float(values[max(range(len(values)), key=probabilities.__getitem__)]), mass, None
    return sum(value * p for value, p in zip(values, probabilities, strict=True)) / mass, mass, None


def label_probabilities(weights: Weights) -> list[float] | None:
    """The probability of each label among the labels (normalised to sum to 1); None if unknown."""
    probabilities = [] if isinstance(weights, str) else _probabilities(weights)
    mass = sum(probabilities)
    return [p / mass for p in probabilities] if mass > 0 else None


def _probabilities(weights: Sequence[float]) -> list[float]:
    return [exp(min(weight, 0.0)) if isfinite(weight) else 0.0 for weight in weights]
