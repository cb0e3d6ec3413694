"""The cells of the benchmark: what is sent, between whom, at which servers, and what is hoped for. tree_cells.py has those of the tree."""

from cell import ACROSS, AGAIN, KIB, SPIN, STOCK, TOGETHER, TREEGATE, TWO, Cell, Target, size_text, under, value
from tree_cells import TREE_CELLS

# Times as many rounds: large payloads, and figures that are the ratio of two of our own runs.
NOISY = 2


def pubsub(name, group, count, ours, *targets, entries=(STOCK, TREEGATE), twin=None, pinned=False, rounds_factor=1, **load):
    return Cell(name, group, "pubsub", load, count, ours, targets, entries, twin=twin or {}, pinned=pinned, rounds_factor=rounds_factor)


def pairs(size, count, ours, *targets, **more):
    """Four publishers, each with a subscriber of its own."""
    return pubsub(more.pop("name", f"4 to 4 on 4 subjects, {size_text(size)}"), more.pop("group", "many"), count, ours, *targets, size=size,
                  publishers=4, subscribers=4, paired=True, **more)


def subjects(name, count, ours, *targets, pinned=False, **load):
    return Cell(name, "subjects", "subjects", dict(size=16, **load), count, ours, targets, one_load=True, pinned=pinned,
                rounds_max=6 if load["subjects"] < 1_000_000 else 4)


def sharded(name, count, ours, *targets, **load):
    """The same with one shard, with two and each pair on one of them, and with two and each pair across."""
    return Cell(f"{name}, one and two shards", "shards", "pubsub", load, count, ours, (*targets, Target(1.5, entry=ACROSS.name)),
                (STOCK, TREEGATE, TOGETHER, ACROSS), rounds_factor=NOISY)


def million(name, **load):
    return Cell(name, "memory", "subscriptions", load, 1_000_000, 0,
                (value(300, "bytes_each"), Target(100, "bytes_each", kind="difference", entry=TWO.name)), (STOCK, TREEGATE, TWO), fresh=True,
                rounds_max=3)


