"""Hostile and broken model folders: no code of theirs runs, no pickle is opened, and each use succeeds or is one line.

python bench/attack/model_folders.py FOLDER ...     (what `attack` runs: uses each folder, prints a JSON line for it)
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO

from attack.small_run import Outcome, attar, fault_of
from hostile_folders import (  # tests/hostile_folders.py
    BROKEN_FILES,
    BROKEN_TEXTS,
    CODE,
    HOSTILE,
    broken_weights,
    edit,
    slow_pattern,
)

from attar.core.errors import AttarError
from attar.engines.base import Request, Sampling, Spec
from attar.engines.http.engine import Http
from attar.engines.local.engine import Local
from attar.engines.local.spec import POCKET

_SECONDS = 90
"""A folder that is used for longer hangs."""
_ANSWER_YES = "y\n" * 1000
Change = Callable[[Path], None]


def attack(place: Path, quick: bool, seed: int) -> list[Outcome]:
    """Make the folders, use them in a process of their own, and a few through the command line."""
    weights, texts = list(broken_weights()), BROKEN_TEXTS[:2] if quick else BROKEN_TEXTS
    groups: dict[str, list[Change]] = {
        "model folders with code, pickles, adapters": list(HOSTILE),
        "broken safetensors": [_replace("model.safetensors", data) for data in (weights[::3] if quick else weights)],
        "broken config, tokenizer or index": [
            _replace(name, text.encode("utf-8", "surrogateescape")) for name in BROKEN_FILES for text in texts
        ],
        "tokenizers and templates that are bombs": [_deep_tokenizer, slow_pattern, _escaping_template, _endless_template],
    }
    outcomes = []
    for title, changes in groups.items():
        folders = [_make(place / title.replace(" ", "-") / str(number), change) for number, change in enumerate(changes)]
        outcomes.append(_use_all(title, folders))
    sample = [_make(place / "commands" / change.__name__, change) for change in (HOSTILE[:2] if quick else HOSTILE)]
    return [*outcomes, _use_by_command(place, sample)]


def _make(parent: Path, change: Change) -> Path:
    parent.mkdir(parents=True)
    folder = Path(shutil.copytree(POCKET / "base", parent / "model"))
    (folder / "evil.py").write_text(CODE)
    change(folder)
    return folder


def _replace(name: str, data: bytes) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return change


def _deep_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"a":' * 200_000 + "1" + "}" * 200_000)


def _escaping_template(folder: Path) -> None:
    code = "''.__class__.__mro__[1].__subclasses__()[0].__init__.__globals__['os'].system('touch RAN')"
    _write_template(folder, "{{ " + code + " }}")


def _endless_template(folder: Path) -> None:
    _write_template(folder, "{% for i in range(10**12) %}x{% endfor %}")


def _write_template(folder: Path, text: str) -> None:
    edit(folder / "tokenizer_config.json", chat_template=text)
    (folder / "chat_template.jinja").write_text(text)


def _use_all(title: str, folders: list[Path]) -> Outcome:
    """Use folders one after the other in one process, and in a new one after a folder at which it died or hung."""
    outcome, todo = Outcome(title), list(folders)
    while todo:
        for folder, harm in zip(list(todo), _results(todo), strict=False):
            ran = [path.name for path in folder.parent.rglob("RAN")]
            outcome.check("its code ran" if ran else harm and f"{folder.parent.name}: {harm}")
            todo.pop(0)
    return outcome


def _results(folders: list[Path]) -> Iterator[str | None]:
    """The harm of each folder; ends early, after the harm of the folder at which the process died or hung."""
    cwd = folders[0].parent
    command = [sys.executable, __file__, *map(str, folders)]
    environment = os.environ | {"HF_HOME": str(cwd / "hf"), "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(_ANSWER_YES)
        child.stdin.close()
        lines: SimpleQueue[str] = SimpleQueue()
        reading = Thread(target=_forward, args=(child.stdout, lines))
        reading.start()
        try:
            for _ in folders:
                if not (line := lines.get(timeout=_SECONDS)):
                    yield f"the process died ({child.wait()})"
                    return
                yield json.loads(line)["harm"]
        except Empty:
            yield f"no end after {_SECONDS} s"
        finally:
            child.kill()
            reading.join()


def _forward(output: IO[str], lines: "SimpleQueue[str]") -> None:
    for line in output:
        lines.put(line)
    lines.put("")


def _use(folder: Path) -> str | None:
    """Everything that opens a model folder; what an error says must be one line."""
    say = Request(0, messages=({"role": "user", "content": "a" * 40 + "b"},), sampling=Sampling(max_tokens=4))
    local = Local(Spec("local", str(folder), {}))
    served = Http(Spec("http", "m", {"url": "http://127.0.0.1:9/v1", "tokenizer": str(folder)}))
    uses: list[Callable[[], object]] = [
        lambda: local.template.render(list(say.messages)),
        lambda: local.tokenizer,
        local.architectures,
        lambda: list(local.generate([say])),
        lambda: list(local.embed([Request(0, text="a" * 40)])),
        lambda: list(local.reward([say])),
        lambda: served.template,
    ]
    for use in uses:
        try:
            use()
        except AttarError as error:
            if "\n" in str(error) or "trust_remote_code=True" in str(error):
                return f"not one line: {error}"
        except Exception as error:  # noqa: BLE001 (an attack reports any error)
            return f"{type(error).__name__}: {error}"
    return None


def _use_by_command(place: Path, folders: list[Path]) -> Outcome:
    outcome = Outcome("some of them through `attar doctor`")
    for folder in folders:
        done = attar("doctor", f"local:{folder}", cwd=place / "commands", HF_HUB_OFFLINE="1", timeout=_SECONDS)
        ran = list((place / "commands").rglob("RAN"))
        outcome.check("its code ran" if ran else fault_of(done) if done.returncode == 2 or "Traceback" in done.stderr else None)
    return outcome


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(json.dumps({"harm": _use(Path(name))}) + "\n")
        sys.stdout.flush()
