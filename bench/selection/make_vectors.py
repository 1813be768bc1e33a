"""The vectors that the selection benchmark filters, made of real texts: one .npy a set, float32, rows of length one, seeded.

    FAISS_VENV/bin/python bench/selection/pool.py POOL.parquet FOLDER [1m]     (numpy, polars and scikit-learn; five minutes)

The texts are pieces of the answers in POOL (columns `instruction`, `output`), shuffled. Two spectra, so that nothing is
tuned for one: `lsa` is what scikit-learn's TF-IDF and truncated SVD make of them; `mini` is the same directions stretched
to the shape of a small sentence encoder (mean cosine 0.15, 57% of the variance in 64 directions). Neither is such an
encoder. The sets of 300K and 1M are synthesised: a row of the 52K, mixed with a second one (of the same instruction, or
any) and with noise of the set's own covariance. `words` has 4,096 dimensions: TF-IDF through a random projection, so a
spectrum without a few leading directions; `random` has none at all.
"""

import json
import re
import sys
from itertools import accumulate, groupby
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.random_projection import GaussianRandomProjection

ROWS, SPARE, WIDTH, PIECE, SEED = 52_000, 4_000, 384, 500, 7
LEADING, SHARE, MEAN = 64, 0.6, 0.15
CHUNK = 20_000


def pieces(text: str) -> list[str]:
    """The text in runs of whole sentences, each of about PIECE characters; a scrap at the end is left out."""
    sentences = re.split(r"(?<=[.!?\n])\s+", text.strip())
    ends = accumulate((len(sentence) + 1 for sentence in sentences), initial=0)
    placed = groupby(zip(ends, sentences, strict=False), key=lambda pair: pair[0] // PIECE)
    joined = (" ".join(sentence for _, sentence in run) for _, run in placed)
    return [piece for piece in joined if len(piece) >= 80]


def texts(path: str) -> tuple[list[str], np.ndarray]:
    """Distinct pieces in a seeded order, some more than ROWS, and the number of the instruction that each one answers."""
    pool = pl.read_parquet(path, columns=["instruction", "output"])
    cut = pool.with_columns(pl.col("output").map_elements(pieces, return_dtype=pl.List(pl.String)))
    cut = cut.explode("output").drop_nulls()
    cut = cut.unique("output", keep="first", maintain_order=True).sample(ROWS + SPARE, shuffle=True, seed=SEED)
    return cut["output"].to_list(), cut["instruction"].rank("dense").to_numpy().astype(np.int64)


def unit(rows: np.ndarray) -> np.ndarray:
    """At length one, in 32 bits."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def principal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variances (largest first) and directions as columns."""
    mean = rows.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(rows.astype(np.float64), rowvar=False))
    return mean, np.maximum(values[::-1], 1e-12), vectors[:, ::-1]


def falling() -> np.ndarray:
    """Variances i**-p that sum to one, p such that the first LEADING hold SHARE of them."""
    powers = np.arange(1, WIDTH + 1) ** -np.linspace(0, 3, 3_001)[:, None]
    values = powers[np.argmax(powers[:, :LEADING].sum(axis=1) >= SHARE * powers.sum(axis=1))]
    return values / values.sum()


def reshaped(rows: np.ndarray) -> np.ndarray:
    """The rows' own directions with the variances of `falling` and a common part that makes the mean cosine MEAN."""
    mean, values, vectors = principal(rows)
    away = (rows - mean) @ vectors * np.sqrt(falling() / values)
    away = away / np.linalg.norm(away, axis=1, keepdims=True) * np.sqrt(1 - MEAN)
    common = np.zeros(WIDTH)
    common[:LEADING] = np.sqrt(MEAN / LEADING)
    return unit(away + common)


