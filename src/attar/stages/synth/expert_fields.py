"""The built-in personas: who knows what, in which role and where, put together so that nonsense is rare.

Settings and roles belong to a domain, so that no watchmaker works at a court. Every combination is one sentence; all of them
are made each time, which takes a moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from attar.stages.synth.expert_fields_nature import NATURE
from attar.stages.synth.expert_fields_society import SOCIETY

ROLES = {
    "research": "{one} who works {place}, doing research on {topic}.",
    "practise": "{one} with long experience of {topic}, who works {place}.",
    "teach": "{one} who works {place}, teaching {newcomers} about {topic}.",
    "review": "{one} who works {place}, reviewing other people's work on {topic}. Every objection has to be justified.",
    "invent": "{one} who works {place}, searching for a new approach to {topic}.",
    "alone": "{new} who works {place}, left alone for the first time with {topic}.",
    "advise": "{one} who works {place}, advising people outside the field on {topic}.",
    "lead": "{one} who works {place}, at the head of a small team for {topic}.",
    "write": "{one} who works {place}, writing a handbook on {topic}.",
    "doubt": "{one} who works {place}. They doubt what most colleagues believe about {topic}, and look for evidence.",
    "change": "{one} who works {place}. They came to the profession late and now specialise in {topic}.",
    "trouble": "{one} who works {place}. Others turn to them when they are stuck with {topic}.",
}


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain: who is new in it, the roles and settings that suit it, and its fields with their topics."""

    name: str
    newcomers: str
    roles: tuple[str, ...]
    places: tuple[str, ...]
    fields: dict[str, tuple[str, ...]]


def domains() -> list[Domain]:
    """All domains, in file order."""
    return [_domain(block) for text in (NATURE, SOCIETY) for block in text.strip().split("\n\n")]


def _domain(block: str) -> Domain:
    name_line, roles, places, *fields = block.replace("\n  ", " ").splitlines()
    name, _, newcomers = name_line.removeprefix("# ").partition(": ")
    parts = (line.partition(": ") for line in fields)
    topics = {field: tuple(text.split("; ")) for field, _, text in parts}
    return Domain(name, newcomers, tuple(roles.split()[1:]), tuple(places.removeprefix("@ ").split("; ")), topics)


def sentences() -> Iterator[tuple[str, str, str]]:
    """Every possible persona, with its domain and its field."""
    for domain in domains():
        for field, topics in domain.fields.items():
            one = f"{'An' if field[0] in 'aeiou' else 'A'} {field}"
            for topic in topics:
                for role in domain.roles:
                    for place in domain.places:
                        words = {"one": one, "new": f"A newly qualified {field}", "place": place, "topic": topic}
                        yield ROLES[role].format(newcomers=domain.newcomers, **words), domain.name, field
