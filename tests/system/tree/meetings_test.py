"""Who finds whom: all started at once, some that nobody can dial, halves that grew apart and meet, parents that are full."""

import asyncio
import unittest

from clients import Collector, publish_acked
from grove import NOBODY_HERE, Grove, TreeTest
from wire import Wire


class Meetings(TreeTest):
    def setUp(self):
        self.playground = Grove()
        self.addCleanup(self.playground.close)

    def wire(self):
        wire = Wire()
        self.addCleanup(wire.close)
        return wire

    async def everybody_hears(self, gateways):
        """One message from each gateway reaches all, once; one member of a queue group takes each."""
        gateways = list(gateways)
        self.times = getattr(self, "times", 0) + 1  # those who listened before still do
        subject = f"all.{self.times}"
        collectors = [await Collector.on(await self.client(gateway), subject) for gateway in gateways]
        members = [await Collector.on(await self.client(gateway), subject, queue="one") for gateway in gateways]
        await self.whole(gateways)
        for gateway in gateways:
            await (await self.client(gateway)).publish(subject, gateway.name.encode())
        expected = sorted(gateway.name for gateway in gateways)
        for gateway, collector in zip(gateways, collectors):
            self.assertEqual(expected, sorted(await collector.until(len(expected), linger=0.05)), gateway.name)

        def taken():
            return sorted(text for member in members for text in member.payloads)

        await self.until("each message has its taker", lambda: len(taken()) >= len(expected))
        self.assertEqual(expected, taken())

    async def test_all_start_at_once_each_joining_the_next_one(self):
        """A ring of addresses; none of them leads anywhere at first."""
        wires = [self.wire() for _ in range(8)]
        gateways = [self.playground.gateway(f"g{n}", join=[wires[(n + 1) % 8].address]) for n in range(8)]
        for gateway, wire in zip(gateways, wires):
            gateway.launch()
            wire.target = gateway  # refuses until its port is known
        for gateway in gateways:
            await self.away(gateway.ready)
        states = await self.whole(gateways)
        self.assertEqual(1, sum(state["root"] for state in states.values()))
        await self.everybody_hears(gateways)

    async def test_all_start_at_once_around_one_that_starts_last(self):
        wire = self.wire()
        gateways = [self.playground.gateway(f"g{n}", join=[wire.address]) for n in range(6)]
        await self.away(self.playground.start_all, gateways)
        last = self.playground.gateway("last")
        await self.away(last.start)
        wire.target = last
        await self.whole([*gateways, last])
        await self.everybody_hears([*gateways, last])

    async def test_some_can_be_dialled_by_nobody(self):
        """Half of eight hide behind firewalls; their parent dies, and they find another."""
        hub = await self.away(self.playground.gateway("hub").start)
        other = await self.away(self.playground.gateway("other", join=[hub]).start)
        hidden = [self.playground.gateway(f"hidden{n}", join=[hub], extra=["--tree-advertise", NOBODY_HERE]) for n in range(4)]
        await self.away(self.playground.start_all, hidden)
        await self.whole([hub, other, *hidden])
        hub.kill()
        states = await self.whole([other, *hidden])
        self.assertTrue(states["other"]["root"] or states[states["other"]["parent"]]["root"])
        await self.everybody_hears([other, *hidden])
        await self.away(hub.start)
        await self.whole([hub, other, *hidden])

    async def test_two_trees_that_grew_apart_meet(self):
        """Each has gateways, subscribers, queue groups and primes of its own; then there is a way between them."""
        wire = self.wire()
        wire.cut()
        trees = []
        for side in "xy":
            extra = ["--tree-advertise", NOBODY_HERE]  # only by the wire
            top = self.playground.gateway(f"{side}0", join=[wire.address] if side == "y" else [],
                                          extra=["--tree-advertise", wire.address] if side == "x" else extra, durable=["orders.>"])
            tree = [await self.away(top.start)]
            for number in (1, 2, 3):
                below = self.playground.gateway(f"{side}{number}", join=[tree[(number - 1) // 2]], extra=extra)
                tree.append(await self.away(below.start))
            trees.append(tree)
        wire.target = trees[0][0]
        both = trees[0] + trees[1]
        apart = [await self.whole(tree) for tree in trees]
        taken = []
        for side, tree in zip("xy", trees):
            await self.everybody_hears(tree)
            taken.append(await Collector.on(await self.client(tree[3]), "orders.*"))
            await self.away(tree[1].wait_target, tree[3], "orders.here", 30)
            await publish_acked(await self.client(tree[1]), "orders.here", [f"{side} {n}" for n in range(100)])
        wire.heal()
        states = await self.whole(both)
        self.assertEqual(len(both), len({state["prime"] for state in states.values()}))
        clashes = {state["prime"] for state in apart[0].values()} & {state["prime"] for state in apart[1].values()}
        print(f"  two trees of four met; {len(clashes)} primes had two holders", flush=True)
        # What was published apart stays where it was; what comes now goes to both.
        for side, collector in zip("xy", taken):
            self.assertEqual([f"{side} {n}" for n in range(100)], await collector.until(100))
        for far in (trees[0][3], trees[1][3]):
            await self.away(trees[1][2].wait_target, far, "orders.here", 30)
        await publish_acked(await self.client(trees[1][2]), "orders.here", [f"now {n}" for n in range(100)])
        for collector in taken:
            self.assertEqual([f"now {n}" for n in range(100)], (await collector.until(200))[100:])
        await self.everybody_hears(both)

    async def test_a_thirteenth_finds_its_place_where_there_is_room(self):
        """More than max_children (10) join one address: the others are sent on, and all are one tree."""
        hub = await self.away(self.playground.gateway("hub").start)
        rest = [self.playground.gateway(f"g{n}", join=[hub]) for n in range(12)]
        await self.away(self.playground.start_all, rest)
        states = await self.whole([hub, *rest])
        self.assertLessEqual(max(len(state["children"]) for state in states.values()), 10)
        await self.everybody_hears([hub, *rest])


if __name__ == "__main__":
    unittest.main()
