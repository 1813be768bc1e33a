"""Semantic repeats: documents a CPU-second on one thread, vectors given (embedding is not counted).

.venv/bin/python bench/selection/semantic.py VECTORS.npy [...]
"""

import sys

from cost import child


def main() -> None:
    """A line for each set."""
    for path in sys.argv[1:]:
        line = child(sys.executable, "ours.py", path, "--work", "semantic", rounds=3)
        pace = line["rows"] / line["seconds"]
        print(f"{path}: {line['rows']:,} rows, {line['kept']:,} kept, {pace:,.0f} documents a CPU-second")


if __name__ == "__main__":
    main()
