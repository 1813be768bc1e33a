"""How chat formats are written down in tests: what must come of a family's template, and templates built from turns."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

ROLES = ("user", "assistant", "system")
OURS = "Answer as a friend would."
ENDS = {"bos_token": "<s>", "eos_token": "</s>"}
CHATML_END = {"eos_token": "<|im_end|>"}
D_BOS, D_END = "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"
D_USER, D_ANSWER = "<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"
DEEPSEEK = {"bos_token": D_BOS, "eos_token": D_END}


class Thoughts(NamedTuple):
    """How a family's answers carry thoughts.

    `opener` writes the first of the marks: the `model`, or the `prompt`. `start` is what stands from the end of the user's text
    to where the model writes, and `without` the same under `off`, the template's arguments that turn thinking off (of V3.1,
    which does not think by default: on); no `off`: nothing does. `field` is a thought's name in the history, and `shown` says
    that the template writes the last answer's.
    """

    marks: tuple[str, str]
    opener: str
    start: str
    off: Mapping[str, Any] = MappingProxyType({})
    without: str = ""
    field: str = "reasoning_content"
    shown: bool = False


class Family(NamedTuple):
    """A small template of our own that behaves as a family's does, and by hand what must come of it.

    `plain` and `steered` are the prefixes without and with the system turn "Be brief.", `between` is what stands from the end
    of an answer to the next user text. `own`: the family has a default system text, and `plain` holds ours instead. `real`
    matches the names of files with the family's real template, for the test that compares them. `system` is what the template
    does with a system turn: `own` (it has a place), `folded` into a user turn, `refused` or `dropped`. `special` are
    the special tokens that no other field names.
    """

    source: str
    plain: str
    steered: str
    between: str
    stops: tuple[str, ...]
    tokens: Mapping[str, str] = MappingProxyType({})
    bos: str = "none"
    own: bool = False
    real: str = "(?!)"
    system: str = "own"
    special: tuple[str, ...] = ()
    thoughts: Thoughts | None = None


def form(user: str, answer: str, system: str, start: str = "", ask: str = "", default: bool = False, trim: bool = False) -> str:
    """A template that writes each turn in its form, `@` being its text."""

    def turn(written: str, text: str) -> str:
        left, right = (json.dumps(piece, ensure_ascii=False) for piece in written.split("@"))
        return "{{ " + f"{left} + {text} + {right}" + " }}"

    text = "m['content']" + (" | trim" if trim else "")
    first = "{% if messages[0]['role'] != 'system' %}" + turn(system, json.dumps(OURS)) + "{% endif %}" if default else ""
    turns = "".join(
        "{% if m['role'] == '" + role + "' %}" + turn(written, f"({text})") + "{% endif %}"
        for role, written in {"user": user, "assistant": answer, "system": system}.items()
    )
    last = "{% if add_generation_prompt %}{{ " + json.dumps(ask, ensure_ascii=False) + " }}{% endif %}"
    return f"{{{{ {json.dumps(start, ensure_ascii=False)} }}}}{first}{{% for m in messages %}}{turns}{{% endfor %}}{last}"


def chatml(start: str = "", default: bool = False) -> str:
    """ChatML: `<|im_start|>role`, the text, `<|im_end|>`."""
    turns = (f"<|im_start|>{role}\n@<|im_end|>\n" for role in ROLES)
    return form(*turns, start=start, ask="<|im_start|>assistant\n", default=default)


USER, END, OPEN, BETWEEN = "<|im_start|>user\n", "<|im_end|>", "<|im_start|>", "<|im_end|>\n<|im_start|>user\n"
STEERED = f"<|im_start|>system\nBe brief.<|im_end|>\n{USER}"
DEFAULT = f"<|im_start|>system\n{OURS}<|im_end|>\n{USER}"
H, E = "<|start_header_id|>", "<|end_header_id|>\n\n"
LLAMA_STOPS = ("<|eot_id|>", "<|start_header_id|>")
LLAMA_ENDS = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
