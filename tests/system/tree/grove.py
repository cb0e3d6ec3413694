"""Trees of real gateways: how they are grown by --join alone, when they are whole, and what every test of them shares."""

import asyncio
import unittest

from clients import connect
from servers import NOBODY_HERE, SHARDS, Playground, ServerFailed, wait_until
from wire import Wire

WHOLE_SECONDS_MAX = 60  # generous: a loaded machine; DESIGN 4.6 asks for one tree within 30 s of the last fault
LOOK_SECONDS = 0.02  # between two looks at all of them
SHARDS_IN_TURN = (1, 2, 4)


class Grove(Playground):
    """A playground whose gateways have 1, 2 and 4 event loops in turn (unless TREEGATE_SHARDS says otherwise)."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.made = 0

    def gateway(self, name, extra=(), at=None, **options):
        """`at`: the Site where it runs."""
        extra = list(extra)
        if not SHARDS and "--shards" not in extra:
            extra += ["--shards", str(SHARDS_IN_TURN[self.made % len(SHARDS_IN_TURN)])]
        self.made += 1
        gateway = super().gateway(name, extra=extra, **options)
        if at:
            gateway.host, gateway.tree_host, gateway.within = at.host, at.tree_host, at.within
        return gateway

    def plant(self, parents, **options):
        """Starts gateways, each with the address of one that was started before it, and waits until they are one tree.

        `parents`: name -> name of the one that it joins, or None; `options` go to every gateway.
        """
        grown = {}
        for name, parent in parents.items():
            grown[name] = self.gateway(name, join=[grown[parent]] if parent else [], **options).start()
        self.whole(grown.values())
        return grown

    def row(self, count, **options):
        names = [f"g{number}" for number in range(count)]
        return self.plant(dict(zip(names, [None, *names])), **options)

    def star(self, count, **options):
        return self.plant({"hub": None} | {f"g{number}": "hub" for number in range(1, count)}, **options)

    def three_levels(self, **options):
        """A root, three below it, three below each of these: 13."""
        middle = {f"m{i}": "root" for i in (1, 2, 3)}
        return self.plant({"root": None} | middle | {f"l{i}{j}": f"m{i}" for i in (1, 2, 3) for j in (1, 2, 3)}, **options)

    @staticmethod
    def whole(gateways, seconds=WHOLE_SECONDS_MAX):
        """Waits until these gateways are one tree and all know the same; returns their states by name."""
        gateways = list(gateways)
        why = ""

        def look():
            nonlocal why
            states = states_of(gateways)
            why = what_is_wrong(states)
            return None if why else states

        try:
            return wait_until("these gateways are one tree", look, seconds, pause=LOOK_SECONDS)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {why}") from None

    @staticmethod
    def start_all(gateways):
        """Starts them at the same time."""
        for gateway in gateways:
            gateway.launch()
        return [gateway.ready() for gateway in gateways]


def states_of(gateways):
    """Name -> what `tree status` says there, or the text of what went wrong."""

    def ask(gateway):
        try:
            return gateway.status()
        except (OSError, ServerFailed) as problem:
            return f"{gateway.state()}: {problem}"

    return {gateway.name: ask(gateway) for gateway in gateways}


def what_is_wrong(states):
    """Why these states are not those of one tree that has come to rest; empty: they are."""
    for name, state in states.items():
        if isinstance(state, str):
            return f"{name} {state}"
    names = sorted(states)
    for name, state in states.items():
        if sorted(state["members"]) != names:
            return f"{name} knows {sorted(state['members'])} instead of {names}"
    roots = [name for name, state in states.items() if state["root"]]
    if len(roots) != 1:
        return f"roots: {roots}"
    for name, state in states.items():
        if not state["root"] and name not in states[state["parent"]]["children"]:
            return f"{name} has the parent {state['parent']}, whose children are {states[state['parent']]['children']}"
        for child in state["children"]:
            if states[child]["parent"] != name:
                return f"{name} has the child {child}, whose parent is {states[child]['parent'] or 'nobody'}"
        if not state["synced"]:
            return f"{name} is not in sync"
    if len({state["prime"] for state in states.values()}) != len(states):
        return f"primes: { {name: state['prime'] for name, state in states.items()} }"
    if len({state["digest"] for state in states.values()}) != 1:
        return f"digests: { {name: state['digest'] for name, state in states.items()} }"
    return ""


class TreeTest(unittest.IsolatedAsyncioTestCase):
    """A test with clients at gateways; what blocks goes through `away`."""

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # many messages

    away = staticmethod(asyncio.to_thread)

    async def client(self, gateway, **options):
        client = await connect(gateway, **options)
        self.addAsyncCleanup(client.close)
        return client

    async def whole(self, gateways, seconds=WHOLE_SECONDS_MAX):
        """All of them know all interest that their clients' PONGs have promised."""
        return await self.away(Grove.whole, gateways, seconds)

    async def until(self, what, condition, seconds=30):
        deadline = asyncio.get_running_loop().time() + seconds
        while not condition():
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
            await asyncio.sleep(0.01)


class WireTest(TreeTest):
    """Gateways on both sides of a line that can be spoiled; grow() of the test starts them."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.playground = Grove()
        self.addCleanup(self.playground.close)
        self.wire = Wire()
        self.addCleanup(self.wire.close)
        await self.away(self.grow)
