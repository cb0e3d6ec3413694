"""Figures as text: lines, cells of tables, tables."""

from cell import STOCK, TREEGATE
from measure import BEFORE, ratio_of

def bytes_text(v):
    return f"{v:.0f} B" if v < 10_000 else f"{v / 1000:.1f} KB" if v < 1_000_000 else f"{v / 1e6:.1f} MB"


def work_text(v):
    return f"{v:.2g} µs" if v < 10 else f"{v:.0f} µs"


METRICS = {  # how a figure is called and written
    "cpu_us": ("CPU", lambda v: f"{v:.3f} µs" if v < 10 else f"{v:.1f} µs"),
    "rate": ("rate", lambda v: f"{v / 1e6:.2f} M/s" if v >= 1e6 else f"{v / 1e3:.3g} k/s"),
    "p50_us": ("p50", lambda v: f"{v:.0f} µs"),
    "p99_us": ("p99", lambda v: f"{v:.0f} µs"),
    "p999_us": ("p99.9", lambda v: f"{v:.0f} µs"),
    "max_us": ("max", lambda v: f"{v:.0f} µs"),
    "hop_us": ("p50 added per hop", lambda v: f"{v:.0f} µs"),
    "took_ms": ("time", lambda v: f"{v:.0f} ms" if v < 10_000 else f"{v / 1000:.1f} s"),
    "record_ns": ("CPU of a record at the transit", lambda v: f"{v:.0f} ns"),
    "overhead_bytes": ("tree overhead of a record", lambda v: f"{v:.1f} B"),
    "number_bytes": ("the number", bytes_text),
    "definition_bytes": ("its definition", bytes_text),
    "compute_us": ("computing it", work_text),
    "factors": ("factors", lambda v: f"{v:.0f}"),
    "pass_us": ("taking it up and on at a transit", work_text),
    "define_us": ("splitting and defining it", work_text),
    "tree_mb": ("memory of one gateway", lambda v: f"{v:.1f} MB"),
    "first_bytes": ("first sync", bytes_text),
    "same_bytes": ("reconnect, nothing changed, the fuller way", bytes_text),
    "some_bytes": ("reconnect, 1 % changed", bytes_text),
    "resident_mb": ("resident", lambda v: f"{v:.1f} MB"),
    "bytes_each": ("memory of each", lambda v: f"{v:.0f} B" if v < 10_000 else f"{v / 1000:.1f} KB"),
    "calm_us": ("CPU without churn", lambda v: f"{v:.3f} µs"),
    "growth": ("CPU with churn / without", lambda v: f"{v:.2f}"),
    "churned_rate": ("subscriptions made and ended", lambda v: f"{v / 1e3:.1f} k/s"),
    "syscalls": ("system calls", lambda v: f"{v * 1000:.3g}"),
    "reads_writes": ("reads and writes", lambda v: f"{v * 1000:.3g}"),
    "load_share": ("load's share of a core", lambda v: f"{v:.2f}"),
    "server_share": ("server's share of a core", lambda v: f"{v:.2f}"),
}


def text(metric, value):
    return "-" if value is None else METRICS[metric][1](value)


def fraction(ratio):
    """0.125 as 1/8.0; from one on as a factor."""
    return f"1/{1 / ratio:.1f}" if ratio < 0.995 else f"{ratio:.2f}x"


def spread(ratio):
    return f"{fraction(ratio['median'])} ({fraction(ratio['most'])} - {fraction(ratio['least'])})"


def target_text(target):
    """What is asked for, what was measured, and the verdict."""
    name, written = METRICS[target["metric"]]
    sign = "at least" if target["floor"] else "at most"
    if target["kind"] != "ratio":
        measured, limit = written(target["measured"]), written(target["limit"])
        limit += " more" if target["kind"] == "difference" else ""
    elif target["floor"] or target["limit"] >= 1:
        measured, limit = f"{target['measured']:.2f}x", f"{target['limit']:g}x"
    else:
        measured, limit = fraction(target["measured"]), f"1/{1 / target['limit']:.3g}"
    return f"{name} {sign} {limit}", measured, "met" if target["met"] else "**not met**"


TELLING = ("growth", "bytes_each", "hop_us", "cpu_us", "took_ms", "record_ns", "same_bytes", "overhead_bytes", "compute_us", "resident_mb")


def one_line(result):
    """For the progress line: the telling figure of each contestant."""
    parts = []
    for name, medians in result["medians"].items():
        metric = next(key for key in TELLING if key in medians)
        ratio = ratio_of(result, name, metric)
        parts.append(f"{name} {text(metric, medians[metric])}" + (f" = {fraction(ratio['median'])}" if ratio else ""))
    return ", ".join(parts)


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)])


def compared(results):
    """(result, its medians of a contestant and of its reference, ratio of CPU) of every comparison that has CPU per message."""
    for result in results:
        for ratio in result["ratios"]:
            if ratio["metric"] == "cpu_us":
                yield result, result["medians"][ratio["of"]], result["medians"][ratio["to"]], ratio


def label(result, name):
    return result["cell"] if name == TREEGATE.name else f"{result['cell']} [{name}]"


LOAD_IS_THE_LIMIT = 0.9  # from this share of a core on, a rate is only what the load generator could do


def rate(medians):
    return (">= " if medians["load_share"] > LOAD_IS_THE_LIMIT else "") + text("rate", medians["rate"])


def row(result, ours, theirs, ratio):
    targets = [t for t in result["targets"] if t["entry"] == ratio["of"] and ratio["to"] != BEFORE]
    return [text("cpu_us", theirs["cpu_us"]), text("cpu_us", ours["cpu_us"]), spread(ratio), rate(theirs), rate(ours),
            f"{theirs['load_share']:.2f}, {ours['load_share']:.2f}", "; ".join("{}: {}, {}".format(*target_text(t)) for t in targets)]


def cpu_table(results):
    """CPU, ratio and rate of each contestant that is compared with stock."""
    rows = [[label(result, ratio["of"]), *row(result, ours, theirs, ratio)] for result, ours, theirs, ratio in compared(results)
            if ratio["to"] == STOCK.name]
    return table(["workload", "stock CPU", "treegate CPU", "ratio (rounds)", "stock rate", "treegate rate", "load's CPU share", "target"], rows)


def own_table(results):
    """The same of contestants that are compared with another treegate; empty without any."""
    rows = [[result["cell"], ratio["to"], ratio["of"], *row(result, ours, theirs, ratio)] for result, ours, theirs, ratio in compared(results)
            if ratio["to"] != STOCK.name]
    return table(["workload", "this", "and that", "CPU of this", "CPU of that", "ratio (rounds)", "rate of this", "rate of that", "load's CPU share",
                  "target"], rows) if rows else ""


def main_tables(results):
    plain, pinned = [r for r in results if not r["pinned"]], [r for r in results if r["pinned"]]
    parts = [cpu_table(plain), own_table(plain)]
    if pinned:
        parts += ["Server on one core, load on the other:", cpu_table(pinned), own_table(pinned)]
    return "\n\n".join(part for part in parts if part) + "\n"
