"""Convert the common chat data formats to our columns and back.

    messages     {"messages": [{"role": ..., "content": ...}, ...]}             OpenAI, TRL, Hugging Face
    sharegpt     {"conversations": [{"from": "human", "value": ...}, ...]}      ShareGPT, LLaMA-Factory
    alpaca       {"instruction": ..., "input": ..., "output": ...}              Alpaca
    prompt       {"prompt": ..., "response": ...}                               and many other key names
    preference   {"prompt": ..., "chosen": ..., "rejected": ...}                TRL, UltraFeedback

A row that fits no format raises ValueError with the reason; the reader rejects it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attar.core.errors import RecipeError

Row = dict[str, Any]
Turns = list[dict[str, str]]

CONVERSATION_COLUMNS = ("id", "messages", "prompt", "response", "chosen", "rejected")
"""The columns of the conversation itself; all other columns of a source are kept as they are."""

_ROLES = {
    **{role: role for role in ("system", "user", "assistant", "tool")},
    **{"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant"},
    **{"developer": "system", "observation": "tool", "function": "tool", "function_call": "assistant"},
}
_PROMPT_KEYS = ("prompt", "instruction", "question", "query", "problem")
_RESPONSE_KEYS = ("response", "completion", "answer", "output", "solution")
_MAX_EXACT_INTEGER = 1 << 53
"""Float64 represents every integer up to here exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A row format: how to recognise, read and write it."""

    fits: Callable[[Row], bool]
    """True for a row that has this shape; formats are tried in the order of FORMATS."""
    read: Callable[[Row], Row]
    """A row as our columns; ValueError or KeyError says why it cannot be."""
    write: Callable[[Row], Row]
    """A row of ours in this shape; ValueError says what would be lost."""
    keys: tuple[str, ...]
    """The keys that `read` consumes; all others of a row become columns of their own."""
    aliases: tuple[tuple[str, ...], ...] = ()
    """Keys with several spellings: the first one present is consumed, the others become columns."""


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
    name = turn.get("role", turn.get("from"))
    if name is None or (role := _ROLES.get(str(name).lower())) is None:
        raise ValueError(f"unknown role {name!r}")
    if turn.get("tool_calls"):
        raise ValueError("a turn calls tools, which text alone cannot express")
    return {"role": role, "content": _text(turn.get("content", turn.get("value")))}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        return "".join(str(part["text"]) for part in content)
    raise ValueError("a turn has no text" if content is None else "a turn holds something other than text")


def conversation_columns(conversation: Turns) -> Row:
    """Our columns of a conversation: the turns, the last prompt, and the response to it."""
    prompts = [turn["content"] for turn in conversation if turn["role"] == "user"]
    last = conversation[-1]
    return {
        "messages": conversation,
        "prompt": prompts[-1] if prompts else None,
        "response": last["content"] if last["role"] == "assistant" else None,
    }


def _from_messages(row: Row) -> Row:
    return conversation_columns(_with_system(row, turns(row["messages"])))


def _with_system(row: Row, conversation: Turns) -> Turns:
    """The conversation with the row's `system` text as its first turn, if the row has one."""
    if row.get("system") and conversation[0]["role"] != "system":
        conversation.insert(0, {"role": "system", "content": _text(row["system"])})
    return conversation


def _from_sharegpt(row: Row) -> Row:
    return conversation_columns(_with_system(row, turns(row.get("conversations", row.get("conversation")))))


def _from_alpaca(row: Row) -> Row:
    extra = row.get("input")
    prompt = _text(row["instruction"]) + (f"\n\n{_text(extra)}" if extra else "")
    conversation = [{"role": "user", "content": prompt}, {"role": "assistant", "content": _text(row["output"])}]
    return conversation_columns(_with_system(row, conversation))


def _prompt_turns(value: Any) -> Turns:
    return turns(value) if isinstance(value, list) else [{"role": "user", "content": _text(value)}]


def _response_text(value: Any) -> str:
    """The text of a response that is a string or a list of turns."""
    if not isinstance(value, list):
        return _text(value)
    last = turns(value)[-1]
    if last["role"] != "assistant":
        raise ValueError("the response does not end with an assistant turn")
    return last["content"]


def _from_prompt(row: Row) -> Row:
    prompt_key, response_key = _first(row, _PROMPT_KEYS) or "prompt", _first(row, _RESPONSE_KEYS)
    conversation = _with_system(row, _prompt_turns(row[prompt_key]))
    if response_key:
        conversation.append({"role": "assistant", "content": _response_text(row[response_key])})
    return conversation_columns(conversation)


def _from_preference(row: Row) -> Row:
    prompt = _preference_prompt(row)
    if not prompt:
        raise ValueError("a preference without a prompt")
    return {
        **conversation_columns(_with_system(row, prompt)),
        "chosen": _response_text(row["chosen"]),
        "rejected": _response_text(row["rejected"]),
    }


def _preference_prompt(row: Row) -> Turns:
    """What both answers answer: the turns that they share, else `messages` without an answer at its end, else the prompt."""
    chosen, rejected = (turns(row[key]) if isinstance(row[key], list) else [] for key in ("chosen", "rejected"))
    if len(chosen) > 1 and len(rejected) > 1:
        if chosen[:-1] != rejected[:-1]:
            raise ValueError("chosen and rejected differ before their last turn: they do not answer the same prompt")
        return chosen[:-1]
    messages = row.get("messages")
    if isinstance(messages, list) and messages:
        return _without_answer(turns(messages), row)
    key = _first(row, _PROMPT_KEYS)
    return _prompt_turns(row[key]) if key else chosen[:-1]


