"""Prices of models: from the run file (`price`), the user's table (ATTAR_PRICES, a YAML file), or the few known here.

Prices are dollars per million tokens, `input` and `output`, or per `hour` for your own server. An unknown price is not zero.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from yarl import URL

from attar.core.errors import EngineError
from attar.engines.base import Spec
from attar.engines.registry import kind_of

KNOWN_PRICES = {
    # as reported in the autumn of 2026; the providers' own pages decide
    "api.openai.com/gpt-4o-mini": {"input": 0.15, "output": 0.60},
    "api.openai.com/gpt-5.4-mini": {"input": 0.75, "output": 4.50},
    "api.openai.com/gpt-6-luna": {"input": 0.10, "output": 0.50},
    "api.openai.com/gpt-6-sol": {"input": 2.00, "output": 10.00},
    "api.openai.com/gpt-6.2-sol": {"input": 2.00, "output": 10.00},
    "api.anthropic.com/claude-haiku-4-5": {"input": 1.00, "output": 5.00},
    "api.anthropic.com/claude-sonnet-4-5": {"input": 3.00, "output": 15.00},
    "generativelanguage.googleapis.com/gemini-2.5-flash-lite": {"input": 0.10, "output": 0.40},
    "generativelanguage.googleapis.com/gemini-2.5-flash": {"input": 0.30, "output": 2.50},
    "generativelanguage.googleapis.com/gemini-2.5-pro": {"input": 1.25, "output": 10.00},  # prompts up to 200,000 tokens
}


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million input and output tokens, and per hour."""

    input: float = 0.0
    output: float = 0.0
    hour: float = 0.0

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """The cost of a reply."""
        return (tokens_in * self.input + tokens_out * self.output) / 1e6


def price_of(spec: Spec) -> Price | None:
    """The price of an engine; None if unknown. A batch costs half the price in a table."""
    share = kind_of(spec).price_share
    if (price := spec.options.get("price")) is not None:
        return Price(**price)
    url = spec.options.get("url")
    if not isinstance(url, str):
        return None
    price = {**KNOWN_PRICES, **_user_prices(os.environ.get("ATTAR_PRICES", ""))}.get(f"{URL(url).host}/{spec.model}")
    if price is None:
        return None
    return Price(price.get("input", 0.0) * share, price.get("output", 0.0) * share, price.get("hour", 0.0))


@cache
def _user_prices(path: str) -> dict[str, dict[str, float]]:
    """A user's table: `host/model: {input: ..., output: ...}`."""
    if not path:
        return {}
    import yaml

    try:
        table: Any = yaml.safe_load(Path(path).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EngineError(f"ATTAR_PRICES names {path}, which cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(table, dict) or not all(_is_price(price) for price in table.values()):
        raise EngineError(
            f"{path}: a price is written as  host/model: {{input: 0.15, output: 0.60}}  (dollars per million tokens)"
        )
    return table


def _is_price(value: Any) -> bool:
    return isinstance(value, dict) and all(
        key in ("input", "output", "hour") and isinstance(number, int | float) and number >= 0 for key, number in value.items()
    )
