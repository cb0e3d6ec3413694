#!/usr/bin/env python3
"""Draws the plots of a report from its results.json: plots.py DIR. Needs matplotlib (tests/setup bench)."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "treegate", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
from matplotlib import pyplot

LEAST_RATIO = 0.5  # where bars begin: stock needs half of what treegate needs
STOCK_COLOUR, OURS_COLOUR, OTHER_COLOUR = "#9a9a9a", "#1f6f8b", "#e0903a"


def save(figure, folder, name):
    figure.tight_layout()
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def cpu_ratio(result):
    return next((r for r in result["ratios"] if (r["of"], r["to"], r["metric"]) == ("treegate", "stock", "cpu_us")), None)


def ratios(results, folder):
    """How many times more CPU stock needs: median, range of the rounds, target."""
    plain = [r for r in results if not r["pinned"] and cpu_ratio(r)]
    pinned = {r["cell"]: cpu_ratio(r) for r in results if r["pinned"] and cpu_ratio(r)}
    if not plain:
        return
    figure, axes = pyplot.subplots(figsize=(9, 0.26 * len(plain) + 1.4))
    for place, result in enumerate(plain):
        ratio = cpu_ratio(result)
        axes.barh(place, 1 / ratio["median"] - LEAST_RATIO, left=LEAST_RATIO, color=OURS_COLOUR, height=0.6, zorder=2, label="median" if place == 0 else None)
        axes.plot([1 / ratio["most"], 1 / ratio["least"]], [place, place], color="black", linewidth=1, zorder=3, label="rounds" if place == 0 else None)
    asked = [(1 / t["limit"], place) for place, r in enumerate(plain) for t in r["targets"]
             if (t["entry"], t["metric"], t["kind"]) == ("treegate", "cpu_us", "ratio")]
    if asked:
        axes.scatter(*zip(*asked), marker="|", s=120, color=OTHER_COLOUR, linewidth=2.5, zorder=4, label="target")
    both = [(1 / pinned[r["cell"]]["median"], place) for place, r in enumerate(plain) if r["cell"] in pinned]
    if both:
        axes.scatter(*zip(*both), marker="o", s=16, facecolor="white", edgecolor="black", zorder=5, label="a core each")
    axes.axvline(1, color=STOCK_COLOUR, linewidth=1)
    axes.set_yticks(range(len(plain)), [r["cell"] for r in plain])
    axes.invert_yaxis()
    ticks = [0.5, 1, 2, 5, 10, 20, 50]
    axes.set(xscale="log", xlim=(LEAST_RATIO, 80))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("CPU of stock / CPU of treegate, per message (right is better)")
    axes.legend(loc="lower right", frameon=False)
    save(figure, folder, "ratios")


def sizes(results, folder):
    """CPU per delivery against the size of the payload."""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    drawn = False
    for subscribers, style in ((1, "-"), (16, "--")):
        rows = sorted((r["load"]["size"], r) for r in results if not r["pinned"] and r["kind"] == "pubsub" and r["group"] in ("one", "fan-out")
                      and r["load"].get("subscribers", 1) == subscribers and "headers" not in r["load"])
        for name, colour in (("stock", STOCK_COLOUR), ("treegate", OURS_COLOUR)):
            if rows:
                axes.plot([size for size, _ in rows], [r["medians"][name]["cpu_us"] for _, r in rows], style, marker="o", markersize=4, color=colour,
                          label=f"{name}, 1 to {subscribers}")
                drawn = True
    axes.set(xscale="log", yscale="log", xlabel="payload, bytes", ylabel="server CPU per delivery, us")
    if drawn:
        axes.legend(frameon=False)
    save(figure, folder, "sizes")


def latency(results, folder):
    """Percentiles of request and reply."""
    rows = [r for r in results if not r["pinned"] and r["group"] == "requests"]
    figure, panels = pyplot.subplots(1, max(1, len(rows)), figsize=(9, 3.6), squeeze=False)
    keys = {"p50_us": "p50", "p99_us": "p99", "p999_us": "p99.9", "max_us": "max"}
    for axes, result in zip(panels[0], rows):
        colours = [STOCK_COLOUR, OURS_COLOUR, OTHER_COLOUR]
        width = 0.8 / len(result["medians"])
        for number, (name, medians) in enumerate(result["medians"].items()):
            axes.bar([place + number * width for place in range(len(keys))], [medians[key] for key in keys], width, color=colours[number % 3], label=name)
        axes.set_xticks([place + 0.3 for place in range(len(keys))], keys.values())
        axes.set(yscale="log", title=result["cell"], ylabel="us", ylim=(10, None))
        axes.legend(frameon=False, loc="upper left")
    save(figure, folder, "latency")


def memory(results, folder):
    """Idle process, idle connection, subscription."""
    rows = [r for r in results if not r["pinned"] and r["group"] == "memory"]
    figure, panels = pyplot.subplots(1, max(1, len(rows)), figsize=(10, 3.4), squeeze=False)
    for axes, result in zip(panels[0], rows):
        key, unit = ("bytes_each", "bytes each") if "bytes_each" in result["medians"]["stock"] else ("resident_mb", "MB")
        names = list(result["medians"])
        axes.bar([name.replace(", ", ",\n") for name in names], [result["medians"][name][key] for name in names],
                 color=[STOCK_COLOUR, OURS_COLOUR, OTHER_COLOUR][:len(names)])
        axes.set_title(result["cell"].replace(", ", ",\n"), fontsize=9)
        axes.set_ylabel(unit)
    save(figure, folder, "memory")


def main():
    folder = Path(sys.argv[1])
    results = json.loads((folder / "results.json").read_text())["results"]
    for draw in (ratios, sizes, latency, memory):
        draw(results, folder)


if __name__ == "__main__":
    main()
