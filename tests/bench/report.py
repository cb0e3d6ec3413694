"""The report: what was measured as JSON, and as a page of tables with plots."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from contestants import HERE, ROOT, STOCK
from cell import AGAIN, STOCK as STOCK_ENTRY
from measure import ratio_of
from tables import METRICS, cpu_table, label, own_table, spread, table, target_text, text

DIGITS = 4  # of raw figures in the JSON
NOISE = 1.25  # smaller differences mean nothing
VENV = ROOT / "build/venv/bin/python"
APART = ("memory", "shards", "churn", "noise", "tree", "tree churn", "tree growth", "tree times", "tree core")  # groups with a section of their own
LOWER_IS_BETTER = ("cpu_us", "p50_us", "p99_us", "p999_us", "max_us", "hop_us", "took_ms", "resident_mb", "bytes_each", "growth", "syscalls", "reads_writes")

INTRODUCTION = """Server CPU time of one message is the figure that counts: user and system time of the server, all threads, divided by deliveries
(publish only: by messages published; requests: by requests; connections and subscriptions: for each). So it is also seconds of CPU
per million messages. Ratios are medians of the ratios of each round, with the smallest and the largest beside them; below 1.25x
call nothing a difference. Every message was verified: count, order, content. Rates are lower bounds (>=) where the load
generator used up its core. The method, and what it cannot show: [tests/bench/README.md](../README.md)."""


def machine(options, counter):
    """Processor, kernel and versions; no names of hosts or paths."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    version = lambda binary: subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {"cores": os.cpu_count(), "model": model, "kernel": platform.release().split("-")[0], "stock": version(STOCK),
            "treegate": "stock again" if options.identical else version(options.treegate), "rounds": options.rounds, "short": options.short,
            "calls_method": counter.method if counter else None}


def headline(info):
    return f"{info['stock']} and {info['treegate']} on {info['cores']} cores of {info['model']}, Linux {info['kernel']}, {info['rounds']} rounds"


def rounded(value):
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def compact(result):
    """Raw rounds as one list for each metric, and few digits."""
    rounds = {name: {key: [rounded(run.get(key)) for run in runs] for key in runs[0]} for name, runs in result["rounds"].items()}
    rest = json.loads(json.dumps({key: part for key, part in result.items() if key != "rounds"}), parse_float=lambda v: rounded(float(v)))
    return rest | {"rounds": rounds}


def write_json(path, info, results):
    """One line per cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(compact(result)) for result in results)
    path.write_text(f'{{"machine": {json.dumps(info)},\n"results": [\n{lines}\n]}}\n')


def targets_table(results):
    rows = [[label(result, target["entry"]), target_text(target)[0], *target_text(target)[1:]] for result in results for target in result["targets"]]
    return table(["workload", "asked for", "measured", ""], rows)


def groups(results, kinds):
    return [r for r in results if r["group"] in kinds]


def medians_table(results, metrics):
    """One row per contestant, one column per metric."""
    rows = [[result["cell"], name, *(text(metric, medians.get(metric)) for metric in metrics)]
            for result in results for name, medians in result["medians"].items() if any(metric in medians for metric in metrics)]
    return table(["workload", "server", *(METRICS[metric][0] for metric in metrics)], rows)


def worse_than_stock(results):
    """(result, contestant, metric, by how many times) of every figure that is worse than stock's in the same cell."""
    for result in results:
        theirs = result["medians"].get(STOCK_ENTRY.name, {})
        for name, ours in result["medians"].items():
            for metric in ("rate", *LOWER_IS_BETTER):
                if name in (STOCK_ENTRY.name, AGAIN.name) or not theirs.get(metric) or not ours.get(metric):
                    continue
                worse = theirs[metric] / ours[metric] if metric == "rate" else ours[metric] / theirs[metric]
                if worse > 1.0:
                    yield result, name, metric, worse


def stock_wins(results):
    rows = [[label(result, name) + (" (pinned)" if result["pinned"] else ""), METRICS[metric][0], text(metric, result["medians"]["stock"][metric]),
             text(metric, result["medians"][name][metric]), f"{worse:.2f}x"] for result, name, metric, worse in worse_than_stock(results)]
    return table(["workload", "figure", "stock", "treegate", "stock is better by"], rows) if rows else "In no figure of this run."


