"""Model replies to values: one of a set, a number, JSON, a ranking. Each gives it or a named Failure, never a default.

Labels that were weighed give the mean of their numbers. How much probability they hold together is kept beside it; where that
is little, the model would have said something else, and there is no value.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, isfinite
from typing import Any

LEAST_MASS = 0.1
Weights = tuple[float, ...] | str
"""Log-probabilities of labels, or why there are none."""
Scored = tuple[float | None, float | None, str | None]
"""A score, the probability that all labels hold together, and why there is no score."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a reply could not be read."""

    reason: str


_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w%]|\.\d)")


def parse_choice(text: str, options: Iterable[str]) -> str | Failure:
    """The one option that a reply names, whatever its case; two different ones are a failure."""
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
    found = {float(match) for match in _NUMBER.findall(text)}
    if len(found) != 1:
        return Failure("no number" if not found else f"{len(found)} numbers")
    value = found.pop()
    return value if least <= value <= most else Failure(f"number outside {least:g} to {most:g}")


def parse_json_object(text: str) -> dict[str, Any] | Failure:
    """The first JSON object of a reply, fenced or bare; one that is cut off is a failure, whatever it holds."""
    start, reason = text.find("{"), "no JSON object"
    while start >= 0:
        try:
            value, _ = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            told = error.args[0]
            if getattr(error, "pos", 0) >= len(text.rstrip()) or told.startswith(
                "Unterminated"
            ):  # what is within is not the reply
                return Failure("JSON cut off")
            reason = f"broken JSON: {told.split(':')[0]}"
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
    """Text that can be kept: a half of a surrogate pair, as a cut can leave, becomes the sign for it."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def expected_score(weights: Weights, values: Sequence[float], least_mass: float, *, rounded: bool = False) -> Scored:
    """The mean of the values by their labels' weights; `rounded`: the likeliest value."""
    if isinstance(weights, str):
        return None, None, weights
    chances = _probabilities(weights)
    mass = sum(chances)
    if mass < least_mass or mass == 0:
        return None, mass, f"the judge gives the answers that may be {mass:.2g} of its probability"
    if rounded:
        return float(values[max(range(len(values)), key=chances.__getitem__)]), mass, None
    return sum(value * chance for value, chance in zip(values, chances, strict=True)) / mass, mass, None


def label_probabilities(weights: Weights) -> list[float] | None:
    """How likely each label is among all of them; None where nothing is known of them."""
    chances = [] if isinstance(weights, str) else _probabilities(weights)
    mass = sum(chances)
    return [chance / mass for chance in chances] if mass > 0 else None


def _probabilities(weights: Sequence[float]) -> list[float]:
    return [exp(min(weight, 0.0)) if isfinite(weight) else 0.0 for weight in weights]
