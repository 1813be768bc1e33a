"""The shapes in which people keep chat data, to our columns and back.

    messages     {"messages": [{"role": ..., "content": ...}, ...]}             OpenAI, TRL, Hugging Face
    sharegpt     {"conversations": [{"from": "human", "value": ...}, ...]}      ShareGPT, LLaMA-Factory
    alpaca       {"instruction": ..., "input": ..., "output": ...}              Alpaca
    prompt       {"prompt": ..., "response": ...}                               and its many spellings
    preference   {"prompt": ..., "chosen": ..., "rejected": ...}                TRL, UltraFeedback

A row that fits none raises ValueError with the reason; the reader sets it aside.
"""

import json
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Turns = list[dict[str, str]]

OURS = ("id", "messages", "prompt", "response", "chosen", "rejected")
"""The columns that what was said goes into; all others of a source are its own, and ride along."""

_ROLES = {
    **{role: role for role in ("system", "user", "assistant", "tool")},
    **{"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant"},
    **{"developer": "system", "observation": "tool", "function": "tool", "function_call": "assistant"},
}
_ASKS = ("prompt", "instruction", "question", "query", "problem")
_ANSWERS = ("response", "completion", "answer", "output", "solution")
_EXACT = 1 << 53
"""Up to here every whole number is itself in 64 bits."""


def detect(row: Row) -> str:
    """The format of a row."""
    if "chosen" in row and "rejected" in row:
        return "preference"
    if isinstance(row.get("messages"), list):
        return "messages"
    if isinstance(row.get("conversations", row.get("conversation")), list):
        return "sharegpt"
    if "instruction" in row and "output" in row:
        return "alpaca"
    if _first(row, _ASKS):
        return "prompt"
    raise ValueError(f"no known chat format in the keys {', '.join(map(str, row)) or '(none)'}")


def _first(row: Row, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)


def turns(value: Any) -> Turns:
    """Any list of turns, with our names for the roles."""
    if not isinstance(value, list) or not value:
        raise ValueError("the conversation is empty or not a list")
    return [_turn(turn) for turn in value]


def _turn(turn: Any) -> dict[str, str]:
    if not isinstance(turn, dict):
        raise ValueError(f"a turn is {type(turn).__name__}, not an object")
    said = turn.get("role", turn.get("from"))
    if said is None or (role := _ROLES.get(str(said).lower())) is None:
        raise ValueError(f"unknown role {said!r}")
    if turn.get("tool_calls"):
        raise ValueError("a turn calls tools, which is more than text can say")
    return {"role": role, "content": _text(turn.get("content", turn.get("value")))}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part["text"]) for part in content)
    raise ValueError("a turn has no text" if content is None else "a turn holds something other than text")


def columns(conversation: Turns) -> Row:
    """Our columns of a conversation: the turns, the last prompt and what answers it."""
    asked = [i for i, turn in enumerate(conversation) if turn["role"] == "user"]
    last = conversation[-1]
    return {
        "messages": conversation,
        "prompt": conversation[asked[-1]]["content"] if asked else None,
        "response": last["content"] if last["role"] == "assistant" else None,
    }


def _from_messages(row: Row) -> Row:
    return columns(_with_system(row, turns(row["messages"])))


def _with_system(row: Row, conversation: Turns) -> Turns:
    """The conversation, opened by the system turn that stands beside it, if any does."""
    if row.get("system") and conversation[0]["role"] != "system":
        conversation.insert(0, {"role": "system", "content": _text(row["system"])})
    return conversation


def _from_sharegpt(row: Row) -> Row:
    return columns(_with_system(row, turns(row.get("conversations", row.get("conversation")))))


def _from_alpaca(row: Row) -> Row:
    extra = row.get("input")
    prompt = _text(row["instruction"]) + (f"\n\n{_text(extra)}" if extra else "")
    asked = {"role": "user", "content": prompt}
    return columns(_with_system(row, [asked, {"role": "assistant", "content": _text(row["output"])}]))


def _opening(value: Any) -> Turns:
    return turns(value) if isinstance(value, list) else [{"role": "user", "content": _text(value)}]


