"""Near duplicates: documents a CPU-second, recall, precision and memory, compared with datasketch and rensa.

    python bench/selection/near_duplicates.py POOL.parquet [--peers PYTHON] [--rows 52000] [--sets alpaca,mixed,full]

PYTHON has datasketch, rensa and numpy. Each runs once, on one thread, in a process of its own. POOL has columns `instruction`
and `output`. Three sets are made of it, shuffled, and an edited copy of one document in twenty is added:

    alpaca   pieces of answers, of the lengths of Alpaca's documents
    mixed    instruction and the start of the answer: about forty documents begin the same way; many are near duplicates
    full     instruction and the whole answer

The truth is the plain rule over Python's own sets: walk the documents, drop each whose Jaccard similarity of 3-word sequences
with a kept one is 0.7 or more. It is computed with an index that is written here, and checked on 200 documents by comparing
them with all others. Recall and precision are those of the dropped documents.
"""

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import peak_megabytes, run_on_one_thread, timed

THRESHOLD, SIZE, SEED, HASHES = 0.7, 3, 7, 128
SIGNS = re.compile("[\u0080-\u00bf\u2000-\u206f\u3000-\u303f]")
WORD = re.compile("[\u3040-\u9fff\U00010000-\U0010ffff]|[a-z0-9_\u00c0-\u2fff\ua000-\uffff]+")


def sequences(text: str) -> set[str]:
    text = text.lower()
    words = WORD.findall(text if text.isascii() else SIGNS.sub(" ", text)) or [text]
    return {" ".join(words[i : i + SIZE]) for i in range(max(1, len(words) - SIZE + 1))}


# Each imports what it needs and returns the function that is timed: texts to whether each is dropped.


def attar(texts: list[str]) -> Callable[[], list[bool]]:
    import polars as pl

    from attar.stages.select import dedup

    table = pl.DataFrame({"id": [f"{i:07}" for i in range(len(texts))], "prompt": texts})
    return lambda: (~dedup.near(table, threshold=THRESHOLD, words=SIZE)["kept"]).to_list()


def datasketch(texts: list[str]) -> Callable[[], list[bool]]:
    from datasketch import MinHash, MinHashLSH

    def drop() -> list[bool]:
        index, dropped = MinHashLSH(threshold=THRESHOLD, num_perm=HASHES), []
        for i, text in enumerate(texts):
            sketch = MinHash(num_perm=HASHES)
            sketch.update_batch([one.encode() for one in sequences(text)])
            dropped.append(bool(index.query(sketch)))
            if not dropped[-1]:
                index.insert(i, sketch)
        return dropped

    return drop


def rensa(texts: list[str]) -> Callable[[], list[bool]]:
    from rensa import RMinHash, RMinHashLSH

    def drop() -> list[bool]:
        index, kept, dropped = RMinHashLSH(THRESHOLD, HASHES, 32), {}, []
        for start in range(0, len(texts), 4096):
            sets = [list(sequences(text)) for text in texts[start : start + 4096]]
            for i, sketch in enumerate(RMinHash.from_token_sets(sets, HASHES, SEED), start):
                dropped.append(any(sketch.jaccard(kept[j]) >= THRESHOLD for j in index.query(sketch)))
                if not dropped[-1]:
                    kept[i] = sketch
                    index.insert(i, sketch)
        return dropped

    return drop


LIBRARIES = {"attar": attar, "datasketch": datasketch, "rensa": rensa}


def run_library(name: str, file: Path) -> None:
    """Run one library in this process; print what it dropped and what that cost."""
    drop = LIBRARIES[name](json.loads(file.read_text()))
    before = peak_megabytes()
    dropped, seconds = timed(drop)
    print(json.dumps({"dropped": dropped, "seconds": seconds, "peak_mb": peak_megabytes(), "peak_mb_before": before}))