def _without_answer(talk: Turns, row: Row) -> Turns:
    """A conversation up to its answer; an answer at its end must be one of the two that are compared."""
    if talk[-1]["role"] != "assistant":
        return talk
    if talk[-1]["content"] not in (_response_text(row["chosen"]), _response_text(row["rejected"])):
        raise ValueError("messages ends with an answer that is neither chosen nor rejected: which turns are the prompt?")
    return talk[:-1]


def _write_messages(row: Row) -> Row:
    return {"messages": row["messages"]}


def _write_sharegpt(row: Row) -> Row:
    names = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
    return {"conversations": [{"from": names[turn["role"]], "value": turn["content"]} for turn in row["messages"]]}


def _write_preference(row: Row) -> Row:
    if row.get("chosen") is None or row.get("rejected") is None:
        raise ValueError("no chosen and rejected response")
    return {"prompt": row["messages"], "chosen": _answer(row["chosen"]), "rejected": _answer(row["rejected"])}


def _answer(text: str) -> Turns:
    return [{"role": "assistant", "content": text}]


def _write_alpaca(row: Row) -> Row:
    prompt, response, system = _single_exchange(row, "alpaca")
    return {"instruction": prompt, "input": "", "output": response, **system}


def _write_prompt(row: Row) -> Row:
    prompt, response, system = _single_exchange(row, "prompt")
    return {"prompt": prompt, "response": response, **system}


def _single_exchange(row: Row, name: str) -> tuple[str, str, dict[str, str]]:
    """The prompt, the response and the system turn of a conversation that has no more than that."""
    conversation: Turns = row["messages"]
    if [turn["role"] for turn in conversation] not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise ValueError(f"{name} holds one prompt and one response, this row has {len(conversation)} turns")
    system = {"system": conversation[0]["content"]} if len(conversation) == 3 else {}
    return conversation[-2]["content"], conversation[-1]["content"], system


FORMATS: dict[str, Format] = {
    "preference": Format(
        fits=lambda row: "chosen" in row and "rejected" in row,
        read=_from_preference,
        write=_write_preference,
        keys=("messages", "chosen", "rejected", "system"),
        aliases=(_PROMPT_KEYS,),
    ),
    "messages": Format(
        fits=lambda row: isinstance(row.get("messages"), list),
        read=_from_messages,
        write=_write_messages,
        keys=("messages", "system"),
    ),
    "sharegpt": Format(
        fits=lambda row: isinstance(row.get("conversations", row.get("conversation")), list),
        read=_from_sharegpt,
        write=_write_sharegpt,
        keys=("conversations", "conversation", "system"),
    ),
    "alpaca": Format(
        fits=lambda row: "instruction" in row and "output" in row,
        read=_from_alpaca,
        write=_write_alpaca,
        keys=("instruction", "input", "output", "system"),
    ),
    "prompt": Format(
        fits=lambda row: _first(row, _PROMPT_KEYS) is not None,
        read=_from_prompt,
        write=_write_prompt,
        keys=("system",),
        aliases=(_PROMPT_KEYS, _RESPONSE_KEYS),
    ),
}


def register(name: str, form: Format) -> None:
    """Add a format for this process; a name that is taken is refused."""
    if FORMATS.setdefault(name, form) is not form:
        raise RecipeError(f"there is a format {name!r} already")


def detect(row: Row) -> str:
    """The format of a row."""
    for name, form in FORMATS.items():
        if form.fits(row):
            return name
    raise ValueError(f"no known chat format in the keys {', '.join(map(str, row)) or '(none)'}")


def parse_row(row: Any, form: str | None = None) -> Row:
    """A row of any known format as our columns; other values become columns, nested ones as JSON text."""
    if not isinstance(row, dict):
        raise ValueError(f"the row is {type(row).__name__}, not an object")
    known = FORMATS[form or detect(row)]
    used = {*known.keys, *(_first(row, names) for names in known.aliases)}
    try:
        columns = known.read(row)
    except KeyError as error:
        raise ValueError(f"the key {error} is missing") from None
    rest = {key: _flatten(value) for key, value in row.items() if key not in used and key not in columns}
    return {**rest, **columns}


def _flatten(value: Any) -> Any:
    nested = isinstance(value, dict) or (isinstance(value, list) and not _is_number_list(value))
    return json.dumps(value, ensure_ascii=False, default=str) if nested else value


def _is_number_list(values: list[Any]) -> bool:
    """True if a list holds only numbers, all exact in float64."""
    kinds = set(map(type, values))
    return kinds <= {int, float} and (int not in kinds or max(map(abs, values)) <= _MAX_EXACT_INTEGER)


def format_row(row: Row, form: str) -> Row:
    """One of our rows in another format; ValueError if the format cannot express it."""
    if form != "preference" and row.get("chosen") is not None:
        raise ValueError(f"{form} would lose the chosen and the rejected response: write preference")
    return FORMATS[form].write(row)
