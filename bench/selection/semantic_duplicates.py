"""Semantic duplicates: documents a CPU-second on one thread, from vectors (embedding is not counted).

.venv/bin/python bench/selection/semantic_duplicates.py VECTORS.npy [...]     (52K rows: ten seconds)
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from measure import run_on_one_thread  # noqa: E402 (bench/measure.py)


def main() -> None:
    """Print a line for each file."""
    for path in sys.argv[1:]:
        line = run_on_one_thread(sys.executable, HERE / "peer_attar.py", path, "--work", "semantic", rounds=3)
        pace = line["rows"] / line["seconds"]
        print(f"{path}: {line['rows']:,} rows, {line['kept']:,} kept, {pace:,.0f} documents a CPU-second")


if __name__ == "__main__":
    main()
