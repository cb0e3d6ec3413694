"""What the rounds came to, as Markdown."""

import os
import platform
import subprocess
from pathlib import Path

from contestants import STOCK
from measure import ratio_of


def human(rate):
    return f"{rate / 1e6:.2f} M/s" if rate >= 1e6 else f"{rate / 1e3:.0f} k/s"


def fraction(ratio):
    """0.125 as 1/8.0; above one as a factor."""
    return f"1/{1 / ratio:.1f}" if ratio < 0.995 else f"{ratio:.2f}x"


def spread(ratio):
    return f"{fraction(ratio['median'])} ({fraction(ratio['most'])} - {fraction(ratio['least'])})"


METRIC_NAMES = {"cpu_us": "CPU", "rate": "rate", "p50_us": "p50", "p99_us": "p99"}


def target_text(target):
    sign = ">=" if target["floor"] else "<="
    if not target["ratio"]:
        limit = human(target["limit"]) if target["metric"] == "rate" else f"{target['limit']:g}"
        shown = human(target["measured"]) if target["metric"] == "rate" else f"{target['measured']:g}"
    else:
        limit = f"{target['limit']:g}x" if target["floor"] else fraction(target["limit"]) if target["limit"] < 1 else f"{target['limit']:g}x"
        shown = f"{target['measured']:.2f}x" if target["floor"] else fraction(target["measured"])
    return f"{METRIC_NAMES.get(target['metric'], target['metric'])} {sign} {limit}: {shown}, {'met' if target['met'] else '**not met**'}"


def main_table(results):
    """CPU per message, ratio, rate and target, a line per contestant that is compared."""
    lines = ["| workload | stock us | treegate us | ratio (rounds) | stock rate | treegate rate | load's CPU | target |", "|---|---|---|---|---|---|---|---|"]
    for result in results:
        for name, ours in result["medians"].items():
            ratio = next((r for r in result["ratios"] if r["of"] == name and r["metric"] == "cpu_us"), None)
            if ratio is None:
                continue
            theirs = result["medians"][ratio["to"]]
            label = result["cell"] + ("" if name == "treegate" else f" [{name}]")
            targets = "; ".join(target_text(t) for t in result["targets"] if t["entry"] == name)
            lines.append(f"| {label} | {theirs['cpu_us']:.3f} | {ours['cpu_us']:.3f} | {spread(ratio)} | {human(theirs['rate'])} | {human(ours['rate'])} "
                         f"| {theirs['load_share']:.2f}, {ours['load_share']:.2f} | {targets} |")
            against = ratio_of(result, name, "before", "cpu_us")
            if against:
                lines.append(f"| &nbsp; now against before | {result['medians']['before']['cpu_us']:.3f} | {ours['cpu_us']:.3f} "
                             f"| {against['median']:.2f}x ({against['least']:.2f} - {against['most']:.2f}) | | | | |")
    return "\n".join(lines)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "?")
    version = subprocess.run([str(STOCK), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {"cores": os.cpu_count(), "model": model, "kernel": platform.release(), "stock": version, "preset": "release"}
