"""All rounds of a cell, interleaved, and what they come to: medians, and medians of per-round ratios."""

import dataclasses
import statistics

from cell import AGAIN, STOCK, TREEGATE, Entry
from contestants import Playground, ROOT, make_contestant

SHORT_DIVISOR = 20
SHORT_COUNT_MIN = 2000
SHORT_SUBJECTS_MAX = 20_000
SYSCALL_PART = 3  # the round that counts system calls has one in so many messages
BEFORE = "before"
# Metrics with ratios.
COMPARED = ("cpu_us", "rate", "p50_us", "p99_us", "p999_us", "max_us", "hop_us", "resident_mb", "bytes_each", "growth", "took_ms", "record_ns")


def shortened(cell):
    """The cell as the test run has it: tiny, and otherwise the same."""
    small = lambda count: max(min(count, SHORT_COUNT_MIN), count // SHORT_DIVISOR)
    return dataclasses.replace(cell, count=small(cell.count), ours=small(cell.ours), load=shortened_load(cell, cell.load),
                               entries=tuple(dataclasses.replace(entry, load=shortened_load(cell, entry.load)) for entry in cell.entries))


def shortened_load(cell, load):
    load = dict(load)
    if "subjects" in load:
        load["subjects"] = min(load["subjects"], SHORT_SUBJECTS_MAX)
    return load | ({"short": True} if cell.kind == "core" else {})


def entries_of(cell, options):
    """Who takes part: the cell's entries; with --identical stock twice; with --against the other binary as well."""
    if options.identical:
        return [STOCK, AGAIN]
    return [*cell.entries, *([Entry(BEFORE)] if options.against and TREEGATE in cell.entries else [])]


def run_cell(cell, options, counter, pinned):
    """The result of one cell, raw rounds in it. The order of the contestants changes from round to round."""
    if options.short:
        cell = shortened(cell)
    entries = entries_of(cell, options)
    rounds = {entry.name: [] for entry in entries}
    # On a real disk, for fsync.
    with Playground("treegate-bench", under=ROOT / "build") as playground:
        contestants = []
        for number, entry in enumerate(entries):
            label = f"{number}-{'stock' if entry.stock else 'treegate'}"
            binary = options.against if entry.name == BEFORE else options.treegate
            contestants.append(make_contestant(cell, entry, playground, binary, label, pinned))
            if not cell.fresh:
                contestants[-1].start()
        for number in range(rounds_of(cell, options)):
            turn = number % len(contestants)
            for one in contestants[turn:] + contestants[:turn]:
                rounds[one.entry.name].append(one.run(count_of(cell, one.entry), number))
            if cell.fresh:
                for one in contestants:
                    one.stop()
        result = summarise(cell, entries, rounds)
        if counter and cell.kind not in ("", "core", "times") and not cell.twin and not cell.hops:
            for one in contestants:
                calls = one.run(max(1, count_of(cell, one.entry) // SYSCALL_PART), 0, counter).get("syscalls")
                if calls is not None:
                    result["medians"][one.entry.name]["syscalls"] = calls
        for one in contestants:
            one.stop()
    return result | {"pinned": pinned}


def rounds_of(cell, options):
    """The short form says nothing about costs, so noise does not matter to it."""
    return min(options.rounds * (1 if options.short else cell.rounds_factor), cell.rounds_max)


def count_of(cell, entry):
    return cell.count if entry.stock or not cell.ours else cell.ours


def kept(cell, values):
    """The first of more than two rounds warms up, and is left out; not so where each round has servers of its own."""
    return values[1:] if len(values) > 2 and not cell.fresh else values


def summarise(cell, entries, rounds):
    """Medians of every metric of every contestant, ratios and differences to its reference, and the targets."""
    result = {"cell": cell.name, "group": cell.group, "kind": cell.kind, "load": cell.load, "medians": {}, "ratios": [], "targets": [], "rounds": rounds}
    for name, runs in rounds.items():
        keys = [key for key in runs[0] if all(key in run for run in runs)]
        result["medians"][name] = {key: statistics.median(run[key] for run in kept(cell, runs)) for key in keys}
    compared = [(entry.name, entry.reference) for entry in entries if entry.reference in rounds]
    if BEFORE in rounds:
        compared.append((TREEGATE.name, BEFORE))
    for name, reference in compared:
        for key in COMPARED:
            each = [(a[key], b[key]) for a, b in zip(kept(cell, rounds[name]), kept(cell, rounds[reference])) if key in a and b.get(key)]
            if each:
                ratios = [a / b for a, b in each]
                result["ratios"].append({"of": name, "to": reference, "metric": key, "median": statistics.median(ratios), "least": min(ratios),
                                         "most": max(ratios), "difference": statistics.median(a - b for a, b in each)})
    result["targets"] = [judged(target, result) for target in cell.targets if target.entry in rounds]
    return result


def ratio_of(result, name, metric="cpu_us", reference=None):
    """The entry of result["ratios"] of a contestant, to that reference or to its first one; None if there is none."""
    return next((r for r in result["ratios"] if (r["of"], r["metric"]) == (name, metric) and reference in (None, r["to"])), None)


def judged(target, result):
    """A target with what was measured, and whether that meets it."""
    if target.kind == "value":
        measured = result["medians"][target.entry][target.metric]
    else:
        measured = ratio_of(result, target.entry, target.metric)["median" if target.kind == "ratio" else "difference"]
    return dataclasses.asdict(target) | {"measured": measured, "met": measured >= target.limit if target.floor else measured <= target.limit}
