"""AlpacaEval 2: our figures of 20 models from their published annotations, compared with the published leaderboard.

    python bench/evaluation/alpaca_leaderboard.py FOLDER [--without regulariser|difficulty|length] [--bootstrap N]
    python bench/evaluation/alpaca_leaderboard.py FOLDER --make

FOLDER has annotations.parquet, leaderboard.csv, instruction_difficulty.csv and gamed_regulariser.csv. Raw and discrete win
rates must be within 1e-6 points of the leaderboard's, length-controlled ones within 0.15 (the penalty is cross-validated, and
the published folds depended on the machine); else it exits with 1. --without leaves a term of the model out, which must fail.
--make writes the coefficients that Attar ships, from the questions' texts, their difficulties and the regularising rows.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import polars as pl

from attar.stages.evaluate.benchmarks import alpaca_files, length_control
from attar.stages.evaluate.benchmarks.alpaca_eval import figures, first_wins, seeded_order

sys.path.insert(0, str(Path(__file__).parents[1]))
from measure import timed

RAW, LC = 1e-6, 0.15


def make_coefficients(folder: Path) -> None:
    """Write the shipped file: a row for each question, no text in it. Lengths are the answer's less the baseline's."""
    annotations = pl.read_parquet(folder / "annotations.parquet")
    whole = annotations.filter(pl.len().over("model") == 805)
    texts = whole.filter(pl.col("model") == whole["model"][0]).sort("index")["instruction"]
    difficulty = pl.read_csv(folder / "instruction_difficulty.csv").sort("index")["instruction_difficulty"]
    regulariser = pl.read_csv(folder / "gamed_regulariser.csv").sort("model", "index")
    if regulariser["instruction_difficulty"].to_list() != [*difficulty, *difficulty]:
        sys.exit("the regularising rows have other difficulties than the questions")
    hashes = pl.Series("text", [length_control.text_hash(text) for text in texts], dtype=pl.UInt64)
    columns = {"text": hashes, "difficulty": difficulty}
    for name in ("concise", "verbose"):
        rows = regulariser.filter(pl.col("model").str.ends_with(name))
        columns |= {f"{name}_longer": -rows["std_delta_len"], f"{name}_preference": rows["preference"]}
    length_control.KNOWN_QUESTIONS.parent.mkdir(exist_ok=True)
    pl.DataFrame(columns).write_parquet(
        length_control.KNOWN_QUESTIONS, compression="zstd", compression_level=19, statistics=False
    )
    print(f"{length_control.KNOWN_QUESTIONS}: {length_control.KNOWN_QUESTIONS.stat().st_size:,} bytes")


def check_probabilities(folder: Path) -> str:
    """How many of the judge's stored log-probabilities give the stored preference."""
    rows = pl.read_parquet(folder / "annotations.parquet").drop_nulls("top_logprobs")
    same = 0
    for text, top, preference in rows.select("instruction", "top_logprobs", "preference").rows():
        first = first_wins(json.loads(top))
        won = None if first is None else first if seeded_order(text) else 1 - first
        same += won is None if preference is None else won is not None and abs(won - (preference - 1)) < 1e-4
    return f"{same:,} of {len(rows):,} stored log-probabilities give the stored preference in the seeded order"


def compute_figures(folder: Path, bootstrap: int) -> pl.DataFrame:
    """Our figures of every model."""
    battles = alpaca_files.read([folder / "annotations.parquet"])
    return figures(battles, bootstrap=bootstrap, difficulty_of="row")


def main() -> None:
    """Compute, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", choices=length_control.TERMS)
    parser.add_argument("--bootstrap", type=int, default=1000)
    parser.add_argument("--make", action="store_true")
    options = parser.parse_args()
    if options.make:
        make_coefficients(options.folder)
        return
    if options.without:
        import attar.stages.evaluate.benchmarks.alpaca_eval as module

        module.control = partial(length_control.control_length, without=[options.without])
    out, seconds = timed(compute_figures, options.folder, options.bootstrap)
    ours = out.pivot("figure", index="model", values=["value", "low", "high", "published_se"])
    board = pl.read_csv(options.folder / "leaderboard.csv").join(ours, on="model", how="left")
    board = board.with_columns(
        raw=(pl.col("value_win_rate") - pl.col("win_rate")).abs(),
        discrete=(pl.col("value_discrete_win_rate") - pl.col("discrete_win_rate")).abs(),
        lc=pl.col("value_lc_win_rate") - pl.col("length_controlled_winrate"),
    )
    print(f"{'model':<36}{'raw':>9}{'discrete':>10}{'LC':>9}   {'LC here':>7}  95% interval")
    for row in board.to_dicts():
        ends = f"{row['low_lc_win_rate']:.2f} to {row['high_lc_win_rate']:.2f}" if options.bootstrap else ""
        off = f"{row['raw']:9.1e}{row['discrete']:10.1e}{row['lc']:+9.4f}"
        print(f"{row['model']:<36}{off}   {row['value_lc_win_rate']:7.3f}  {ends}")
    worst = {name: board[name].abs().max() for name in ("raw", "discrete", "lc")}
    differences = ", ".join(f"{name} {value:.2g}" for name, value in worst.items())
    print(f"largest differences: {differences}; {seconds:.1f} CPU-seconds")
    print(check_probabilities(options.folder))
    if max(worst["raw"], worst["discrete"]) > RAW or worst["lc"] > LC:
        sys.exit("the figures are not the leaderboard's")


if __name__ == "__main__":
    main()
