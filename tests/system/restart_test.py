"""Gateways that end, die and come back: who is a root meanwhile, who finds whom again, what was kept."""

import asyncio
import unittest

import nats.errors
from clients import Collector, connect, publish_acked
from servers import Playground, wait_until


class Restarts(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.playground = Playground()
        self.addCleanup(self.playground.close)
        self.a, self.b, self.c = self.playground.chain("abc", durable_at_first=["orders.>"])

    async def client(self, gateway, **options):
        client = await connect(gateway, **options)
        self.addAsyncCleanup(client.close)
        return client

    async def crosses(self, subject, sender, taker):
        """A message from one gateway reaches a subscriber at the other, with new clients."""
        subscriber, publisher = await self.client(taker), await self.client(sender)
        got = await Collector.on(subscriber, subject)
        await asyncio.to_thread(sender.wait_target, taker, subject)
        await publisher.publish(subject, b"through")
        self.assertEqual(["through"], await got.until(1, linger=0.05))

    async def test_with_the_middle_dead_the_far_one_is_a_root_and_serves_its_own(self):
        self.b.kill()
        await asyncio.to_thread(wait_until, "c is a root", lambda: self.c.status()["root"] and self.c.status()["members"] == ["c"])
        client, other = await self.client(self.c), await self.client(self.c)
        got = await Collector.on(other, "local.*")
        await client.publish("local.x", b"still here")
        self.assertEqual(["still here"], await got.until(1))
        with self.assertRaises(nats.errors.NoRespondersError):
            await client.request("service.at.a", b"", timeout=10)

    async def test_each_of_the_three_finds_the_others_again(self):
        for victim in (self.b, self.a, self.c):
            with self.subTest(victim=victim.name):
                victim.kill()
                await asyncio.to_thread(victim.start)
                await asyncio.to_thread(self.playground.wait_members, [self.a, self.b, self.c], 20)
                await self.crosses(f"after.{victim.name}", self.a, self.c)
                await self.crosses(f"back.{victim.name}", self.c, self.a)

    async def test_one_root_and_a_prime_each(self):
        states = [gateway.status() for gateway in (self.a, self.b, self.c)]
        self.assertEqual(1, sum(state["root"] for state in states))
        self.assertEqual(3, len({state["prime"] for state in states}))
        identity = [(state["id"], state["prime"]) for state in states]
        self.assertEqual(0, self.c.stop())
        await asyncio.to_thread(self.c.start)
        await asyncio.to_thread(self.playground.wait_members, [self.a, self.b, self.c])
        self.assertEqual(identity, [(state["id"], state["prime"]) for state in (g.status() for g in (self.a, self.b, self.c))])

    async def test_term_flushes_and_the_state_opens_again(self):
        got = await Collector.on(await self.client(self.c), "orders.*")
        await asyncio.to_thread(self.a.wait_target, self.c, "orders.x")
        publisher = await self.client(self.a)
        orders = [str(n) for n in range(1000)]
        await publish_acked(publisher, "orders.x", orders[:300])
        self.assertEqual(orders[:300], await got.until(300))
        self.assertEqual(0, self.c.stop())
        await publish_acked(publisher, "orders.x", orders[300:])  # c is away; it is remembered
        self.assertEqual(0, self.a.stop())
        self.assertEqual(0, self.b.stop())
        for gateway in (self.a, self.b, self.c):
            await asyncio.to_thread(gateway.start)
        self.assertEqual(orders, await got.until(1000, seconds=30))
        self.assertEqual(0, self.a.stop())


if __name__ == "__main__":
    unittest.main()
