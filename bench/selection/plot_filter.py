"""Plot the filter's CPU seconds and memory by the size of the pool, on logarithmic axes, as one small SVG.

    FAISS_VENV/bin/python bench/selection/plot_filter.py LINES.jsonl docs/selection.svg [--set mini]     (matplotlib)

LINES is what filter.py wrote with -o. Only measured points are drawn, the last measurement of each size. Dotted lines
extrapolate by the square of the rows, up to the largest pool.
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

LOOK = {
    "deita, batch 1": ("Deita, batch 1 (its default)", "#b2182b", "o"),
    "deita, batch 128": ("Deita, batch 128", "#ef8a62", "s"),
    "plain": ("plain products in blocks", "#777777", "^"),
    "attar": ("Attar", "#2166ac", "D"),
}
PARTS = ("deita", "sizes", "brute", "million")


def read_lines(path: Path, name: str) -> dict[str, dict[int, dict]]:
    """For each filter the last line of each size."""
    lines: dict[str, dict[int, dict]] = {look: {} for look in LOOK}
    for line in map(json.loads, path.read_text().splitlines()):
        if line["part"] in PARTS and line["set"].startswith(name) and line["name"] in lines:
            lines[line["name"]][line["rows"]] = line
    return lines


def main() -> None:
    """Draw two panels: seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lines", type=Path)
    parser.add_argument("to", type=Path)
    parser.add_argument("--set", default="mini")
    options = parser.parse_args()
    filters = {name: dict(sorted(sizes.items())) for name, sizes in read_lines(options.lines, options.set).items() if sizes}
    largest = max(rows for sizes in filters.values() for rows in sizes)
    ticks = [tick for tick in (2_000, 10_000, 52_000, 300_000, 1_000_000) if tick <= largest]
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "attar", "font.size": 9})
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
    for panel, what, title in zip(panels, ("seconds", "peak_mb"), ("seconds of one thread", "peak memory, MB"), strict=True):
        for name, sizes in filters.items():
            label, colour, mark = LOOK[name]
            rows, values = list(sizes), [line[what] for line in sizes.values()]
            panel.loglog(rows, values, color=colour, marker=mark, markersize=4, label=label)
            if what == "seconds" and rows[-1] < largest:
                beyond = values[-1] * (largest / rows[-1]) ** 2
                panel.loglog([rows[-1], largest], [values[-1], beyond], color=colour, linestyle=":", linewidth=1)
        panel.minorticks_off()
        panel.set_xticks(ticks, [f"{tick // 1_000}K" if tick < 1_000_000 else "1M" for tick in ticks])
        panel.yaxis.set_major_formatter("{x:g}")
        panel.set_xlabel("rows in the pool")
        panel.set_title(title, fontsize=9)
        panel.grid(alpha=0.25)
    panels[0].legend(fontsize=8, frameon=False)
    figure.savefig(options.to, metadata={"Date": None})


if __name__ == "__main__":
    main()
