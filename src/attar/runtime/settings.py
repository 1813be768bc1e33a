"""How to run: sizes of parts, limits on failures, and whether failed rows are asked again. No setting changes a reply."""

from dataclasses import dataclass
from typing import Literal, get_args

from attar.core.errors import RecipeError

Retry = Literal["transient", "always", "none"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How to run; no setting changes the results."""

    shard: int | None = None
    """Rows of a part, in steps with an engine; the default depends on the engine's kind (usually 1,000)."""
    bulk: int = 20_000
    """Rows of a part, in steps without an engine."""
    max_failures: float = 0.2
    """A step stops when more than this share of its rows has failed, truncated ones aside (checked from 20 rows on)."""
    max_truncated: float = 0.5
    """A step stops when more than this share of its rows was cut off at the token limit."""
    retry: Retry = "transient"
    """`transient`: rows of complete steps that failed for reasons that pass are asked again, unless a model was trained on
    what came of them; `always`: then too; `none`: never."""

    def __post_init__(self) -> None:
        if (self.shard is not None and self.shard < 1) or self.bulk < 1:
            raise RecipeError(f"{self}: shard and bulk must be >= 1")
        if not 0 <= self.max_failures <= 1 or not 0 <= self.max_truncated <= 1:
            raise RecipeError(f"{self}: max_failures and max_truncated must be from 0 to 1")
        if self.retry not in get_args(Retry):
            raise RecipeError(f"retry must be {' or '.join(get_args(Retry))}, got {self.retry!r}")


USUAL = Settings()
"""How a run goes whose file does not say otherwise."""
