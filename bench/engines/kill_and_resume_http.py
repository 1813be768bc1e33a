"""`kill -9` at random moments of a run of 20,000 requests over HTTP, resumed each time: what was asked twice, what differs?

    python bench/engines/kill_and_resume_http.py [KILLS] [SEED] [COUNT]     (twenty kills: two minutes)

The stub's answer depends on the request alone, so the tables of the killed run must equal an uninterrupted run's byte for byte.
"""

import random
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from kill_and_resume import compare, print_report  # noqa: E402 (bench/kill_and_resume.py)

RECIPE = """
import polars as pl
from attar.engines.base import Spec
from attar.runtime.flow import recipe
from attar.stages.synth import respond

def questions(*, count: int):
    talks = [[{"role": "user", "content": f"question {i}"}] for i in range(count)]
    return pl.DataFrame({"id": [f"q{i:06d}" for i in range(count)], "messages": talks})

@recipe()
def many(flow, *, teacher: Spec, count: int = 1000):
    return {"answers": flow(respond.sample, flow(questions, count=count), engine=teacher, max_tokens=64)}
"""


def main() -> None:
    """Run whole, run killed, compare."""
    kills, seed, count = (int(value) for value in (sys.argv[1:] + ["20", "0", "20000"][len(sys.argv) - 1 :]))
    place = Path(tempfile.mkdtemp(prefix="attar-kill-"))
    stub = subprocess.Popen([sys.executable, str(HERE / "stub_server.py")], stdout=subprocess.PIPE, text=True)
    assert stub.stdout
    url = f"http://127.0.0.1:{int(stub.stdout.readline())}/v1"
    (place / "many.py").write_text(RECIPE)
    file = place / "run.yaml"
    # 16 at a time, so that the run is long enough for every kill to fall inside it
    engine = f"{{kind: http, model: stub, url: {url!r}, concurrency: 16}}"
    file.write_text(f"recipe: many.py\nengines: {{teacher: {engine}}}\nknobs: {{count: {count}}}\n")
    try:
        print_report(*compare(file, place, kills, random.Random(seed)))
    finally:
        stub.kill()


if __name__ == "__main__":
    main()
