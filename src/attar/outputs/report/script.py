"""What makes a page's charts live without any other file: Vega's code and the charts' data, inside the page.

The page's policy names the code by its hash and lets nothing else run or load, so that no text of a row can; data is escaped
besides, for `</script>` in a prompt must not end a script. Expressions are interpreted, never compiled: no `unsafe-eval`.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from markupsafe import Markup

from attar.outputs.report.charts import LOOKS, Drawing

_DRAW = Path(__file__).with_name("draw.js")


@dataclass(frozen=True, slots=True)
class Script:
    """What stands in the page: its policy, its code and its data; a page without charts has no code."""

    policy: str
    code: Markup
    data: Markup


def script(charts: Mapping[str, Drawing]) -> Script:
    """The code and the data of charts by the name of their place in the page."""
    code = _code() if charts else ""
    allowed = f"'sha256-{b64encode(sha256(code.encode()).digest()).decode()}'" if code else "'none'"
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    data = harmless(json.dumps({"charts": charts, "looks": LOOKS}, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    return Script(policy, Markup(code), data)


def harmless(data: str) -> Markup:
    """JSON that no HTML parser mistakes for its own."""
    for letter in "<>&\u2028\u2029":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(data)


@cache
def _code() -> str:
    """Vega, Vega-Lite and Vega-Embed in one piece, and the few lines that draw the page's charts."""
    import vl_convert

    whole: Any = vl_convert.javascript_bundle(snippet=_DRAW.read_text())
    if "</script" in whole.lower() or "\r" in whole:
        raise RuntimeError("this vl-convert's bundle cannot stand in a page: it holds an end of a script")
    return f"\n{whole}\n"
