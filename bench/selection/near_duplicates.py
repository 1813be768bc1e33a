"""Near-duplicates: documents a CPU-second, recall, precision, memory, beside datasketch and rensa. One run, one thread each.

    python bench/selection/near.py POOL.parquet [--peers PYTHON] [--rows 52000]

POOL has columns `instruction` and `output`. Three sets are made of it, shuffled, with planted edits of one document in twenty:

    alpaca   pieces of answers, of the lengths of Alpaca's documents
    mixed    instruction and the start of the answer: forty documents or so open alike, so that many nearly repeat one another
    full     instruction and the whole answer

What is true is the plain rule over Python's own sets: walk the documents, drop each whose Jaccard of 3-word sequences with one
that is kept is 0.7 or more. It is found by an index that is written here, and tried on some documents against all others.
Recall and precision are those of the dropped documents. PYTHON is that of an environment with datasketch, rensa and numpy.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

THRESHOLD, SIZE, SEED, HASHES = 0.7, 3, 7, 128
SIGNS = re.compile("[\u0080-\u00bf\u2000-\u206f\u3000-\u303f]")
WORD = re.compile("[\u3040-\u9fff\U00010000-\U0010ffff]|[a-z0-9_\u00c0-\u2fff\ua000-\uffff]+")


def sequences(text: str) -> set[str]:
    text = text.lower()
    words = WORD.findall(text if text.isascii() else SIGNS.sub(" ", text)) or [text]
    return {" ".join(words[i : i + SIZE]) for i in range(max(1, len(words) - SIZE + 1))}


def attar(texts: list[str]) -> list[bool]:
    import polars as pl

    from attar.stages.select import dedup

    table = pl.DataFrame({"id": [f"{i:07}" for i in range(len(texts))], "prompt": texts})
    began()
    return (~dedup.near(table, threshold=THRESHOLD, words=SIZE)["kept"]).to_list()


def datasketch(texts: list[str]) -> list[bool]:
    from datasketch import MinHash, MinHashLSH

    began()
    index, dropped = MinHashLSH(threshold=THRESHOLD, num_perm=HASHES), []
    for i, text in enumerate(texts):
        sketch = MinHash(num_perm=HASHES)
        sketch.update_batch([one.encode() for one in sequences(text)])
        dropped.append(bool(index.query(sketch)))
        if not dropped[-1]:
            index.insert(i, sketch)
    return dropped


def rensa(texts: list[str]) -> list[bool]:
    from rensa import RMinHash, RMinHashLSH

    began()
    index, kept, dropped = RMinHashLSH(THRESHOLD, HASHES, 32), {}, []
    for start in range(0, len(texts), 4096):
        found = RMinHash.from_token_sets([list(sequences(text)) for text in texts[start : start + 4096]], HASHES, SEED)
        for i, sketch in enumerate(found, start):
            dropped.append(any(sketch.jaccard(kept[j]) >= THRESHOLD for j in index.query(sketch)))
            if not dropped[-1]:
                kept[i] = sketch
                index.insert(i, sketch)
    return dropped


CONTESTANTS = {"attar": attar, "datasketch": datasketch, "rensa": rensa}
START: list[float] = []


def began() -> None:
    """From here on the clock runs: what is before is imports."""
    START[:] = [time.process_time(), rss()]


def rss() -> float:
    """The most memory so far, in MiB; of this program alone, which ru_maxrss is not."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def contest(name: str, texts: Path, out: Path) -> None:
    found = CONTESTANTS[name](json.loads(texts.read_text()))
    seconds = time.process_time() - START[0]
    out.write_text(json.dumps({"dropped": found, "seconds": seconds, "mib": rss(), "mib_before": START[1]}))


def truth(sets: list[set[str]]) -> list[bool]:
    """Each document's rarest sequences stand in an index, as many as must hold one that any document like it has too."""
    seen = Counter(one for said in sets for one in said)
    index: dict[str, list[int]] = defaultdict(list)
    dropped = []
    for i, said in enumerate(sets):
        rare = sorted(said, key=lambda one: (seen[one], one))[: len(said) - int(0.7 * len(said)) + 1]
        near = {j for one in rare for j in index[one]}
        dropped.append(any(alike(said, sets[j]) for j in near))
        if not dropped[-1]:
            for one in rare:
                index[one].append(i)
    return dropped


def alike(one: set[str], other: set[str]) -> bool:
    return 10 * len(one & other) >= 7 * len(one | other)


def tried(sets: list[set[str]], dropped: list[bool], count: int) -> None:
    """The same of some documents, against every document kept before them."""
    for i in random.Random(SEED).sample(range(len(sets)), min(count, len(sets))):
        assert dropped[i] == any(alike(sets[i], sets[j]) for j in range(i) if not dropped[j]), i


def edited(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    for _ in range(max(1, round(len(words) * draw.uniform(0, 0.12)))):
        at = draw.randrange(len(words))
        words[at : at + 1] = draw.choice(([], [words[at], "indeed"], ["something"], [words[at].upper()]))
    return " ".join(words)


def pools(path: Path, rows: int) -> dict[str, list[str]]:
    import polars as pl

    pool = pl.read_parquet(path, columns=["instruction", "output"])
    draw = random.Random(SEED)
    pieces = []
    for text in pool["output"]:
        start = 0
        while start < len(text) - 40:
            stop = start + min(2000, max(40, int(draw.lognormvariate(5.6, 0.7))))
            pieces.append(text[start:stop])
            start = stop
    pairs = list(zip(pool["instruction"], pool["output"], strict=True))
    made = {
        "alpaca": draw.sample(pieces, min(rows, len(pieces))),
        "mixed": [f"{ask}\n{answer[: max(0, 330 - len(ask))]}" for ask, answer in pairs],
        "full": [f"{ask}\n{answer}" for ask, answer in pairs],
    }
    for texts in made.values():
        texts += [edited(text, draw) for text in draw.sample(texts, len(texts) // 20)]
        draw.shuffle(texts)
    return made


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("pool", type=Path)
    words.add_argument("--peers", default=None, metavar="PYTHON")
    words.add_argument("--rows", type=int, default=52_000)
    words.add_argument("--sets", default="alpaca,mixed,full")
    given = words.parse_args()
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in pools(given.pool, given.rows).items():
            if name not in given.sets.split(","):
                continue
            sets = [sequences(text) for text in texts]
            true = truth(sets)
            tried(sets, true, 200)
            mean = sum(map(len, texts)) / len(texts)
            print(f"{name}: {len(texts):,} documents of {mean:.0f} characters, {sum(true):,} to drop", flush=True)
            (asked := Path(folder) / "texts.json").write_text(json.dumps(texts))
            for who in CONTESTANTS if given.peers else ("attar",):
                python, out = sys.executable if who == "attar" else given.peers, Path(folder) / "out.json"
                subprocess.run([python, __file__, "--of", who, asked, out], check=True, env={**os.environ, **one_thread})
                told = json.loads(out.read_text())
                hits = sum(a and b for a, b in zip(true, told["dropped"], strict=True))
                print(
                    f"  {who:10} {len(texts) / told['seconds']:>9,.0f} documents/CPU-s   recall {hits / sum(true):.4f}   "
                    f"precision {hits / max(1, sum(told['dropped'])):.4f}   peak {told['mib']:.0f} MiB "
                    f"({told['mib_before']:.0f} of it before)",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--of"]:
        contest(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        main()
