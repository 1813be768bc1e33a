"""What ends a turn, read off what a template puts between two turns' texts.

A mark is a token in brackets (`<|im_end|>`, `[/INST]`), a special token that the tokenizer names, or, where a user's text is
followed by no such token, the line that follows it (`### Response:`). A line break or a bare word is never a mark: users
write them.
"""

import re
from collections.abc import Collection, Iterable

_BRACKETED = r"<[^<>\s]{1,64}>|\[\|[^\[\]|\s]{1,64}\|\]|\[/?[A-Z][A-Z_]*\]"
_THOUGHT = re.compile("think|thought|reason", re.IGNORECASE)  # opens an answer's reasoning, not a turn
_LINE = re.compile(r"[^\w\s].*|.*[:>\]|}]")
_LONGEST = 40


def after_user(gap: str, special: Iterable[str] = (), ends: Collection[str] = ()) -> list[str]:
    """What ends a user's text, and the token that opens the answer; `ends` are those of whole texts, which open none."""
    tokens = _tokens(gap, special)
    line = gap.partition(tokens[0])[0].strip() if tokens else gap.strip()
    line = line.split("\n")[0].strip()
    if not line:
        return _first_two(tokens, ends)
    return [line, *_first_two(tokens, ends)[:1]] if len(line) <= _LONGEST and _LINE.fullmatch(line) else []


def after_answer(gap: str, special: Iterable[str] = (), ends: Collection[str] = ()) -> list[str]:
    """The token that ends an answer, and the one that opens what follows it. Lines are no marks here: a user may write them."""
    return _first_two(_tokens(gap, special), ends)


def _tokens(gap: str, special: Iterable[str]) -> list[str]:
    known = sorted((re.escape(token) for token in special if token.strip()), key=len, reverse=True)
    found = re.findall("|".join([*known, _BRACKETED]), gap)
    return [token for token in found if not _THOUGHT.search(token)]


def _first_two(tokens: list[str], ends: Collection[str]) -> list[str]:
    """The first token and the one after it; a closing tag, a BOS or an EOS between turns says less than what follows it."""
    rest = [token for token in tokens[1:] if token != f"</{tokens[0][1:]}"]
    return [*tokens[:1], *([token for token in rest if token not in ends] or rest)[:1]]
