"""Vega's code and the charts' data inside the page, so that the charts work without any other file.

The page's content security policy allows only this code, by its hash, so that no text of a row can run or load anything. Data
is escaped too: `</script>` in a prompt must not end a script. Expressions are interpreted, never compiled: no `unsafe-eval`.
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
    """The page's security policy, its code and its data; a page without charts has no code."""

    policy: str
    code: Markup
    data: Markup


def script(charts: Mapping[str, Drawing]) -> Script:
    """The code and the data of charts, by the name of their place in the page."""
    code = _code() if charts else ""
    allowed = f"'sha256-{b64encode(sha256(code.encode()).digest()).decode()}'" if code else "'none'"
    policy = f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    data = harmless(json.dumps({"charts": charts, "looks": LOOKS}, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    return Script(policy, Markup(code), data)


def harmless(data: str) -> Markup:
    """JSON with every character escaped that HTML would interpret."""
    for letter in "<>&\u2028\u2029":
        data = data.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(data)


@cache
def _code() -> str:
    """Vega, Vega-Lite and Vega-Embed as one bundle, with draw.js, which draws the page's charts."""
    import vl_convert

    bundle: Any = vl_convert.javascript_bundle(snippet=_DRAW.read_text())
    if "</script" in bundle.lower() or "\r" in bundle:
        raise RuntimeError(
            "vl-convert's JavaScript bundle has </script> or a carriage return and cannot be inlined: use another version"
        )
    return f"\n{bundle}\n"
