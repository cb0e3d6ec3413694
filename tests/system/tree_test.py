"""Three gateways a - b - c in two regions: who of a queue group gets what, messages that say where they may go, and treegate's own commands."""

import asyncio
import json
import subprocess
import unittest

import nats.errors
from clients import Collector, connect
from servers import Playground, wait_until

REGIONS = {"a": "eu", "b": "us", "c": "eu"}
LARGE = 3 * 1024 * 1024


class Tree(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.playground = Playground()
        cls.addClassCleanup(cls.playground.close)
        config = cls.playground.folder / "large.conf"
        config.write_text("max_payload: 64MB\n")
        row = []
        for name in "abc":
            extra = ["--region", REGIONS[name], "--tags", f"rack={name}", "--queue-policy", "turn.>=round_robin", "--queue-policy", "near.>=nearest"]
            if name == "a":
                extra += ["--config", str(config)]
            row.append(cls.playground.gateway(name, join=row[-1:], extra=extra).start())
        cls.playground.wait_members(row)
        cls.a, cls.b, cls.c = cls.row = row

    async def client(self, gateway, **options):
        client = await connect(gateway, **options)
        self.addAsyncCleanup(client.close)
        return client

    async def everywhere(self, subject, queue=""):
        """A subscription at each gateway, known to a."""
        collectors = [await Collector.on(await self.client(gateway), subject, queue) for gateway in self.row]
        for other in (self.b, self.c):
            await asyncio.to_thread(self.a.wait_target, other, subject.replace("*", "x"))
        return collectors

    def run_command(self, *words):
        return subprocess.run([str(self.a.binary), *words, "-s", self.a.url], capture_output=True, text=True, timeout=20)

    async def test_round_robin_gives_each_member_of_the_tree_its_turn(self):
        collectors = await self.everywhere("turn.one", "workers")
        collectors.append(await Collector.on(await self.client(self.c), "turn.one", "workers"))
        members = [{"gateway": "b", "weight": 1}, {"gateway": "c", "weight": 2}]

        def weights():
            return [{key: member[key] for key in ("gateway", "weight")} for member in self.a.ask("path", "show", "turn.one")["groups"][0]["members"]]

        await asyncio.to_thread(wait_until, "a knows of both members at c", lambda: sorted(weights(), key=str) == sorted(members, key=str))
        publisher = await self.client(self.a)
        for n in range(404):
            await publisher.publish("turn.one", str(n).encode())
        await publisher.flush()
        await asyncio.to_thread(wait_until, "all have come", lambda: sum(len(collector.payloads) for collector in collectors) >= 404)
        got = [len(await collector.until(0)) for collector in collectors]
        self.assertEqual(404, sum(got))
        # The first message or two go by the ring of the group, before the subject has one of its own.
        self.assertTrue(all(99 <= one <= 103 for one in (got[0], got[1])), got)
        self.assertTrue(199 <= got[2] + got[3] <= 205, got)

    async def test_nearest_prefers_fewer_links(self):
        near, far = [await Collector.on(await self.client(gateway), "near.one", "workers") for gateway in (self.b, self.c)]
        for other in (self.b, self.c):
            await asyncio.to_thread(self.a.wait_target, other, "near.one")
        publisher = await self.client(self.a)
        for n in range(50):
            await publisher.publish("near.one", str(n).encode())
        self.assertEqual(50, len(await near.until(50)))
        self.assertEqual([], far.payloads)

    async def test_a_message_goes_where_its_headers_allow(self):
        collectors = await self.everywhere("news.*")
        publisher = await self.client(self.a)
        for wanted, headers in [("abc", None), ("ac", {"Tree-To": "region=eu"}), ("b", {"Tree-To": "gateway=b"}), ("bc", {"Tree-To": "tag=rack=b, tag=rack=c"}),
                                ("a", {"Tree-Forbid": "region=us"}), ("ab", {"Tree-Forbid": "gateway=c"}), ("", {"Tree-To": "everywhere"})]:
            with self.subTest(headers=headers):
                text = json.dumps(headers).encode()
                await publisher.publish("news.x", text, headers=headers)
                await publisher.publish("news.end", b"end")
                for name, collector in zip("abc", collectors):
                    await self.until_end(collector)
                    got = collector.payloads[:-1]
                    self.assertEqual([text.decode()] if name in wanted else [], got, name)
                    if got:
                        self.assertEqual(headers, dict(collector.messages[0].headers) if collector.messages[0].headers else None)
                    collector.payloads.clear()
                    collector.messages.clear()

    async def test_messages_with_and_without_such_headers_keep_their_order(self):
        members = dict(zip("abc", [await Collector.on(await self.client(gateway), "mixed.*", "workers") for gateway in self.row]))
        plain = dict(zip("abc", await self.everywhere("mixed.*")))
        publishers = [await self.client(self.a) for _ in range(4)]  # some on another event loop than the tree's
        kinds = [("abc", None), ("ac", {"Tree-To": "region=eu"}), ("ab", {"Tree-Forbid": "gateway=c"}), ("b", {"Tree-To": "gateway=b"}), ("", {"Tree-To": "?"})]
        sent = {name: [[] for _ in publishers] for name in "abc"}
        for n in range(200):
            wanted, headers = kinds[n % len(kinds)]
            for which, publisher in enumerate(publishers):
                await publisher.publish(f"mixed.{n % 3}", f"{which} {n}".encode(), headers=headers)
                for name in wanted:
                    sent[name][which].append(n)

        async def expect(name, collector, wanted):
            await collector.until(sum(map(len, wanted)))
            got = [[int(n) for which, n in map(str.split, collector.payloads) if int(which) == one] for one in range(len(publishers))]
            self.assertEqual(wanted, got, name)

        for name, collector in plain.items():
            await expect(name, collector, sent[name])
        # One of the group takes each, where it may be served: at a if there, so in order, too.
        await expect("a's member", members["a"], sent["a"])
        await expect("b's member", members["b"], [list(range(3, 200, 5)) for _ in publishers])
        self.assertEqual([], members["c"].payloads)

    async def until_end(self, collector):
        for _ in range(1500):
            if collector.payloads and collector.payloads[-1] == "end":
                return
            await asyncio.sleep(0.01)
        self.fail(f"the last message did not come: {collector.payloads}")

    async def test_a_request_that_may_go_to_nobody_is_refused(self):
        responder = await self.client(self.c)

        async def answer(message):
            await message.respond(b"here")

        await responder.subscribe("service.there", cb=answer)
        await responder.flush()
        await asyncio.to_thread(self.a.wait_target, self.c, "service.there")
        requester = await self.client(self.a)
        reply = await requester.request("service.there", b"", timeout=10, headers={"Tree-To": "region=eu"})
        self.assertEqual(b"here", reply.data)
        for headers in ({"Tree-To": "region=us"}, {"Tree-Forbid": "gateway=b"}, {"Tree-To": "nonsense"}):
            with self.subTest(headers=headers), self.assertRaises(nats.errors.NoRespondersError):
                await requester.request("service.there", b"", timeout=10, headers=headers)

    async def test_links_carry_more_than_a_clients_max_payload(self):
        publisher, far = await self.client(self.a), await self.client(self.c)
        self.assertEqual(64 * 1024 * 1024, publisher.max_payload)
        self.assertEqual(1024 * 1024, far.max_payload)
        got = await Collector.on(far, "large.one")
        await asyncio.to_thread(self.a.wait_target, self.c, "large.one")
        blob = bytes(i % 251 for i in range(LARGE))
        await publisher.publish("large.one", blob)
        await got.until(1)
        self.assertEqual(LARGE, len(got.messages[0].data))
        self.assertEqual(blob, got.messages[0].data)

    async def test_echo_and_request_many_across_the_tree(self):
        quiet, near, far = await self.client(self.a, no_echo=True), await self.client(self.b), await self.client(self.c)
        own = await Collector.on(quiet, "echo.one")
        others = [await Collector.on(client, "echo.one") for client in (near, far)]
        for other in (self.b, self.c):
            await asyncio.to_thread(self.a.wait_target, other, "echo.one")
        await quiet.publish("echo.one", b"once")
        for other in others:
            self.assertEqual(["once"], await other.until(1))
        self.assertEqual([], own.payloads)
        for client in (near, far):
            async def answer(message):
                for n in range(3):
                    await message.respond(str(n).encode())
            await client.subscribe("many.one", cb=answer)
            await client.flush()
        for other in (self.b, self.c):
            await asyncio.to_thread(self.a.wait_target, other, "many.one")
        answers = await Collector.on(quiet, "_INBOX.many.*")
        await quiet.publish("many.one", b"", reply="_INBOX.many.x")
        self.assertEqual(sorted(["0", "1", "2"] * 2), sorted(await answers.until(6)))

    async def test_the_map_is_drawn_and_every_member_tells_its_links(self):
        plain = await asyncio.to_thread(self.run_command, "tree", "map")
        self.assertEqual(0, plain.returncode, plain.stderr)
        self.assertIn("Tree treegate as a sees it", plain.stdout)
        self.assertIn("root", plain.stdout)
        self.assertIn("eu (rack=c)", plain.stdout)
        shown = await asyncio.to_thread(self.a.ask, "tree", "map")
        self.assertEqual({"a": "eu", "b": "us", "c": "eu"}, {gateway["name"]: gateway["region"] for gateway in shown["gateways"]})
        self.assertEqual({"a": 1, "b": 2, "c": 1}, {gateway["name"]: len([l for l in gateway["links"] if l["established"]]) for gateway in shown["gateways"]})

    async def test_commands_say_what_is_wrong(self):
        for words, sentence in [(["path", "explain", "1000000007"], ""), (["path", "explain", "word"], "in digits"),
                                (["tree", "forget", "b"], "'b' can be reached now"), (["tree", "forget", "nobody"], "no gateway that this one knows is called 'nobody'"),
                                (["tree", "forget"], "needs one GATEWAY")]:
            with self.subTest(words=words):
                run = await asyncio.to_thread(self.run_command, *words)
                self.assertEqual(1 if sentence else 0, run.returncode, run.stdout + run.stderr)
                self.assertIn(sentence, run.stderr)
        prime = self.a.status()["prime"]
        cubed = await asyncio.to_thread(self.run_command, "path", "explain", str(prime ** 3))
        self.assertEqual(1, cubed.returncode)
        self.assertIn("exponent 3 hands over to a custodian", cubed.stderr)


class Forgotten(unittest.IsolatedAsyncioTestCase):
    async def test_a_gateway_that_went_away_can_be_given_up_and_advisories_tell_it(self):
        with Playground() as playground:
            a, b = playground.chain("ab")
            client = await connect(a)
            self.addAsyncCleanup(client.close)
            told = await Collector.on(client, "$TREE.ADV.>")
            b.kill()
            await asyncio.to_thread(wait_until, "a lost b", lambda: a.status()["members"] == ["a"])
            answer = await asyncio.to_thread(a.ask, "tree", "forget", "b")
            self.assertEqual("b", answer["forgotten"])
            shown = await asyncio.to_thread(a.ask, "tree", "map")
            self.assertEqual(["a"], [gateway["name"] for gateway in shown["gateways"]])
            await told.until(2)
            kinds = [json.loads(message.data)["kind"] for message in told.messages]
            self.assertEqual(["leave", "forgotten"], kinds)
            b.start()
            await asyncio.to_thread(playground.wait_members, [a, b])
            await told.until(3)
            self.assertIn("join", [json.loads(message.data)["kind"] for message in told.messages])


class Barred(unittest.IsolatedAsyncioTestCase):
    async def barred_at(self, playground):
        """a - m - b, and two messages for b at a, the first of which must not go past m. Returns a, m, b, what b's client gets, what is told at a."""
        a = playground.gateway("a", durable=["orders.>"]).start()
        m = playground.gateway("m", join=[a]).start()
        b = playground.gateway("b", join=[m]).start()
        playground.wait_members([a, m, b])
        client, far = await connect(a), await connect(b, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
        self.addAsyncCleanup(client.close)
        self.addAsyncCleanup(far.close)
        told, got = await Collector.on(client, "$TREE.ADV.>"), await Collector.on(far, "orders.*")
        await asyncio.to_thread(a.wait_target, b, "orders.x")
        # Nobody knows by which way b will come back: then its interest counts, and what is published for it waits.
        b.kill()
        await asyncio.to_thread(wait_until, "a lost b", lambda: sorted(a.status()["members"]) == ["a", "m"])
        for text, headers in [(b"secret", {"Tree-Forbid": "gateway=m"}), (b"next", None)]:
            await client.request("orders.x", text, timeout=10, headers=headers)
        await asyncio.to_thread(b.start)
        await asyncio.to_thread(wait_until, "it is barred", lambda: a.status()["barred"])
        return a, m, b, got, told

    @staticmethod
    def heard(told, kind):
        return [advice for advice in (json.loads(message.data) for message in told.messages) if advice["kind"] == kind]

    async def test_a_durable_message_that_must_not_go_the_only_way_waits_visibly_and_goes_on_when_there_is_another(self):
        with Playground() as playground:
            a, m, b, got, told = await self.barred_at(playground)
            await asyncio.to_thread(a.wait_line, r"\[WRN\].* Durable record a:1 on 'orders.x' waits, and with it all that follows for b: the way there leads past m")
            shown = await asyncio.to_thread(a.ask, "queue", "ls")
            self.assertEqual([("a:1", "b", "m")], [(one["record"], one["gateway"], one["by"]) for one in shown["barred"]])
            run = await asyncio.to_thread(subprocess.run, [str(a.binary), "queue", "where", "a:2", "-s", a.url], capture_output=True, text=True)
            self.assertIn("waits behind a:1, which is barred by m", run.stdout)
            await asyncio.to_thread(wait_until, "it is told", lambda: self.heard(told, "barred"))
            self.assertEqual([], got.payloads)
            m.kill()
            b.kill()
            b.join = [a]
            await asyncio.to_thread(b.start)
            self.assertEqual(["secret", "next"], await got.until(2, 30))
            await asyncio.to_thread(wait_until, "it is told", lambda: self.heard(told, "unbarred"))

    async def test_an_operator_can_give_up_a_message_that_must_not_go_the_only_way(self):
        with Playground() as playground:
            a, _, b, got, told = await self.barred_at(playground)
            self.assertEqual(["b"], (await asyncio.to_thread(a.ask, "queue", "skip", "a:1"))["given_up"])
            self.assertEqual(["next"], await got.until(1, 30))
            await asyncio.to_thread(wait_until, "b tells the loss", lambda: self.heard(told, "loss"))
            loss = self.heard(told, "loss")[0]
            self.assertEqual(("b", 0, 1), (loss["gateway"], loss["after"], loss["up_to"]))
            await asyncio.to_thread(wait_until, "a shows nothing barred", lambda: not a.status()["barred"])


if __name__ == "__main__":
    unittest.main()
