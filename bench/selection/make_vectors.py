"""Make the vectors for the selection benches from real texts: one .npy a set, float32, rows of length one, seeded.

    FAISS_VENV/bin/python bench/selection/make_vectors.py POOL.parquet FOLDER [1m]     (five minutes)

It needs numpy, polars and scikit-learn. The texts are pieces of the answers in POOL (columns `instruction`, `output`),
shuffled. Two spectra, so that nothing is tuned for one: `lsa` is scikit-learn's TF-IDF and truncated SVD; `mini` is the same
directions stretched to the shape of a small sentence encoder (mean cosine 0.15, 57% of the variance in 64 directions). Neither
is such an encoder. The sets of 300K and 1M are synthetic: a row of the 52K, mixed with a second one (of the same instruction,
or any) and with noise of the set's own covariance. `words` has 4,096 dimensions (TF-IDF through a random projection): no few
directions lead its spectrum. `random` is Gaussian noise.
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
"""The shape of `mini`: the variance in the leading directions, and the mean cosine."""
CHUNK = 20_000


def split_text(text: str) -> list[str]:
    """Split a text into runs of whole sentences, each of about PIECE characters; drop pieces under 80."""
    sentences = re.split(r"(?<=[.!?\n])\s+", text.strip())
    ends = accumulate((len(sentence) + 1 for sentence in sentences), initial=0)
    placed = groupby(zip(ends, sentences, strict=False), key=lambda pair: pair[0] // PIECE)
    joined = (" ".join(sentence for _, sentence in run) for _, run in placed)
    return [piece for piece in joined if len(piece) >= 80]


def read_texts(path: str) -> tuple[list[str], np.ndarray]:
    """Distinct pieces in a seeded order, SPARE more than ROWS, and for each the number of its instruction."""
    pool = pl.read_parquet(path, columns=["instruction", "output"])
    cut = pool.with_columns(pl.col("output").map_elements(split_text, return_dtype=pl.List(pl.String)))
    cut = cut.explode("output").drop_nulls()
    cut = cut.unique("output", keep="first", maintain_order=True).sample(ROWS + SPARE, shuffle=True, seed=SEED)
    return cut["output"].to_list(), cut["instruction"].rank("dense").to_numpy().astype(np.int64)


def normalize(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length one, in 32 bits."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def principal_components(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variances (largest first), directions as columns."""
    mean = rows.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(rows.astype(np.float64), rowvar=False))
    return mean, np.maximum(values[::-1], 1e-12), vectors[:, ::-1]


def power_law_variances() -> np.ndarray:
    """Variances i**-p that sum to one, with p such that the first LEADING have SHARE of the sum."""
    powers = np.arange(1, WIDTH + 1) ** -np.linspace(0, 3, 3_001)[:, None]
    values = powers[np.argmax(powers[:, :LEADING].sum(axis=1) >= SHARE * powers.sum(axis=1))]
    return values / values.sum()


def reshape_spectrum(rows: np.ndarray) -> np.ndarray:
    """The rows' own directions, with power-law variances and a common part that makes the mean cosine MEAN."""
    mean, values, vectors = principal_components(rows)
    away = (rows - mean) @ vectors * np.sqrt(power_law_variances() / values)
    away = away / np.linalg.norm(away, axis=1, keepdims=True) * np.sqrt(1 - MEAN)
    common = np.zeros(WIDTH)
    common[:LEADING] = np.sqrt(MEAN / LEADING)
    return normalize(away + common)


def synthesise(rows: np.ndarray, topics: np.ndarray, count: int, path: Path) -> None:
    """Write `count` rows with the mean and covariance of `rows`, in chunks so that a million need no memory."""
    random = np.random.default_rng([SEED, count])
    mean, values, vectors = principal_components(rows)
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
        noise_rows = random.standard_normal((n, rows.shape[1]), dtype=np.float32) @ root
        out[at : at + n] = normalize(mixed + np.sqrt((1 - own) * noise) * noise_rows + mean)
    out.flush()


def describe(name: str, rows: np.ndarray) -> None:
    """Print a JSON line about a set: its spectrum, and how similar pairs of 8,000 sampled rows are."""
    random = np.random.default_rng(SEED)
    sample = np.asarray(rows[np.sort(random.choice(len(rows), min(8_000, len(rows)), replace=False))])
    cosines = (sample @ sample.T)[np.triu_indices(len(sample), 1)]
    values = np.linalg.svd(sample - sample.mean(axis=0), compute_uv=False) ** 2
    more = {f"pairs over {t}": float((cosines > t).mean()) for t in (0.5, 0.7, 0.8, 0.9)}
    line = {"set": name, "rows": len(rows), "width": rows.shape[1], "mean cosine": float(cosines.mean())}
    line[f"in {LEADING} directions"] = float(values[:LEADING].sum() / values.sum())
    print(json.dumps(line | more), flush=True)


def embed_texts(source: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embed the texts by their leading directions, some by a random projection; also each one's instruction."""
    texts, topics = read_texts(source)
    weights = TfidfVectorizer(sublinear_tf=True, stop_words="english", min_df=3, dtype=np.float32).fit_transform(texts)
    long_enough = np.flatnonzero(np.diff(weights.indptr) >= 8)[:ROWS]  # fewer words (code, a table) say too little
    weights = weights[long_enough]
    lsa = TruncatedSVD(WIDTH, n_iter=4, random_state=SEED).fit_transform(weights)
    words = GaussianRandomProjection(4_096, random_state=SEED).fit_transform(weights[:2_000])
    return normalize(lsa), normalize(words), topics[long_enough]


def main() -> None:
    """Make and describe all sets; large ones that exist already are not made again."""
    source, folder = sys.argv[1], Path(sys.argv[2])
    sizes = {"300k": 300_000} | ({"1m": 1_000_000} if "1m" in sys.argv[3:] else {})
    folder.mkdir(parents=True, exist_ok=True)
    lsa, words, topics = embed_texts(source)
    np.save(folder / "emb_words_2k.npy", words)
    for name, rows in {"lsa": lsa, "mini": reshape_spectrum(lsa)}.items():
        np.save(folder / f"emb_{name}_52k.npy", rows)
        for label, count in {"2k": 2_000, "10k": 10_000, "20k": 20_000}.items():
            np.save(folder / f"emb_{name}_{label}.npy", rows[:count])
        for label, count in sizes.items():
            if not (path := folder / f"emb_{name}_{label}.npy").exists():
                synthesise(rows, topics, count, path)
    random = np.random.default_rng(SEED).standard_normal((20_000, WIDTH))
    np.save(folder / "emb_random_20k.npy", normalize(random))
    for path in sorted(folder.glob("emb_*.npy")):
        describe(path.stem.removeprefix("emb_"), np.load(path, mmap_mode="r"))


if __name__ == "__main__":
    main()
