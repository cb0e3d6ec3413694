"""A gateway leaves on purpose: lame duck mode of a leaf, a middle one and the root, with clients of its own and messages passing through."""

import asyncio
import signal
import unittest

from grove import Grove, TreeTest
from traffic import Flow

LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "100ms"\n'
PARENTS = {"root": None, "m1": "root", "m2": "root", "l11": "m1", "l21": "m2", "l22": "m2"}
ORDERS = 200


class Leaving(TreeTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.playground = Grove()
        self.addCleanup(self.playground.close)
        config = self.playground.folder / "config"
        config.write_text(LAME_DUCK)
        self.gateways = await self.away(self.playground.plant, PARENTS, durable=["orders.>"], extra=["-c", str(config)])
        far = [self.gateways["l21"], self.gateways["l22"]]
        self.news, self.orders = Flow("news", self.gateways["l11"], far), Flow("orders", self.gateways["l11"], far, durable=True)
        for flow in (self.news, self.orders):
            self.addCleanup(flow.close)
            await flow.ready()
        await self.whole(self.gateways.values())
        for flow in (self.news, self.orders):
            await flow.known()
            flow.begin()
            await flow.passes()

    async def leaves(self, name, sent_on):
        """USR2; so many children are sent on, its client hears of it and goes on elsewhere, it ends with 0, and the rest is one tree."""
        leaving, rest = self.gateways[name], [gateway for gateway in self.gateways.values() if gateway.name != name]
        told, moved = asyncio.Event(), asyncio.Event()

        async def on_told():
            told.set()

        async def on_moved():
            moved.set()

        client = await self.client(leaving, servers=[leaving.url, self.gateways["l11"].url], dont_randomize=True, reconnected_cb=on_moved,
                                   lame_duck_mode_cb=on_told)
        answers = []

        async def answer(message):
            answers.append(message.data)
            await message.respond(b"still here")

        await client.subscribe("service.that.moves", cb=answer)
        await client.flush()
        await self.whole(self.gateways.values())
        leaving.process.send_signal(signal.SIGUSR2)
        await asyncio.wait_for(told.wait(), 30)
        await asyncio.wait_for(moved.wait(), 60)
        self.assertEqual(0, await self.away(leaving.process.wait, 60))
        self.assertEqual(sent_on, leaving.output().count("a child, is sent on to"))
        await self.whole(rest)
        await client.flush()
        await self.whole(rest)
        asking = await self.client(rest[0])
        self.assertEqual(b"still here", (await asking.request("service.that.moves", b"?", timeout=20)).data)
        staying = [sink for sink in self.news.sinks if sink != name]
        for flow in (self.news, self.orders):
            await flow.passes(*staying)
        print(f"  {name} left: {sum(len(self.news.lost(sink)) for sink in staying)} volatile messages in flight were lost", flush=True)
        await self.away(leaving.start)
        await self.whole(self.gateways.values())
        for flow in (self.news, self.orders):
            await flow.passes()
        await self.orders.end(ORDERS)
        self.assertEqual(0, self.orders.refused)

    async def test_a_leaf_leaves(self):
        await self.leaves("l22", 0)

    async def test_a_middle_one_leaves(self):
        await self.leaves("m2", 2)

    async def test_the_root_leaves(self):
        await self.leaves("root", 1)  # to the other one, which stays to the end


if __name__ == "__main__":
    unittest.main()
