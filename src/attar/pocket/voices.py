"""What the pocket teacher does behind a system turn: tag a task, write a task for a persona, rate an answer."""

from dataclasses import dataclass
from random import Random

from attar.pocket.lexicon import FACTS, GROUPS, LEVELS

TAG = "Tag this task."
JUDGE = "Rate this answer from 1 to 5."
TRADES = {
    "clerk": "math",
    "banker": "math",
    "editor": "editing",
    "printer": "editing",
    "detective": "reasoning",
    "lawyer": "reasoning",
    "guide": "information seeking",
    "sailor": "information seeking",
}


def persona_system(hardness: int) -> str:
    """The system turn that asks for a task of a level."""
    return f"Write one {LEVELS[hardness]} task for this person."


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody of the pocket world: the trade decides the kind of task, the liking its words."""

    trade: str
    land: str
    likes: str

    @classmethod
    def draw(cls, rng: Random) -> "Persona":
        """Any of the 384 people."""
        return cls(rng.choice(tuple(TRADES)), rng.choice(tuple(FACTS)), rng.choice(tuple(GROUPS)))

    @property
    def category(self) -> str:
        """The kind of task that this person asks about."""
        return TRADES[self.trade]

    @property
    def text(self) -> str:
        """The persona in a sentence."""
        return f"A {self.trade} from {self.land} who likes {self.likes}."
