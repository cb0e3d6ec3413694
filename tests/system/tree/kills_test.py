"""kill -9 of a leaf, a middle one and the root of a tree, under traffic of both classes, and a requester whose gateway dies."""

import asyncio
import time
import unittest

from grove import Grove, TreeTest
from traffic import Flow

PARENTS = {"root": None, "m1": "root", "m2": "root", "l11": "m1", "l12": "m1", "l21": "m2", "l22": "m2"}
DUMP_KEEP = 100_000
ORDERS = 300  # at least so many in each test


class Kills(TreeTest):
    """A tree of seven. Both flows go from l11 to l12 (its sibling), l21 and l22 (through the root)."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.playground = Grove()
        self.addCleanup(self.playground.close)
        self.gateways = await self.away(self.playground.plant, PARENTS, durable=["orders.>"], extra=["--dump-keep", str(DUMP_KEEP)])
        self.far = [self.gateways[name] for name in ("l12", "l21", "l22")]
        self.news = Flow("news", self.gateways["l11"], self.far)
        self.orders = Flow("orders", self.gateways["l11"], self.far, durable=True)
        for flow in (self.news, self.orders):
            self.addCleanup(flow.close)
            await flow.ready()
        await self.whole(self.gateways.values())
        await self.orders.known()
        for flow in (self.news, self.orders):
            flow.begin()
        await self.both_pass()
        for name in self.news.sinks:
            self.assertEqual([], self.news.lost(name), "lost before anything had happened")

    async def both_pass(self, *names):
        """Both flows get through; returns how long the volatile one took, by sink."""
        seconds, _ = await asyncio.gather(self.news.passes(*names), self.orders.passes(*names))
        return seconds

    async def kill_and_wait(self, victim, *survivors):
        """kill -9, then both flows to these sinks again; prints how long the volatile one was away."""
        began = time.monotonic()
        await self.away(self.gateways[victim].kill)
        dying = time.monotonic() - began
        seconds = await self.both_pass(*survivors)
        print(f"  kill -9 of {victim}: messages got through again to " +
              ", ".join(f"{name} after {1000 * (dying + seconds[name]):.0f} ms ({len(self.news.lost(name))} lost)" for name in survivors), flush=True)

    async def all_is_counted(self):
        """At the end: every acknowledged order at every sink, and each applied exactly once and in order by the gateways there."""
        await self.orders.end(ORDERS)
        await self.news.end()
        positions = sorted(self.orders.acked.values())
        origin = self.gateways["l11"].status()["id"]
        for gateway in self.far:
            records = [record for records in (await self.away(gateway.taken)).values() for record in records]
            applied = [position for of, _, position in records if of == origin]
            self.assertEqual(sorted(set(applied)), applied, f"{gateway.name} applied a record twice or out of order")
            self.assertEqual([], sorted(set(positions) - set(applied)), f"acknowledged, and not applied at {gateway.name}")
        self.assertEqual(0, self.orders.refused)
        self.assertGreaterEqual(len(positions), ORDERS)

    async def test_a_leaf_dies_and_returns_and_nobody_else_notices(self):
        self.gateways["l22"].kill()
        await self.both_pass("l12", "l21")
        for name in ("l12", "l21"):
            self.assertEqual([], self.news.lost(name), f"lost at {name}, which had nothing to do with it")
        await self.away(self.gateways["l22"].start)
        await self.both_pass()
        await self.whole(self.gateways.values())
        await self.all_is_counted()

    async def test_a_middle_one_dies_and_its_children_go_on_without_it(self):
        await self.kill_and_wait("m2", "l21", "l22")
        self.assertEqual([], self.news.lost("l12"))
        rest = {name: gateway for name, gateway in self.gateways.items() if name != "m2"}
        await self.whole(rest.values())
        await self.away(self.gateways["m2"].start)
        await self.whole(self.gateways.values())
        await self.both_pass()
        await self.all_is_counted()

    async def test_the_root_dies_and_the_rest_becomes_one_tree_by_itself(self):
        await self.kill_and_wait("root", "l21", "l22")
        self.assertEqual([], self.news.lost("l12"))
        rest = {name: gateway for name, gateway in self.gateways.items() if name != "root"}
        await self.whole(rest.values())
        await self.away(self.gateways["root"].start)
        await self.whole(self.gateways.values())
        await self.both_pass()
        await self.all_is_counted()

    async def test_all_in_between_die_at_once(self):
        began = time.monotonic()
        for name in ("root", "m1", "m2"):
            await self.away(self.gateways[name].kill)
        await self.both_pass()
        print(f"  kill -9 of root, m1 and m2: messages got through again to all after {time.monotonic() - began:.2f} s", flush=True)
        await self.away(self.playground.start_all, [self.gateways[name] for name in ("m2", "root", "m1")])
        await self.whole(self.gateways.values())
        await self.both_pass()
        await self.all_is_counted()

    async def test_the_gateway_of_the_publisher_dies_and_returns(self):
        for _ in range(2):
            self.gateways["l11"].kill()
            await self.away(self.gateways["l11"].start)
            await self.both_pass()
        await self.whole(self.gateways.values())
        await self.all_is_counted()

    async def test_a_requester_whose_gateway_dies_gets_its_answer_at_the_next(self):
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def answer_later(message):
            asked.set()
            await may_answer.wait()
            await message.respond(b"at last")

        service = await self.client(self.gateways["l22"])
        await service.subscribe("service.slow", cb=answer_later)
        await service.flush()
        await self.whole(self.gateways.values())
        moved = asyncio.Event()

        async def on_reconnect():
            moved.set()

        near = [self.gateways["m1"].url, self.gateways["l12"].url]
        client = await self.client(self.gateways["m1"], servers=near, dont_randomize=True, reconnected_cb=on_reconnect)
        request = asyncio.create_task(client.request("service.slow", b"?", timeout=60))
        await asyncio.wait_for(asked.wait(), 20)
        self.gateways["m1"].kill()
        await asyncio.wait_for(moved.wait(), 30)
        await client.flush()
        await self.both_pass()  # the way from l22 to l12 is there again
        may_answer.set()
        self.assertEqual(b"at last", (await request).data)
        await self.all_is_counted()


if __name__ == "__main__":
    unittest.main()