def page(info, results):
    """The report as Markdown."""
    plain, pinned = [r for r in results if not r["pinned"]], [r for r in results if r["pinned"]]
    targets = [target for result in plain for target in result["targets"]]
    parts = [f"# treegate beside {info['stock']}", f"{headline(info)}; release build. Made by `tests/bench/run --report tests/bench/report`."
             + (" **Short form: the figures are rough.**" if info["short"] else ""), INTRODUCTION,
             f"## Targets: {sum(t['met'] for t in targets)} of {len(targets)} met", targets_table(plain), "![CPU ratios](ratios.svg)",
             "## CPU and rate", "Neither side pinned.", cpu_table([r for r in plain if r["group"] not in APART]),
             "![CPU by size of payload](sizes.svg)"]
    sections = [
        ("requests", "Latency of requests", ["p50_us", "p99_us", "p999_us", "max_us", "cpu_us", "rate"], "![Latency](latency.svg)"),
        ("memory", "Memory, connections, subscriptions", ["resident_mb", "bytes_each", "cpu_us"], "![Memory](memory.svg)"),
        ("churn", "Subscription churn during traffic", ["calm_us", "cpu_us", "growth", "churned_rate"], ""),
    ]
    tree_sections = [
        ("tree", "Through a tree: latency", ["p50_us", "p99_us", "hop_us", "rate"]),
        ("tree churn", "Subscription churn at one end of a tree: CPU of the others", ["calm_us", "cpu_us", "growth", "churned_rate"]),
        ("tree growth", "What a transit hop costs as things grow", ["cpu_us", "rate", "server_share", "resident_mb"]),
        ("tree times", "How long moves in the tree take", ["took_ms"]),
        ("tree core", "The tree's machines by themselves", ["record_ns", "overhead_bytes", "number_bytes", "factors", "definition_bytes", "compute_us",
                                                           "define_us", "pass_us", "tree_mb", "bytes_each", "same_bytes", "some_bytes", "first_bytes"]),
    ]
    for group, title, metrics, picture in sections:
        if groups(plain, [group]):
            parts += [f"## {title}", medians_table(groups(plain, [group]), metrics), picture]
    for group, title in (("shards", "Two shards"), ("noise", "Noise: the stock server beside itself"), ("tree", "Through a tree of gateways, and durable")):
        if groups(plain, [group]):
            parts += [f"## {title}", cpu_table(groups(plain, [group])), own_table(groups(plain, [group]))]
    for group, title, metrics in tree_sections:
        # One table for each of the programs that the machines are measured by.
        part = lambda r: r["load"]["what"] if r["kind"] == "core" else ""
        for what in dict.fromkeys(part(r) for r in groups(plain, [group])):
            chosen = [r for r in groups(plain, [group]) if part(r) == what]
            shown = [metric for metric in metrics if any(metric in medians for r in chosen for medians in r["medians"].values())]
            parts += [f"## {title}" if f"## {title}" not in parts else "", medians_table(chosen, shown) if shown else ""]
    if pinned:
        parts += ["## Server on one core, load on another", cpu_table(pinned)]
    parts += ["## System calls and memory in use",
              f"Calls for 1,000 messages; all calls by {info['calls_method']}, reads and writes by `/proc/<pid>/io`. Resident after the last round.",
              medians_table([r for r in plain if r["kind"] not in ("", "core", "times") and r["group"] != "memory"], ["syscalls", "reads_writes", "resident_mb"]),
              "## Where stock wins", stock_wins(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(folder, info, results):
    """results.json, report.md and the plots. Raises CalledProcessError where matplotlib is missing (tests/setup bench)."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", info, results)
    (folder / "report.md").write_text(page(info, results))
    python = VENV if VENV.exists() else sys.executable
    subprocess.run([str(python), str(HERE / "plots.py"), str(folder)], check=True)


README_BEGIN, README_END = "<!-- figures: begin -->\n", "<!-- figures: end -->\n"


README_TABLES = {  # of the tree: which results, and which of their figures
    "How long moves take": (lambda r: r["kind"] == "times", ["took_ms"]),
    "The path from the root of a tree to all its gateways (no more than 4,096 factors)": (
        lambda r: r["load"].get("what") == "paths", ["number_bytes", "factors", "definition_bytes", "compute_us", "define_us", "pass_us"]),
    "What a gateway holds, and what a link carries when it stands again or a newcomer has come": (
        lambda r: r["load"].get("what") == "sync", ["tree_mb", "bytes_each", "same_bytes", "some_bytes", "first_bytes"]),
}


def tree_tables(results):
    chosen = {title: ([r for r in results if wanted(r)], metrics) for title, (wanted, metrics) in README_TABLES.items()}
    return "".join(f"\n{title}:\n\n{medians_table(those, metrics)}\n" for title, (those, metrics) in chosen.items() if those)


def readme_block(data):
    """The targets with what was measured, what the tree's moves, paths and logs cost, and where stock wins by more than noise, from results.json."""
    plain = [result for result in data["results"] if not result["pinned"]]
    rows = []
    for result in plain:
        for target in result["targets"]:
            name, metric = target["entry"], target["metric"]
            ratio = ratio_of(result, name, metric)
            asked, measured, met = target_text(target)
            telling = ratio and target["kind"] != "difference" and metric != "growth"
            rows.append([label(result, name), METRICS[metric][0], text(metric, result["medians"][ratio["to"]][metric]) if ratio else "-",
                         text(metric, result["medians"][name][metric]), spread(ratio) if telling else measured,
                         asked.replace(METRICS[metric][0] + " ", "", 1), met])
    wins = [f"{label(result, name)}: {METRICS[metric][0]} by {worse:.2g} times" for result, name, metric, worse in worse_than_stock(plain)
            if worse >= NOISE and metric in ("cpu_us", "rate", "p50_us", "p99_us", "bytes_each", "resident_mb")]
    return (f"{headline(data['machine'])}{', **short form: rough**' if data['machine']['short'] else ''}.\n\n"
            + table(["workload", "figure", "stock", "treegate", "ratio (rounds)", "asked for", ""], rows)
            + "\n" + tree_tables(plain) + f"\nWhere stock wins by more than the noise: {'; '.join(wins) or 'nowhere'}.\n")


def write_readme(readme, data):
    before, rest = readme.read_text().split(README_BEGIN)
    readme.write_text(before + README_BEGIN + readme_block(data) + README_END + rest.split(README_END)[1])
