"""A server that lies: is any row's text another's, is any reply lost, is a byte of the key on disk?

Each attack is one `attar run` of N questions, whose right answer is the question. A row must have its own text, or fail with
the reason that the server gave it; a text that repeats the key must have `***` in its place.
"""

import json
import random
import re
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

import polars as pl
from attack.small_run import ROOT, Outcome, attar, fault_of
from engines.kill_and_resume_http import RECIPE  # bench/engines/kill_and_resume_http.py
from servers.faults import COUNTS, KINDS, LIES  # tests/servers/faults.py
from servers.stray import stray_server  # tests/servers/stray.py

from attar.core.table import read, verify_part

_KEYS = tuple(kind for kind in LIES if kind.startswith("key-"))
_FAULTS = {
    "swapped replies that name another request": ("swapped",),
    "token counts of 10^30, negative, NaN, text": tuple(COUNTS),
    "bodies cut, endless, slow, no JSON, another's JSON": (
        "reset",
        "truncated",
        "huge",
        "slow",
        "malformed",
        "not-json-object",
    ),
    "choices twice, missing, one too many, without text; empty answers": (
        *("duplicate", "missing", "one-more", "no-text", "no-finish", "empty", "blank"),
    ),
    "bursts of 503, and 429, 500": ("burst", "429", "500"),
    "headers of 128 KB": ("huge-headers",),
    "the key echoed: plain, escaped, in errors": _KEYS,
    "all of these at once": (*(kind for kind in KINDS if kind != "hang"), *LIES),
}
_SHARES = {"bursts of 503, and 429, 500": 0.03}
_SHARE = 0.4
_STRAYS = {
    "stray replies on idle connections": {"when": "idle"},
    "stray replies on idle connections, cut in two": {"when": "half"},
    "stray replies right behind a reply": {"when": "at once"},
    "stray replies with the next reply, ids repeated": {"when": "late", "echo_ids": True},
    "a Content-Length that is too small": {"when": "short"},
    "a Content-Length that is too large": {"when": "long", "every": 7},
}
_REASONS = ("empty answer", "400: ")
"""How a row may fail: the server's last word on it was no text, or that it is refused."""


def attack(place: Path, quick: bool, seed: int) -> list[Outcome]:
    """One run against each way of misbehaving."""
    dice = random.Random(seed)
    key = "sk-" + "".join(dice.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=40))
    (place / "many.py").write_text(RECIPE)
    outcomes = []
    for title, kinds in _FAULTS.items():
        outcomes.append(_attack(place, title, _faults(kinds, _SHARES.get(title, _SHARE), seed), key, 100 if quick else 2000))
    for title, options in _STRAYS.items():
        outcomes.append(_attack(place, title, _strays(options), key, 24 if quick else 300))
    return outcomes


Server = AbstractContextManager[tuple[str, Counter[str]]]


@contextmanager
def _faults(kinds: tuple[str, ...], share: float, seed: int) -> Iterator[tuple[str, Counter[str]]]:
    """The url of a server with these faults; when the block ends, how many of each it sent."""
    words = ["--kinds", ",".join(kinds), "--share", str(share), "--seed", str(seed), *["--echo-ids"] * ("swapped" in kinds)]
    server = ROOT / "tests" / "servers" / "faults.py"
    with subprocess.Popen([sys.executable, str(server), *words], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        root, sent = f"http://127.0.0.1:{int(child.stdout.readline())}", Counter[str]()
        try:
            yield f"{root}/v1", sent
            sent.update(json.load(urllib.request.urlopen(f"{root}/told"))["met"])
        finally:
            child.kill()


@contextmanager
def _strays(options: dict) -> Iterator[tuple[str, Counter[str]]]:
    with stray_server(**options) as (url, state):
        sent = Counter[str]()
        yield url, sent
        sent["stray"] = state.strays


def _attack(place: Path, title: str, server: Server, key: str, count: int) -> Outcome:
    home = place / re.sub(r"\W+", "-", title)
    file = home.with_suffix(".yaml")
    with server as (url, sent):
        # few at a time, or one each 150 ms: a connection is idle now and then, and used again
        pace = "rpm: 400" if "idle" in title else "concurrency: 16"
        engine = f"{{kind: http, model: m, url: {url!r}, key_env: ATTACK_KEY, timeout: 5, tries: 40, {pace}}}"
        knobs = f"knobs: {{count: {count}}}\nrun: {{max_failures: 1.0, shard: 100}}\n"
        file.write_text(f"recipe: many.py\nengines: {{teacher: {engine}}}\n{knobs}")
        done = attar("run", file.name, "--home", home, "--debug", cwd=place, ATTACK_KEY=key)
    harm = [fault_of(done) or ""] if done.returncode else _judge(home, file.stem, sent, key, count)
    harm += [f"{where} holds the key" for where in _find_key(home, key, done.stdout + done.stderr)]
    return Outcome(title, sent.total(), [line for line in harm if line], "" if sent.total() else "the server sent no fault")


def _judge(home: Path, name: str, sent: Counter[str], key: str, count: int) -> list[str]:
    """A line for every row that has another text, and for the rows that are lost."""
    record = json.loads((home / "runs" / f"{name}.json").read_text())
    rows = read(home / "steps" / record["results"]["answers"]).select("id", "response", "response_error")
    right = {f"q{i:06d}": f"question {i}" for i in range(count)}
    harm = [] if dict.fromkeys(rows["id"]) == dict.fromkeys(right) and len(rows) == count else ["rows are missing or twice"]
    refused = 0
    for row, text, error in rows.iter_rows():
        if text is not None and text not in (right[row], f"{right[row]} ***"):
            harm.append(f"{row} has the text {text!r}".replace(key, "<key>"))
        elif text is None and not str(error).startswith(_REASONS):
            harm.append(f"{row} is lost: {error}")
        refused += text is None
    if refused != (allowed := sent["empty"] + sent["blank"] + sent["key-in-400"]):
        harm.append(f"{refused} rows failed, the server refused {allowed}")
    return harm


def _find_key(home: Path, key: str, printed: str) -> Iterator[str]:
    """Where the key is, plain or escaped, even where the file is compressed."""
    escaped = "".join(f"u{ord(letter):04x}" for letter in key)  # however many backslashes stand before each
    forms = [key, quote(key, safe=""), escaped]
    texts = {"what was printed": printed}
    for path in (path for path in home.rglob("*") if path.is_file()):
        table = path.suffix == ".parquet" and path.parent.parent.name == "steps" and verify_part(path)
        texts[path.name] = str(pl.read_parquet(path).to_dicts()) if table else path.read_bytes().decode("latin-1")
    for where, text in texts.items():
        plain = text.replace("\\", "")
        if any(form in plain for form in forms):
            yield where
