"""What a cell of the benchmark is, and who takes part: the words in which cells.py and tree_cells.py list them."""

from dataclasses import dataclass, field

KIB = 1024


@dataclass(frozen=True)
class Entry:
    """One contestant: a server with its flags, and what the load generator does differently for it."""
    name: str
    stock: bool = False
    shards: int = 1  # treegate's event loops
    flags: tuple = ()  # further flags of treegate
    load: dict = field(default_factory=dict)
    reference: str = "stock"  # whom its ratios are to


STOCK = Entry("stock", stock=True, reference="")
TREEGATE = Entry("treegate")
AGAIN = Entry("stock again", stock=True)
SPIN = Entry("treegate --spin 50us", flags=("--spin", "50us"))
TWO = Entry("two shards", shards=2, reference="treegate")
TOGETHER = Entry("two shards, together", shards=2, load={"shards": 2}, reference="treegate")
ACROSS = Entry("two shards, across", shards=2, load={"shards": 2, "across": True}, reference="treegate")


@dataclass(frozen=True)
class Target:
    """What issue 4 (issue 5 for the tree) asks for: `metric` of `entry`, against its reference or as it is."""
    limit: float
    metric: str = "cpu_us"  # the figure that counts, unless a target names another
    floor: bool = False  # at least, instead of at most
    kind: str = "ratio"  # ratio, or difference, to the entry's reference; or the value itself
    entry: str = "treegate"


@dataclass(frozen=True)
class Cell:
    """One line of the report. `load` are flags of the load generator; `count` is of a stock round, `ours` of treegate's."""
    name: str
    group: str
    kind: str  # the load generator's first word; "" where nobody connects; "core" and "times": see contestants.py
    load: dict = field(default_factory=dict)
    count: int = 1
    ours: int = 0
    targets: tuple = ()
    entries: tuple = (STOCK, TREEGATE)
    shape: str = "single"  # single: one server on its own; chain: three in a row, the CPU of the middle one
    durable: bool = False
    stock_load: dict = field(default_factory=dict)  # where stock has to do something else
    measured: str = "middle"  # of a chain: the middle one, or the others than the far one, added up
    hops: bool = False  # each round twice, the second time with everybody at the first server: what further hops add
    twin: dict = field(default_factory=dict)  # each round twice, the second time with these flags; "growth" compares
    fresh: bool = False  # a new server for each round, as its memory is measured
    one_load: bool = False  # one load generator for all rounds, as it takes long to become ready
    pinned: bool = False  # also measured with server and load on a core each
    rounds_factor: int = 1  # so many times as many rounds as were asked for, where single rounds differ much (README: Noise)
    rounds_max: int = 1000


def under(divisor, **more):
    """At most 1/divisor of the reference."""
    return Target(1 / divisor, **more)


def value(limit, metric, **more):
    return Target(limit, metric, kind="value", **more)


def size_text(size):
    return f"{size // KIB} KiB" if size >= KIB else f"{size} B"
