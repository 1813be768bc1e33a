"""k-means, k-center and facility location compared with other libraries: CPU seconds of one thread, and quality.

    PYTHONPATH=src VENV/bin/python bench/selection/clustering.py ROWS.npy [CLUSTERS]

VENV needs numpy, polars, scikit-learn, faiss-cpu and apricot-select; ROWS.npy is a matrix of float32 rows, as make_vectors.py
makes. Each k-means runs with two seeds. Inertia is the mean squared distance of a row to the mean of its cluster, computed in
64 bits from the labels alone. Ours and faiss find centres on 256 rows a cluster, scikit-learn on all.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import ONE_THREAD, timed

os.environ.update(ONE_THREAD)

import numpy as np

from attar.similarity.matrix import unit
from attar.stages.select import cluster, coreset

ITERATIONS = 20
FEW, CHOSEN = 5000, 500  # of facility location: apricot needs all pairs of rows


def ours(rows: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    sample = np.random.default_rng(seed).permutation(len(rows))[: 256 * clusters]
    return cluster.nearest(rows, cluster.train_centres(rows[sample], clusters, iterations=ITERATIONS, seed=seed))[0]


def with_faiss(rows: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    import faiss

    means = faiss.Kmeans(rows.shape[1], clusters, niter=ITERATIONS, seed=seed + 1)
    means.train(rows)
    return means.index.search(rows, 1)[1][:, 0]


def with_lloyd(rows: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    return KMeans(clusters, n_init=1, max_iter=ITERATIONS, random_state=seed, algorithm="lloyd").fit(rows).labels_


def with_batches(rows: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    return MiniBatchKMeans(clusters, n_init=1, batch_size=4096, random_state=seed).fit(rows).labels_


def inertia(rows: np.ndarray, labels: np.ndarray) -> float:
    wide, total = rows.astype(np.float64), 0.0
    for label in np.unique(labels):
        own = wide[labels == label]
        total += ((own - own.mean(axis=0)) ** 2).sum()
    return total / len(rows)


def one_by_one(rows: np.ndarray, keep: int) -> list[int]:
    """k-center as it is usually written: one product with all rows for each kept row."""
    near, kept = np.full(len(rows), -2, dtype=np.float32), [0]
    while len(kept) < keep:
        near = np.maximum(near, rows @ rows[kept[-1]])
        kept.append(int(near.argmin()))
    return kept


def with_apricot(rows: np.ndarray, keep: int) -> list[int]:
    from apricot import FacilityLocationSelection

    similarity = np.maximum(rows.astype(np.float64) @ rows.T.astype(np.float64), 0)
    return FacilityLocationSelection(keep, metric="precomputed", optimizer="lazy").fit(similarity).ranking.tolist()


def coverage(rows: np.ndarray, kept: list[int]) -> float:
    return float(np.maximum(rows @ rows[kept].T, 0).max(axis=1).mean())


def main() -> None:
    rows = unit(np.load(sys.argv[1]))
    clusters = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    print(f"{len(rows):,} rows of {rows.shape[1]}, {clusters} clusters")
    for work in (ours, with_faiss, with_batches, with_lloyd):
        for seed in (0, 1):
            labels, seconds = timed(work, rows, clusters, seed)
            print(f"  {work.__name__:14}{seconds:8.2f} CPU s   inertia {inertia(rows, labels):.5f}", flush=True)
    chosen, seconds = timed(coreset.choose_farthest, rows, 1000)
    same, slow = timed(one_by_one, rows, 1000)
    print(f"k-center, 1,000: {seconds:.2f} CPU s; row by row {slow:.2f}; the same rows: {chosen.kept == same}")
    few = rows[:FEW]
    with_apricot(few[:100], 5)  # it compiles on the first call
    chosen, seconds = timed(coreset.choose_representative, few, CHOSEN)
    theirs, slow = timed(with_apricot, few, CHOSEN)
    print(f"facility, {CHOSEN} of {FEW:,}: {seconds:.2f} CPU s, covers {coverage(few, chosen.kept):.6f}")
    print(f"  apricot {slow:.2f} CPU s, covers {coverage(few, theirs):.6f}; the same rows: {chosen.kept == theirs}")


if __name__ == "__main__":
    main()
