"""Durable messages between real gateways: the quickstart's scenario, counted."""

import asyncio
import contextlib
import json
import subprocess
import unittest

import nats.errors
from clients import EXAMPLES, Collector, Load, connect, publish_acked
from servers import Playground, wait_until


def bytes_stored(gateway):
    """In the files of its store that hold records. Others it writes while it opens, which may be after the gateway is ready."""
    total = 0
    for path in (gateway.folder / "data" / "store").glob("*"):
        with contextlib.suppress(FileNotFoundError):  # the store has removed it just now
            total += path.stat().st_size if path.suffix in (".log", ".sst") else 0
    return total


class Durable(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.playground = Playground()
        self.addCleanup(self.playground.close)
        self.a, self.b, self.c = self.playground.chain("abc", durable_at_first=["orders.>"], extra=["--dump-keep", "100000"])

    async def client(self, gateway, **options):
        client = await connect(gateway, **options)
        self.addAsyncCleanup(client.close)
        return client

    async def test_orders_arrive_once_and_in_order_while_the_middle_dies_and_returns(self):
        counter = await asyncio.create_subprocess_exec(str(EXAMPLES / "count_orders"), self.c.url, "orders.>", "3000", stdout=subprocess.PIPE)
        self.assertEqual(b"ready\n", await counter.stdout.readline())
        await asyncio.to_thread(self.a.wait_target, self.c, "orders.new")
        publisher = await self.client(self.a)
        orders = [f"order {n}" for n in range(1, 3001)]
        acks = await publish_acked(publisher, "orders.new", orders[:1000])
        self.b.kill()
        acks += await publish_acked(publisher, "orders.new", orders[1000:2000])
        await asyncio.to_thread(self.b.start)
        acks += await publish_acked(publisher, "orders.new", orders[2000:])
        counted = json.loads((await asyncio.wait_for(counter.communicate(), 60))[0])
        self.assertEqual({"received": 3000, "missing": 0, "duplicates": 0, "out_of_order": 0}, counted)
        self.assertEqual({"TREE_a"}, {ack["stream"] for ack in acks})
        positions = [ack["seq"] for ack in acks]
        self.assertEqual(sorted(set(positions)), positions)
        taken = [record for records in self.c.taken().values() for record in records]
        self.assertEqual(3000, len(taken))
        self.assertEqual(3000, len(set(taken)), "c took a record twice")

    async def test_a_durable_publish_that_nobody_wants_gets_503_and_no_ack(self):
        publisher = await self.client(self.a)
        with self.assertRaises(nats.errors.NoRespondersError):
            await publisher.request("orders.nobody", b"", timeout=10)

    async def test_subjects_that_are_durable_at_a_alone_are_durable_at_c_too(self):
        got = await Collector.on(await self.client(self.a), "orders.>")
        await asyncio.to_thread(self.c.wait_target, self.a, "orders.from.c")
        acks = await publish_acked(await self.client(self.c), "orders.from.c", [str(n) for n in range(200)])
        self.assertEqual({"TREE_c"}, {ack["stream"] for ack in acks})
        self.assertEqual([str(n) for n in range(200)], await got.until(200))

    async def test_a_durable_queue_group_has_one_taker(self):
        members = [await Collector.on(await self.client(g), "orders.*", queue="billing") for g in (self.b, self.b, self.c)]
        for gateway in (self.b, self.c):
            await asyncio.to_thread(self.a.wait_target, gateway, "orders.x")
        sent = [str(n) for n in range(600)]
        await publish_acked(await self.client(self.a), "orders.x", sent)

        def taken():
            return sorted((text for member in members for text in member.payloads), key=int)

        await asyncio.to_thread(wait_until, "all are taken", lambda: len(taken()) >= 600)
        await asyncio.sleep(0.3)
        self.assertEqual(sent, taken())

    async def test_the_middle_keeps_nothing_on_disk_for_the_others(self):
        before = bytes_stored(self.b)
        load = await asyncio.to_thread(Load, "pubsub", "--server", self.a.address, "--far-server", self.c.address, "--acks", "--window", 1000,
                                       "--subject", "orders", "--size", 512, "--count", 20_000, "--warm", 1000)
        seen = await asyncio.to_thread(load.go)
        self.assertEqual((20_000, 20_000), (seen["delivered"], seen["acked"]))
        self.assertGreater(bytes_stored(self.a), 20_000 * 512 // 8)
        self.assertLess(bytes_stored(self.b) - before, 20_000, "a byte for each message and more")

    async def test_a_backlog_is_listed_and_goes_away(self):
        got = await Collector.on(await self.client(self.c), "orders.*")
        await asyncio.to_thread(self.a.wait_target, self.c, "orders.x")
        self.b.kill()
        await publish_acked(await self.client(self.a), "orders.x", [str(n) for n in range(500)])
        self.assertEqual(500, self.backlog_for("c"))
        await asyncio.to_thread(self.b.start)
        await got.until(500, seconds=30)
        await asyncio.to_thread(wait_until, "the backlog is gone", lambda: self.backlog_for("c") == 0)

    def backlog_for(self, name):
        return sum(target["backlog"] for target in self.a.ask("queue", "ls")["targets"] if target["gateway"] == name)


if __name__ == "__main__":
    unittest.main()
