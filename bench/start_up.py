"""The time of `attar --help`, and the heavy modules that importing Attar loads.

python bench/start_up.py     (a few seconds)
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median


def main() -> None:
    """Print the median of ten calls, and the heavy modules that were imported."""
    attar = str(Path(sys.executable).parent / "attar")
    subprocess.run([attar, "--help"], capture_output=True, check=True)
    times = []
    for _ in range(10):
        started = time.perf_counter()
        subprocess.run([attar, "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - started)
    code = "import attar, attar.cli.main, sys; print([m for m in ('torch', 'transformers', 'polars') if m in sys.modules])"
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    print(f"attar --help: {median(times):.3f} s; heavy modules imported: {heavy}")


if __name__ == "__main__":
    main()