CELLS = [
    pubsub("publish only, 16 B", "one", 8_000_000, 20_000_000, size=16, subscribers=0, pinned=True),
    pubsub("publish only, 128 B", "one", 4_000_000, 10_000_000, size=128, subscribers=0),
    pubsub("1 to 1, 16 B", "one", 3_000_000, 8_000_000, under(8), size=16, pinned=True),
    pubsub("1 to 1, 128 B", "one", 2_000_000, 5_000_000, under(7), size=128, pinned=True),
    pubsub("1 to 1, 1 KiB", "one", 600_000, 1_500_000, under(2.5), size=KIB, pinned=True, rounds_factor=NOISY),
    pubsub("1 to 1, 8 KiB", "one", 120_000, 250_000, under(1.6), size=8 * KIB, pinned=True, rounds_factor=NOISY),
    pubsub("1 to 1, 64 KiB", "one", 10_000, 30_000, under(2.5), size=64 * KIB, pinned=True, rounds_factor=NOISY),
    pubsub("1 to 1, 128 B with 64 B of headers", "one", 1_500_000, 4_000_000, under(6), size=128, headers=64, pinned=True),

    pubsub("1 to 4, 16 B", "fan-out", 1_000_000, 4_000_000, size=16, subscribers=4),
    pubsub("1 to 4, 128 B", "fan-out", 800_000, 2_500_000, size=128, subscribers=4, pinned=True),
    pubsub("1 to 16, 16 B", "fan-out", 300_000, 1_500_000, under(8), size=16, subscribers=16, pinned=True),
    pubsub("1 to 16, 128 B", "fan-out", 250_000, 1_000_000, under(6), size=128, subscribers=16, pinned=True),
    pubsub("1 to 16, 1 KiB", "fan-out", 90_000, 200_000, under(2), size=KIB, subscribers=16, pinned=True),
    pubsub("1 to 16, 8 KiB", "fan-out", 15_000, 25_000, under(1), size=8 * KIB, subscribers=16),
    pubsub("1 to 64, 16 B", "fan-out", 80_000, 400_000, size=16, subscribers=64),
    pubsub("1 to 64, 128 B", "fan-out", 70_000, 250_000, under(7), size=128, subscribers=64, pinned=True),

    pairs(16, 3_000_000, 8_000_000),
    pairs(128, 2_000_000, 5_000_000, under(5), pinned=True),
    pairs(KIB, 600_000, 1_200_000),
    pubsub("queue group 4 to 4, 16 B", "many", 2_000_000, 6_000_000, size=16, publishers=4, subscribers=4, queue=True),
    pubsub("queue group 4 to 4, 128 B", "many", 1_500_000, 4_000_000, under(3.5), size=128, publishers=4, subscribers=4, queue=True, pinned=True),

    subjects("random of 10,000 subjects, 16 B", 500_000, 3_000_000, under(7), subjects=10_000, pinned=True),
    subjects("random of 10,000 subjects, 20 % wildcards, 16 B", 400_000, 3_000_000, under(7), subjects=10_000, wildcards=20),
    subjects("random of 1,000,000 subjects, 16 B", 250_000, 1_500_000, under(5), subjects=1_000_000),
    subjects("random of 1,000,000 subjects, 20 % wildcards, 16 B", 250_000, 1_500_000, under(5), subjects=1_000_000, wildcards=20),

    Cell("requests, one at a time, 128 B", "requests", "requests", dict(window=1), 6000, 6000,
         (under(1, metric="p50_us"), under(2, metric="p50_us", entry=SPIN.name)), (STOCK, TREEGATE, SPIN), pinned=True),
    Cell("requests, 4 by 4, window 64, 128 B", "requests", "requests", dict(publishers=4, subscribers=4, window=64), 400_000, 1_000_000,
         (under(2.5), Target(2.5, "rate", floor=True), under(5, metric="p99_us")), (STOCK, TREEGATE, SPIN), pinned=True),

    Cell("an idle process", "memory", "", targets=(value(10, "resident_mb"),), fresh=True, rounds_max=5),
    Cell("10,000 idle connections, opened one by one", "memory", "connections", {}, 10_000, 10_000,
         (value(6000, "bytes_each"), under(3)), fresh=True, rounds_max=4),
    million("1,000,000 subscriptions"),
    million("1,000,000 subscriptions, 20 % wildcards", wildcards=20),

    pairs(128, 2_000_000, 5_000_000, value(1.3, "growth"), name="4 to 4 on 4 subjects, 128 B, churn 10,000/s", group="churn", twin=dict(churn=10_000),
          rounds_factor=NOISY),
    Cell("random of 10,000 subjects, 16 B, churn 10,000/s", "churn", "subjects", dict(size=16, subjects=10_000), 350_000, 2_000_000,
         (value(1.3, "growth"),), twin=dict(churn=10_000), rounds_factor=NOISY),

    sharded("4 to 4 on 4 subjects, 16 B", 3_000_000, 8_000_000, Target(1.1, entry=TOGETHER.name), size=16, publishers=4, subscribers=4, paired=True),
    sharded("4 to 4 on 4 subjects, 128 B", 2_000_000, 5_000_000, Target(1.1, entry=TOGETHER.name), size=128, publishers=4, subscribers=4, paired=True),
    sharded("1 to 1, 16 B", 3_000_000, 8_000_000, size=16),
    sharded("1 to 1, 128 B", 2_000_000, 5_000_000, size=128),
    sharded("1 to 16, 16 B", 300_000, 1_500_000, size=16, subscribers=16),
    sharded("1 to 16, 128 B", 250_000, 1_000_000, size=128, subscribers=16),

    pubsub("noise: 1 to 1, 128 B", "noise", 2_000_000, 0, size=128, entries=(STOCK, AGAIN)),
    pubsub("noise: 1 to 1, 8 KiB", "noise", 120_000, 0, size=8 * KIB, entries=(STOCK, AGAIN)),

    Cell("durable publish with fsync, 128 B", "tree", "pubsub", dict(size=128, acks=True, window=4000, subject="orders"), 12_000, 200_000,
         (value(100_000, "rate", floor=True),), durable=True),
    *TREE_CELLS,
]
