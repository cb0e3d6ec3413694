"""Three gateways in a row, a - b - c, and official clients at their ends: what crosses the tree, and how."""

import asyncio
import math
import subprocess
import unittest

import nats.errors
from clients import EXAMPLES, Collector, Load, connect
from servers import Playground


class Chain(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.playground = Playground()
        cls.addClassCleanup(cls.playground.close)
        cls.a, cls.b, cls.c = cls.playground.chain("abc")

    async def client(self, gateway, **options):
        client = await connect(gateway, **options)
        self.addAsyncCleanup(client.close)
        return client

    async def knows(self, gateway, other, subject):
        await asyncio.to_thread(gateway.wait_target, other, subject)

    async def test_messages_cross_in_order_and_once(self):
        publisher, near, far = [await self.client(g) for g in (self.a, self.b, self.c)]
        at_b, at_c = await Collector.on(near, "order.*"), await Collector.on(far, "order.>")
        await self.knows(self.a, self.b, "order.x")
        await self.knows(self.a, self.c, "order.x")
        sent = [str(n) for n in range(5000)]
        for text in sent:
            await publisher.publish("order.x", text.encode())
        self.assertEqual(sent, await at_b.until(len(sent)))
        self.assertEqual(sent, await at_c.until(len(sent)))

    async def test_nothing_goes_where_nobody_subscribed(self):
        publisher, far = await self.client(self.a), await self.client(self.c)
        wanted = await Collector.on(far, "wanted.one")
        await self.knows(self.a, self.c, "wanted.one")
        self.assertEqual([], self.a.targets_of("wanted.two"))
        before = self.b.status()["transit_records"]
        for n in range(100):
            await publisher.publish("wanted.two", b"nobody asked")
            await publisher.publish("wanted.one", str(n).encode())
        self.assertEqual([str(n) for n in range(100)], await wanted.until(100))
        self.assertEqual(100, self.b.status()["transit_records"] - before)

    async def test_headers_and_large_payloads_arrive_unchanged(self):
        publisher, far = await self.client(self.a), await self.client(self.c)
        got = await Collector.on(far, "blob.*")
        await self.knows(self.a, self.c, "blob.x")
        blob = bytes(i * 7 % 251 for i in range(900_000))
        await publisher.publish("blob.x", blob, headers={"A": "b", "Key": "a value"})
        await got.until(1)
        self.assertEqual(blob, got.messages[0].data)
        self.assertEqual({"A": "b", "Key": "a value"}, dict(got.messages[0].headers))

    async def test_a_request_is_answered_from_the_other_end(self):
        requester, responder = await self.client(self.a), await self.client(self.c)

        async def answer(message):
            await message.respond(b"re: " + message.data)

        await responder.subscribe("service.echo", cb=answer)
        await responder.flush()
        await self.knows(self.a, self.c, "service.echo")
        answers = await asyncio.gather(*(requester.request("service.echo", str(n).encode(), timeout=10) for n in range(500)))
        self.assertEqual([f"re: {n}" for n in range(500)], [answer.data.decode() for answer in answers])

    async def test_a_queue_group_has_one_taker_in_the_tree(self):
        publisher = await self.client(self.a)
        members = []
        for gateway in (self.b, self.b, self.c, self.c):
            members.append(await Collector.on(await self.client(gateway), "work.*", queue="workers"))
        await self.knows(self.a, self.b, "work.x")
        await self.knows(self.a, self.c, "work.x")
        sent = [str(n) for n in range(2000)]
        for text in sent:
            await publisher.publish("work.x", text.encode())
        await publisher.flush()

        def taken():
            return sorted((text for member in members for text in member.payloads), key=int)

        for _ in range(500):
            if len(taken()) >= len(sent):
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        self.assertEqual(sent, taken())
        for member in members:
            self.assertGreater(len(member.payloads), 0, "a member that never got anything")

    async def test_a_local_member_of_a_queue_group_goes_first(self):
        publisher = await self.client(self.a)
        local = await Collector.on(await self.client(self.a), "near.*", queue="workers")
        remote = await Collector.on(await self.client(self.c), "near.*", queue="workers")
        await self.knows(self.b, self.c, "near.x")
        for n in range(200):
            await publisher.publish("near.x", str(n).encode())
        self.assertEqual(200, len(await local.until(200)))
        self.assertEqual([], remote.payloads)

    async def test_503_comes_back_when_nobody_in_the_tree_answers(self):
        requester, responder = await self.client(self.a), await self.client(self.c)
        with self.assertRaises(nats.errors.NoRespondersError):
            await requester.request("service.later", b"", timeout=10)

        async def answer(message):
            await message.respond(b"here")

        subscription = await responder.subscribe("service.later", cb=answer)
        await responder.flush()
        await self.knows(self.a, self.c, "service.later")
        self.assertEqual(b"here", (await requester.request("service.later", b"", timeout=10)).data)
        await subscription.unsubscribe()
        await responder.flush()

        async def refused():
            try:
                await requester.request("service.later", b"", timeout=1)
                return False
            except nats.errors.NoRespondersError:
                return True
            except nats.errors.TimeoutError:
                return False  # it was on its way to the responder when that one left

        for _ in range(200):
            if await refused():
                return
            await asyncio.sleep(0.02)
        self.fail("no 503 after the last responder had gone")

    async def test_a_traced_message_shows_its_event_path(self):
        receiver = await asyncio.create_subprocess_exec(str(EXAMPLES / "print_trace"), self.c.url, "traced.*", stdout=subprocess.PIPE)
        self.assertEqual(b"ready\n", await receiver.stdout.readline())
        await self.knows(self.a, self.c, "traced.x")
        publisher = await self.client(self.a)
        await publisher.publish("traced.x", b"look", headers={"Tree-Trace": "1"})
        text = (await asyncio.wait_for(receiver.communicate(), 60))[0].decode()
        lines = [line.split(" ", 1) for line in text.splitlines()]
        number = int(dict(lines)["path"].split(" ", 1)[0])
        hops = [rest.split() for label, rest in lines if label == "hop"]
        self.assertEqual(["a", "b", "c"], [hop[0] for hop in hops])
        self.assertEqual(["0", "1", "2"], [hop[2] for hop in hops])
        self.assertEqual(number, math.prod(int(prime) ** int(exponent) for _, prime, exponent in hops))
        for name, prime, _ in hops:
            self.assertEqual(int(prime), {"a": self.a, "b": self.b, "c": self.c}[name].status()["prime"])
        explained = self.a.ask("path", "explain", str(number))
        self.assertEqual([("b", 1), ("c", 2)], sorted((f["gateway"], f["exponent"]) for f in explained["factors"]))

    async def test_transit_is_by_label_alone(self):
        load = await asyncio.to_thread(Load, "pubsub", "--server", self.a.address, "--far-server", self.c.address, "--subjects", 10_000,
                                       "--count", 100_000, "--warm", 20_000, "--subject", "many")
        # Asking b costs b a match of its own now and then; what that costs is measured, so that the rest must be nothing.
        first, before = self.b.status(), self.b.status()
        seen = await asyncio.to_thread(load.go)
        after = self.b.status()
        self.assertEqual(100_000, seen["delivered"])
        self.assertEqual(100_000, after["transit_records"] - before["transit_records"])
        self.assertEqual(before["splits"], after["splits"], "b split a path while it only had to look up labels")
        self.assertLessEqual(after["matches"] - before["matches"], before["matches"] - first["matches"], "b matched subjects")
        self.assertEqual(0, after["law_violations"])


class ThreeLoads(unittest.TestCase):
    """The load generator across the tree: every message of many, verified."""

    @classmethod
    def setUpClass(cls):
        cls.playground = Playground()
        cls.addClassCleanup(cls.playground.close)
        cls.a, cls.b, cls.c = cls.playground.chain("abc")

    def test_both_directions_at_once(self):
        there = Load("pubsub", "--server", self.a.address, "--far-server", self.c.address, "--subject", "there", "--count", 200_000)
        back = Load("pubsub", "--server", self.c.address, "--far-server", self.a.address, "--subject", "back", "--count", 200_000)
        there.begin()
        self.assertEqual(200_000, back.go()["delivered"])
        self.assertIn('"delivered":200000', there.process.communicate()[0])

    def test_fan_out_at_the_far_end(self):
        load = Load("pubsub", "--server", self.a.address, "--far-server", self.c.address, "--subscribers", 16, "--subject", "fan", "--count", 20_000)
        before = self.b.status()["transit_records"]
        self.assertEqual(320_000, load.go()["delivered"])
        self.assertEqual(20_000, self.b.status()["transit_records"] - before, "a message crossed b more than once")

    def test_requests_at_full_speed(self):
        load = Load("requests", "--server", self.a.address, "--far-server", self.c.address, "--publishers", 4, "--subscribers", 4,
                    "--subject", "fast", "--count", 50_000)
        self.assertEqual(50_000, load.go()["delivered"])


if __name__ == "__main__":
    unittest.main()
