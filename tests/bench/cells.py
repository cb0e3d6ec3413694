"""The cells of the benchmark: what is sent, between whom, at which servers, and what is hoped for."""

from dataclasses import dataclass, field

ALL = "cpu_us"  # the figure that counts, unless a target names another


@dataclass(frozen=True)
class Entry:
    """One contestant: a server with its flags, and what the load generator does differently for it."""
    name: str
    stock: bool = False
    flags: tuple = ()
    load: dict = field(default_factory=dict)
    reference: str = "stock"  # whom its ratios are to
    before: bool = False  # the other binary, of --against


STOCK = Entry("stock", stock=True, reference="")
TREEGATE = Entry("treegate")


@dataclass(frozen=True)
class Target:
    """What issue 4 (3 for durable and chain) asks for: `metric` of `entry`, as a ratio to its reference or as a value."""
    limit: float
    metric: str = ALL
    floor: bool = False  # at least, instead of at most
    ratio: bool = True
    entry: str = "treegate"


@dataclass(frozen=True)
class Cell:
    """One line of the report. `load` are flags of the load generator; `count` is of a stock round, `ours` of treegate's."""
    name: str
    group: str
    kind: str  # the load generator's first word; "" where nothing connects
    load: dict
    count: int = 1
    ours: int = 0
    targets: tuple = ()
    shape: str = "single"  # single: one server on its own; chain: three in a row, the CPU of the middle one
    durable: bool = False
    stock_load: dict = field(default_factory=dict)  # where stock has to do something else
    entries: tuple = (STOCK, TREEGATE)


def ratio(divisor, **more):
    """At most 1/divisor of the reference."""
    return Target(1 / divisor, **more)


def pubsub(name, group, count, ours, *targets, **load):
    return Cell(name, group, "pubsub", load, count, ours, targets)


CELLS = [
    pubsub("publish only, 16 B", "one", 6_000_000, 20_000_000, size=16, subscribers=0),
    pubsub("publish only, 128 B", "one", 4_000_000, 8_000_000, size=128, subscribers=0),
    pubsub("1 to 1, 16 B", "one", 2_000_000, 6_000_000, ratio(8), size=16),
    pubsub("1 to 1, 128 B", "one", 1_500_000, 4_000_000, ratio(7), size=128),
    pubsub("1 to 1, 1 KiB", "size", 400_000, 1_000_000, ratio(2.5), size=1024),
    pubsub("1 to 1, 8 KiB", "size", 100_000, 200_000, ratio(1.6), size=8192),
    pubsub("1 to 1, 64 KiB", "size", 10_000, 25_000, ratio(2.5), size=65536),
    pubsub("1 to 4, 16 B", "fan-out", 600_000, 2_500_000, size=16, subscribers=4),
    pubsub("1 to 4, 128 B", "fan-out", 500_000, 1_500_000, size=128, subscribers=4),
    pubsub("1 to 16, 16 B", "fan-out", 200_000, 1_000_000, ratio(8), size=16, subscribers=16),
    pubsub("1 to 16, 128 B", "fan-out", 200_000, 600_000, ratio(6), size=128, subscribers=16),
    pubsub("1 to 16, 1 KiB", "fan-out", 60_000, 120_000, ratio(2), size=1024, subscribers=16),
    pubsub("1 to 16, 8 KiB", "fan-out", 12_000, 20_000, ratio(1), size=8192, subscribers=16),
    pubsub("1 to 64, 128 B", "fan-out", 50_000, 150_000, ratio(7), size=128, subscribers=64),
    pubsub("4 to 4 on 4 subjects, 16 B", "many", 2_000_000, 6_000_000, size=16, publishers=4, subscribers=4, paired=True),
    pubsub("4 to 4 on 4 subjects, 128 B", "many", 1_500_000, 4_000_000, ratio(5), size=128, publishers=4, subscribers=4, paired=True),
    pubsub("1 to 1, 10,000 subjects in turn, 128 B", "subjects", 500_000, 1_000_000, size=128, subjects=10_000),
    Cell("requests, one at a time", "requests", "requests", dict(window=1), 8_000, 8_000, (ratio(1, metric="p50_us"),)),
    Cell("requests, 4 by 4, window 64", "requests", "requests", dict(publishers=4, subscribers=4, window=64), 400_000, 600_000,
         (ratio(2.5), Target(2.5, "rate", floor=True), ratio(5, metric="p99_us"))),
    Cell("chain, middle, 16 B", "tree", "pubsub", dict(size=16), 1_000_000, 4_000_000, (ratio(4),), shape="chain"),
    Cell("chain, middle, 128 B", "tree", "pubsub", dict(size=128), 1_000_000, 4_000_000, (ratio(4),), shape="chain"),
    Cell("chain, middle, durable, 128 B", "tree", "pubsub", dict(size=128, acks=True, window=4000, subject="orders"), 500_000, 500_000,
         (ratio(4),), shape="chain", durable=True, stock_load=dict(size=128, subject="orders")),
    Cell("durable publish with fsync, 128 B", "tree", "pubsub", dict(size=128, acks=True, window=4000, subject="orders"), 20_000, 300_000,
         (Target(100_000, "rate", floor=True, ratio=False),), durable=True),
]
