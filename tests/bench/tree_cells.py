"""The cells of the tree: chains of gateways beside chains of stock leafnodes, what grows and what does not, how long moves take."""

from cell import KIB, STOCK, TREEGATE, Cell, Entry, Target, size_text, under, value


def middle(size, count, ours, *targets):
    return Cell(f"chain, middle, {size_text(size)}", "tree", "pubsub", dict(size=size), count, ours, targets, shape="chain")


def moves(name, what, *targets, entries=(STOCK, TREEGATE)):
    """Seconds as clients see them; servers are new in each round."""
    return Cell(name, "tree times", "times", dict(what=what), 1, 1, targets, entries, fresh=True, rounds_max=3)


def core(name, what, settings, *targets, rounds_max=3, **load):
    """What tree_costs says, one entry for each of `settings` (name -> flags), compared with the first."""
    first, *others = settings.items()
    entries = (Entry(first[0], load=first[1], reference=""), *(Entry(other, load=flags, reference=first[0]) for other, flags in others))
    return Cell(name, "tree core", "core", dict(what=what, **load), targets=targets, entries=entries, fresh=True, rounds_max=rounds_max)


def held(gateways, filters):
    """What each of so many gateways holds, and what is said when a link stands again."""
    name = f"{gateways} gateways with {filters} filters each"
    return core(f"logs of {name}", "sync", {name: dict(gateways=gateways, filters=filters)},
                value(64 * gateways + 4096, "same_bytes", entry=name), rounds_max=1)


def grown(name, what, settings, count, *targets, kind="pubsub", **more):
    """A chain with the first of `settings` (name of an entry -> flags of the load) and, each compared with that, with the others."""
    first, *others = settings.items()
    entries = (Entry(first[0], load=first[1], reference=""), *(Entry(other, load=load, reference=first[0]) for other, load in others))
    return Cell(name, "tree growth", kind, what, count, 0, (*targets, *(Target(1.1, entry=other) for other, _ in others)), entries, shape="chain", **more)


TREE_CELLS = [
    middle(16, 400_000, 2_500_000, under(6), Target(4, "rate", floor=True)),
    middle(128, 400_000, 2_000_000, under(6), Target(4, "rate", floor=True)),
    middle(KIB, 250_000, 600_000, under(3), Target(4, "rate", floor=True)),
    Cell("chain, middle, durable, 128 B", "tree", "pubsub", dict(size=128, acks=True, window=4000, subject="orders"), 300_000, 300_000,
         (under(4),), shape="chain", durable=True, stock_load=dict(size=128, subject="orders")),
    Cell("chain, middle, each subject once, 16 B", "tree", "pubsub", dict(size=16, once=True), 200_000, 1_200_000, (under(6),), shape="chain"),
    Cell("chain, 50,000/s, 16 B", "tree", "pubsub", dict(size=16, rate=50_000), 30_000, 30_000, shape="chain", hops=True),
    Cell("chain, 500,000/s, 16 B", "tree", "pubsub", dict(size=16, rate=500_000), 300_000, 300_000, (under(3, metric="hop_us"),), shape="chain",
         hops=True),
    Cell("chain, requests, one at a time, 128 B", "tree", "requests", dict(window=1), 2000, 2000, (under(1, metric="p50_us"),), shape="chain"),
    Cell("chain, requests, 4 by 4, window 64, 128 B", "tree", "requests", dict(publishers=4, subscribers=4, window=64), 80_000, 200_000,
         (under(1, metric="p50_us"),), shape="chain"),
    Cell("chain, the others, 100,000/s, churn 10,000/s at the last, 16 B", "tree churn", "pubsub", dict(size=16, rate=100_000), 100_000, 100_000,
         (under(1),), shape="chain", measured="others", twin=dict(churn=10_000, churn_far=True)),

    grown("chain, middle, 1 to 100,000 subjects, 16 B", dict(size=16),
          {"one subject": dict(tails=1), "1,000 subjects": dict(tails=1000), "100,000 subjects": dict(tails=100_000), "each subject once": dict(once=True)},
          2_000_000),
    grown("chain, middle, 10 to 1,000,000 subscriptions, 16 B", dict(size=16, drawn=10),
          {"10 subscriptions": dict(subjects=10), "1,000,000 subscriptions": dict(subjects=1_000_000)}, 6_000_000, kind="subjects", one_load=True,
          rounds_max=4),

    moves("join: start of a process until a message from there arrives", "join"),
    moves("re-route: longest silence when the parent is killed (-9)", "reroute", value(1000, "took_ms"), under(1, metric="took_ms")),
    moves("re-parent: longest silence when the parent ends by TERM", "leave", under(1, metric="took_ms")),
    moves("merge: two trees, one gateway told of both, until a message passes", "merge", entries=(TREEGATE,)),

    core("a record in the transit's machine, 10 to 256 gateways", "transit",
         {f"{gateways} gateways": dict(gateways=gateways) for gateways in (10, 100, 256)},
         Target(1.1, "record_ns", entry="100 gateways"), Target(1.1, "record_ns", entry="256 gateways"),
         value(16, "overhead_bytes", entry="256 gateways")),
    core("the path to all gateways", "paths", {f"{gateways} gateways": dict(gateways=gateways) for gateways in (10, 100, 1000, 10_000)}, rounds_max=1),
    held(100, 1000),
    held(256, 200),
]
