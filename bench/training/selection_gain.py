"""What selection is worth to the pocket student: accuracy of the base, of random rows and of selected rows, over several seeds.

    python bench/training/selection_gain.py [SEEDS] [HOME] [RUN.yaml]     (five to eight minutes a seed)

Defaults: three seeds, a temporary home, examples/pocket.yaml. Every seed is a whole run: it samples, selects, trains and
examines. 95% intervals; over seeds Student's t on the seeds' means.
"""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import polars as pl
import yaml

from attar.core.table import read
from attar.runtime.home import Home, run_record
from attar.statistics.intervals import mean_over_runs

EXAMPLE = Path(__file__).parents[2] / "examples" / "pocket.yaml"


def run_seed(seed: int, home: Path, example: Path) -> pl.DataFrame:
    """Run one seed; return its scores."""
    content = yaml.safe_load(example.read_text())
    content["knobs"]["seed"] = seed
    file = home / f"seed-{seed}.yaml"
    file.write_text(yaml.safe_dump(content))
    run([str(Path(sys.executable).parent / "attar"), "run", str(file), "--home", str(home), "--quiet"], check=True)
    folder = run_record(Home(home), file.stem)["results"]["scores"]
    return read(Home(home).steps / folder).with_columns(pl.lit(seed).alias("seed"))


def main() -> None:
    """Print a line for each seed and arm, and one for each arm over all seeds."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    home = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="attar-selection-gain-"))
    example = Path(sys.argv[3]) if len(sys.argv) > 3 else EXAMPLE
    home.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        table = pl.concat(pool.map(lambda seed: run_seed(seed, home, example), range(count))).filter(pl.col("level") == "all")
    for row in table.to_dicts():
        interval = f"({100 * row['low']:.1f} to {100 * row['high']:.1f})"
        print(f"seed {row['seed']}  {row['arm']:<9} {100 * row['accuracy']:5.1f}  {interval}")
    wide = table.pivot("arm", index="seed", values="accuracy")
    wide = wide.with_columns(
        (pl.col("selected") - pl.col("random")).alias("selected - random"),
        (pl.col("preferred") - pl.col("selected")).alias("preferred - selected"),
    )
    for arm in wide.columns[1:] if count > 1 else ():
        mean, _, high = mean_over_runs(wide[arm].to_list())
        print(f"{count} seeds  {arm:<18} {100 * mean:5.1f} +- {100 * (high - mean):.1f}")


if __name__ == "__main__":
    main()