def synthesised(rows: np.ndarray, topics: np.ndarray, count: int, path: Path) -> None:
    """`count` rows with the mean and covariance of `rows`, written in chunks so that a million need no memory."""
    random = np.random.default_rng([SEED, count])
    mean, values, vectors = principal(rows)
    away, root = (rows - mean).astype(np.float32), (vectors * np.sqrt(values)).T.astype(np.float32)
    by_topic = np.argsort(topics, kind="stable")
    start, size = np.searchsorted(topics[by_topic], topics), np.bincount(topics)[topics]
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(count, rows.shape[1]))
    for at in range(0, count, CHUNK):
        n = min(CHUNK, count - at)
        first = random.integers(0, len(rows), n)
        beside = by_topic[start[first] + random.integers(0, size[first])]
        second = np.where(random.random(n) < 0.5, beside, random.integers(0, len(rows), n))
        own, noise = random.uniform(0.4, 0.95, (n, 1)).astype(np.float32), np.float32(0.05)
        mixed = np.sqrt(own) * away[first] + np.sqrt(1 - own) * np.sqrt(1 - noise) * away[second]
        strange = random.standard_normal((n, rows.shape[1]), dtype=np.float32) @ root
        out[at : at + n] = unit(mixed + np.sqrt((1 - own) * noise) * strange + mean)
    out.flush()


def described(name: str, rows: np.ndarray) -> None:
    """One line of JSON about a set: its spectrum, and how many pairs of 8,000 rows drawn from it are how alike."""
    random = np.random.default_rng(SEED)
    some = np.asarray(rows[np.sort(random.choice(len(rows), min(8_000, len(rows)), replace=False))])
    alike = (some @ some.T)[np.triu_indices(len(some), 1)]
    values = np.linalg.svd(some - some.mean(axis=0), compute_uv=False) ** 2
    more = {f"pairs over {t}": float((alike > t).mean()) for t in (0.5, 0.7, 0.8, 0.9)}
    told = {"set": name, "rows": len(rows), "width": rows.shape[1], "mean cosine": float(alike.mean())}
    told[f"in {LEADING} directions"] = float(values[:LEADING].sum() / values.sum())
    print(json.dumps(told | more), flush=True)


def embedded(source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The texts by their leading directions, some of them by a random projection, and each one's instruction."""
    written, topics = texts(source)
    weights = TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=3, dtype=np.float32).fit_transform(written)
    said = np.flatnonzero(np.diff(weights.indptr) >= 8)[:ROWS]  # of fewer words (code, a table) too little may be left
    weights = weights[said]
    lsa = TruncatedSVD(WIDTH, n_iter=4, random_state=SEED).fit_transform(weights)
    words = GaussianRandomProjection(4_096, random_state=SEED).fit_transform(weights[:2_000])
    return unit(lsa), unit(words), topics[said]


def main() -> None:
    """All sets, and what they are like; large ones that are there already are left as they are."""
    source, folder = sys.argv[1], Path(sys.argv[2])
    sizes = {"300k": 300_000} | ({"1m": 1_000_000} if "1m" in sys.argv[3:] else {})
    folder.mkdir(parents=True, exist_ok=True)
    lsa, words, topics = embedded(source)
    np.save(folder / "emb_words_2k.npy", words)
    for name, rows in {"lsa": lsa, "mini": reshaped(lsa)}.items():
        np.save(folder / f"emb_{name}_52k.npy", rows)
        for label, count in {"2k": 2_000, "10k": 10_000, "20k": 20_000}.items():
            np.save(folder / f"emb_{name}_{label}.npy", rows[:count])
        for label, count in sizes.items():
            if not (path := folder / f"emb_{name}_{label}.npy").exists():
                synthesised(rows, topics, count, path)
    random = np.random.default_rng(SEED).standard_normal((20_000, WIDTH))
    np.save(folder / "emb_random_20k.npy", unit(random))
    for path in sorted(folder.glob("emb_*.npy")):
        described(path.stem.removeprefix("emb_"), np.load(path, mmap_mode="r"))


if __name__ == "__main__":
    main()
