"""All rounds of a cell, interleaved, and what they come to: medians, and medians of per-round ratios."""

import dataclasses
import statistics

from cells import STOCK, TREEGATE, Entry
from contestants import Contestant, Playground, ROOT

SHORT_DIVISOR = 20
SHORT_COUNT_MIN = 2000


def entries_of(cell, options):
    """Who takes part: the cell's entries; with --identical stock twice; with --against the other binary as well."""
    if options.identical:
        return [STOCK, dataclasses.replace(STOCK, name="treegate", reference="stock")]
    entries = list(cell.entries)
    if options.against:
        entries.append(Entry("before", before=True))
    return entries


def run_cell(cell, options):
    """The result of one cell, raw rounds in it. The order of the contestants changes from round to round."""
    entries = entries_of(cell, options)
    rounds = {entry.name: [] for entry in entries}
    # On a real disk, for fsync.
    with Playground("treegate-bench", under=ROOT / "build") as playground:
        contestants = []
        for number, entry in enumerate(entries):
            binary = options.against if entry.before else options.treegate
            contestants.append(Contestant(cell, entry, playground, binary, number))
            contestants[-1].start()
        for number in range(options.rounds):
            turn = number % len(contestants)
            for one in contestants[turn:] + contestants[:turn]:
                count = cell.ours if cell.ours and not one.entry.stock else cell.count
                if options.short:
                    count = max(SHORT_COUNT_MIN, count // SHORT_DIVISOR)
                rounds[one.entry.name].append(one.run(count))
        for one in contestants:
            one.stop()
    pairs = [(entry.name, entry.reference) for entry in entries if entry.reference]
    if options.against:
        pairs.append((TREEGATE.name, "before"))
    return summarise(cell, rounds, pairs)


def kept(values):
    """The first of more than two rounds warms up: it stays in the raw results and out of the medians."""
    return values[1:] if len(values) > 2 else values


def summarise(cell, rounds, pairs):
    result = {"cell": cell.name, "group": cell.group, "medians": {}, "ratios": [], "targets": [], "rounds": rounds}
    for name, runs in rounds.items():
        keys = [key for key in runs[0] if all(key in run for run in runs)]
        result["medians"][name] = {key: statistics.median(run[key] for run in kept(runs)) for key in keys}
    for name, reference in pairs:
        keys = [key for key in result["medians"][name] if key in result["medians"][reference]]
        for key in keys:
            each = [a[key] / b[key] for a, b in zip(kept(rounds[name]), kept(rounds[reference])) if b[key]]
            if each:
                result["ratios"].append({"of": name, "to": reference, "metric": key, "median": statistics.median(each),
                                         "least": min(each), "most": max(each)})
    result["targets"] = [judged(target, result) for target in cell.targets if target.entry in rounds]
    return result


def ratio_of(result, name, reference, metric):
    """The entry of result["ratios"] for that pair, or None."""
    return next((r for r in result["ratios"] if (r["of"], r["to"], r["metric"]) == (name, reference, metric)), None)


def judged(target, result):
    """A target with what was measured and whether that meets it."""
    if target.ratio:
        measured = next(r["median"] for r in result["ratios"] if (r["of"], r["metric"]) == (target.entry, target.metric))
    else:
        measured = result["medians"][target.entry][target.metric]
    met = measured >= target.limit if target.floor else measured <= target.limit
    return {"entry": target.entry, "metric": target.metric, "limit": target.limit, "floor": target.floor, "ratio": target.ratio,
            "measured": measured, "met": met}