def find_truth(sets: list[set[str]]) -> list[bool]:
    """Prefix filtering: similar sets share one of their rarest sequences, so an index of those finds every candidate."""
    frequency = Counter(one for each in sets for one in each)
    index: dict[str, list[int]] = defaultdict(list)
    dropped = []
    for i, own in enumerate(sets):
        rarest = sorted(own, key=lambda one: (frequency[one], one))[: len(own) - int(0.7 * len(own)) + 1]
        candidates = {j for one in rarest for j in index[one]}
        dropped.append(any(is_similar(own, sets[j]) for j in candidates))
        if not dropped[-1]:
            for one in rarest:
                index[one].append(i)
    return dropped


def is_similar(one: set[str], other: set[str]) -> bool:
    return 10 * len(one & other) >= 7 * len(one | other)


def check_truth(sets: list[set[str]], dropped: list[bool], count: int) -> None:
    """Compare some documents with every document kept before them."""
    for i in random.Random(SEED).sample(range(len(sets)), min(count, len(sets))):
        assert dropped[i] == any(is_similar(sets[i], sets[j]) for j in range(i) if not dropped[j]), i


def edit(text: str, rng: random.Random) -> str:
    """Remove, repeat or replace up to 12% of the words."""
    words = text.split(" ")
    for _ in range(max(1, round(len(words) * rng.uniform(0, 0.12)))):
        at = rng.randrange(len(words))
        words[at : at + 1] = rng.choice(([], [words[at], "indeed"], ["something"], [words[at].upper()]))
    return " ".join(words)


def make_sets(path: Path, rows: int) -> dict[str, list[str]]:
    import polars as pl

    pool = pl.read_parquet(path, columns=["instruction", "output"])
    rng = random.Random(SEED)
    pieces = []
    for text in pool["output"]:
        start = 0
        while start < len(text) - 40:
            stop = start + min(2000, max(40, int(rng.lognormvariate(5.6, 0.7))))
            pieces.append(text[start:stop])
            start = stop
    pairs = list(zip(pool["instruction"], pool["output"], strict=True))
    sets = {
        "alpaca": rng.sample(pieces, min(rows, len(pieces))),
        "mixed": [f"{ask}\n{answer[: max(0, 330 - len(ask))]}" for ask, answer in pairs],
        "full": [f"{ask}\n{answer}" for ask, answer in pairs],
    }
    for texts in sets.values():
        texts += [edit(text, rng) for text in rng.sample(texts, len(texts) // 20)]
        rng.shuffle(texts)
    return sets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", type=Path)
    parser.add_argument("--peers", default=None, metavar="PYTHON")
    parser.add_argument("--rows", type=int, default=52_000)
    parser.add_argument("--sets", default="alpaca,mixed,full")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, texts in make_sets(options.pool, options.rows).items():
            if name not in options.sets.split(","):
                continue
            sets = [sequences(text) for text in texts]
            truth = find_truth(sets)
            check_truth(sets, truth, 200)
            mean = sum(map(len, texts)) / len(texts)
            print(f"{name}: {len(texts):,} documents of {mean:.0f} characters, {sum(truth):,} to drop", flush=True)
            file = Path(folder) / "texts.json"
            file.write_text(json.dumps(texts))
            for library in LIBRARIES if options.peers else ("attar",):
                python = sys.executable if library == "attar" else options.peers
                line = run_on_one_thread(python, Path(__file__), "--library", library, file)
                hits = sum(a and b for a, b in zip(truth, line["dropped"], strict=True))
                print(
                    f"  {library:10} {len(texts) / line['seconds']:>9,.0f} documents/CPU-s   recall {hits / sum(truth):.4f}   "
                    f"precision {hits / max(1, sum(line['dropped'])):.4f}   peak {line['peak_mb']:.0f} MiB "
                    f"({line['peak_mb_before']:.0f} of it before)",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--library"]:
        run_library(sys.argv[2], Path(sys.argv[3]))
    else:
        main()