def _closing(value: Any) -> str:
    """The last answer, whether given as text or as turns."""
    if not isinstance(value, list):
        return _text(value)
    last = turns(value)[-1]
    if last["role"] != "assistant":
        raise ValueError("the answer does not end with the assistant")
    return last["content"]


def _from_prompt(row: Row) -> Row:
    ask, answer = _first(row, _ASKS) or "prompt", _first(row, _ANSWERS)
    conversation = _with_system(row, _opening(row[ask]))
    if answer:
        conversation.append({"role": "assistant", "content": _closing(row[answer])})
    return columns(conversation)


def _from_preference(row: Row) -> Row:
    ask = _first(row, _ASKS)
    talk = row.get("messages")
    opening = turns(talk) if isinstance(talk, list) and talk else _opening(row[ask]) if ask else turns(row["chosen"])[:-1]
    if not opening:
        raise ValueError("a preference without a prompt")
    return {**columns(_with_system(row, opening)), "chosen": _closing(row["chosen"]), "rejected": _closing(row["rejected"])}


_READ: dict[str, tuple[Callable[[Row], Row], frozenset[str]]] = {
    "messages": (_from_messages, frozenset(("messages", "system"))),
    "sharegpt": (_from_sharegpt, frozenset(("conversations", "conversation", "system"))),
    "alpaca": (_from_alpaca, frozenset(("instruction", "input", "output", "system"))),
    "prompt": (_from_prompt, frozenset(("system",))),
    "preference": (_from_preference, frozenset(("messages", "chosen", "rejected", "system"))),
}
_SPELT: dict[str, tuple[tuple[str, ...], ...]] = {"prompt": (_ASKS, _ANSWERS), "preference": (_ASKS,)}
"""Of each of these the one key that is read is used; another of its spellings is a value of the row's own."""
FORMATS = tuple(_READ)


def understand(row: Any, form: str | None = None) -> Row:
    """A row of any known format as our columns; its other values ride along, nested ones but lists of numbers as JSON text."""
    if not isinstance(row, dict):
        raise ValueError(f"the row is {type(row).__name__}, not an object")
    form = form or detect(row)
    read, used = _READ[form]
    used = used | {_first(row, names) for names in _SPELT.get(form, ())}
    try:
        known = read(row)
    except KeyError as error:
        raise ValueError(f"the key {error} is missing") from None
    rest = {key: _flat(value) for key, value in row.items() if key not in used and key not in known}
    return {**rest, **known}


def _flat(value: Any) -> Any:
    nested = isinstance(value, dict) or (isinstance(value, list) and not _numbers(value))
    return json.dumps(value, ensure_ascii=False, default=str) if nested else value


def _numbers(values: list[Any]) -> bool:
    """Whether there is nothing but numbers in a list, and none too large to be one in 64 bits."""
    kinds = set(map(type, values))
    return kinds <= {int, float} and (int not in kinds or max(map(abs, values)) <= _EXACT)


def express(row: Row, form: str) -> Row:
    """A row of ours in a format that others read; what the format cannot say is a ValueError."""
    conversation: Turns = row["messages"]
    if form != "preference" and row.get("chosen") is not None:
        raise ValueError(f"{form} would lose the chosen and the rejected response: write preference")
    if form == "messages":
        return {"messages": conversation}
    if form == "sharegpt":
        names = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
        return {"conversations": [{"from": names[turn["role"]], "value": turn["content"]} for turn in conversation]}
    if form == "preference":
        if row.get("chosen") is None or row.get("rejected") is None:
            raise ValueError("no chosen and rejected response")
        return {"prompt": conversation, "chosen": _answer(row["chosen"]), "rejected": _answer(row["rejected"])}
    if [turn["role"] for turn in conversation] not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise ValueError(f"{form} holds one question and one answer, this row is {len(conversation)} turns")
    ask, answer = conversation[-2]["content"], conversation[-1]["content"]
    system = {"system": conversation[0]["content"]} if len(conversation) == 3 else {}
    return (
        {"instruction": ask, "input": "", "output": answer, **system}
        if form == "alpaca"
        else {"prompt": ask, "response": answer, **system}
    )


def _answer(text: str) -> Turns:
    return [{"role": "assistant", "content": text}]
