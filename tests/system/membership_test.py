"""Who is whose child: gateways that nobody told their address, limits of children, reload, lame duck, clashes and refusals."""

import asyncio
import json
import re
import signal
import unittest

from clients import Collector, connect, publish_acked
from servers import Playground, wait_until

PRIMES_TRIED_MAX = 40


class Membership(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.playground = Playground()
        self.addCleanup(self.playground.close)

    async def client(self, gateway):
        client = await connect(gateway)
        self.addAsyncCleanup(client.close)
        return client

    def star(self, leaves, **options):
        """A root and gateways that know nothing but it."""
        root = self.playground.gateway("root", **options).start()
        row = [root] + [self.playground.gateway(name, join=[root], **options).start() for name in leaves]
        self.playground.wait_members(row, 30)
        return row

    async def told(self, gateway):
        return await Collector.on(await self.client(gateway), "$TREE.ADV.>")

    @staticmethod
    def kinds(collector):
        return [json.loads(message.data)["kind"] for message in collector.messages]

    async def until_told(self, collector, kind):
        await asyncio.to_thread(wait_until, f"{kind} is told", lambda: kind in self.kinds(collector), 30)
        return next(json.loads(message.data) for message in collector.messages if json.loads(message.data)["kind"] == kind)

    async def test_children_that_know_only_their_root_find_each_other_when_it_is_killed(self):
        root, *others = await asyncio.to_thread(self.star, "abcd")
        for gateway in (root, *others):
            self.assertRegex(gateway.output(), rf"others can dial this gateway at 127\.0\.0\.1:{gateway.tree_port}\n")
        root.kill()
        await asyncio.to_thread(self.playground.wait_members, others, 30)

    async def test_a_tree_is_no_wider_than_max_children_says_nor_after_a_reload(self):
        config = self.playground.folder / "conf"
        config.write_text("tree { listen: '127.0.0.1:0', max_children: 2, compression: off }\n")
        row = await asyncio.to_thread(self.star, "abcde", extra=["--config", str(config)])
        for gateway in row:
            self.assertLessEqual(len(gateway.status()["children"]), 2)
        root = row[0]
        config.write_text("tree { listen: '127.0.0.1:0', max_children: 5, compression: zstd, region: eu, tags: [lab], queue_policy: nearest,\n"
                          "       queue_policies: [{subject: 'turn.>', policy: round_robin}] }\n")
        root.process.send_signal(signal.SIGHUP)
        root.wait_line(r"Reloaded server configuration")
        for line in ("tree.region = eu", "tree.tags = [lab]", "tree.max_children = 5", "tree.compression = zstd", "tree.queue_policy = nearest", "tree.queue_policies"):
            self.assertIn(f"Reloaded: {line}\n", root.output())
        far = row[-1]

        def seen():
            return next(gateway for gateway in far.ask("tree", "map")["gateways"] if gateway["name"] == "root")

        await asyncio.to_thread(wait_until, "the others know", lambda: (seen()["region"], seen()["tags"]) == ("eu", ["lab"]))
        await Collector.on(await self.client(root), "turn.one", "workers")
        self.assertEqual("round_robin", root.ask("path", "show", "turn.one")["groups"][0]["policy"])
        config.write_text("tree { listen: '127.0.0.1:0', name: other, region: us }\n")
        root.process.send_signal(signal.SIGHUP)
        root.wait_line(r"Failed to reload server configuration: config reload not supported for tree.name: old=treegate, new=other")
        self.assertEqual("eu", root.status()["region"])

    async def lame_duck(self, row, end, durable_from, durable_to):
        """The gateway `end` goes by lame duck while durable messages flow elsewhere; what is lost of them?"""
        stay = [gateway for gateway in row if gateway is not end]
        got = await Collector.on(await self.client(durable_to), "orders.>")
        await asyncio.to_thread(durable_from.wait_target, durable_to, "orders.x")
        publisher = await self.client(durable_from)
        total, before = 600, 200
        acks = await publish_acked(publisher, "orders.x", [str(n) for n in range(before)], 20)
        end.process.send_signal(signal.SIGUSR2)
        acks += await publish_acked(publisher, "orders.x", [str(n) for n in range(before, total)], 20)
        self.assertEqual(0, await asyncio.to_thread(end.process.wait, 30))
        self.assertEqual(total, len(acks))
        await asyncio.to_thread(self.playground.wait_members, stay, 30)
        payloads = await got.until(total, 30)
        self.assertEqual([str(n) for n in range(total)], payloads)
        return end.output()

    async def test_the_children_of_a_lame_duck_have_moved_before_it_ends(self):
        a = self.playground.gateway("a", durable=["orders.>"]).start()
        b = self.playground.gateway("b", join=[a]).start()
        c, d = [self.playground.gateway(name, join=[b]).start() for name in "cd"]
        await asyncio.to_thread(self.playground.wait_members, [a, b, c, d], 30)
        said = await self.lame_duck([a, b, c, d], b, c, d)
        for name in "cd":
            self.assertRegex(said, rf"{name} \(\S+\), a child, is sent on to {re.escape(a.tree_address)}: this gateway is about to end")
        moved, ended = [said.index(text) for text in ("let go of the link", "Initiating Shutdown")]
        self.assertLess(moved, ended)
        self.assertEqual(["c", "d"], sorted(a.status()["children"]))

    async def test_a_root_that_is_a_lame_duck_leaves_a_tree_behind(self):
        root, a, b, c = row = await asyncio.to_thread(self.star, "abc", durable=["orders.>"])
        await self.lame_duck(row, root, a, c)
        self.assertEqual(1, len([gateway for gateway in (a, b, c) if gateway.status()["root"]]))

    async def test_two_gateways_with_one_prime_tell_the_clash_and_both_can_be_reached(self):
        alone, twins = {}, None
        for number in range(PRIMES_TRIED_MAX):
            gateway = self.playground.gateway(f"g{number}").start()
            prime = gateway.status()["prime"]
            if prime in alone:
                twins = alone[prime], gateway
                break
            alone[prime] = gateway
        self.assertIsNotNone(twins, "two of so many that grew up alone have the same prime")
        senior, junior = twins
        for gateway in alone.values():
            if gateway is not senior:
                gateway.kill()
        heard = await self.told(senior)
        junior.stop()
        junior.join = [senior]
        junior.start()
        await asyncio.to_thread(self.playground.wait_members, [senior, junior])
        told = await self.until_told(heard, "clash")
        self.assertEqual((junior.name, prime), (told["gateway"], told["prime"]))
        self.assertEqual(told["claimed"], junior.status()["prime"])
        self.assertEqual(prime, senior.status()["prime"])
        got = await Collector.on(await self.client(junior), "news")
        await asyncio.to_thread(senior.wait_target, junior, "news")
        await (await self.client(senior)).publish("news", b"hello")
        self.assertEqual(["hello"], await got.until(1))

    async def test_who_is_refused_is_told_in_an_advisory_and_in_both_logs(self):
        a = self.playground.gateway("a").start()
        heard = await self.told(a)
        stranger = self.playground.gateway("stranger", join=[a], extra=["--tree-name", "elsewhere"]).start()
        told = await self.until_told(heard, "refused")
        self.assertEqual("stranger", told["member"])
        self.assertIn("'elsewhere'", told["reason"])
        a.wait_line(r"\[WRN\] tree: .*stranger.* ends: .*'elsewhere'")
        stranger.wait_line(r"\[WRN\] tree: .*'treegate'")

    async def test_a_copy_of_an_identity_is_named_in_both_logs_and_in_an_advisory(self):
        a = self.playground.gateway("a").start()
        b = self.playground.gateway("b", join=[a]).start()
        await asyncio.to_thread(self.playground.wait_members, [a, b])
        heard = await self.told(a)
        copy = self.playground.gateway("copy", join=[a])
        (copy.folder / "data").mkdir()
        (copy.folder / "data" / "identity").write_bytes((b.folder / "data" / "identity").read_bytes())
        copy.start()
        identity = b.status()["id"]
        await asyncio.to_thread(a.wait_line, rf"\[ERR\] tree: .*{identity}.* is in use by another live gateway", 60)
        await asyncio.to_thread(copy.wait_line, rf"\[ERR\] tree: .*{identity}.* is in use by another live gateway", 60)
        told = await self.until_told(heard, "refused")
        self.assertEqual(identity, told["member_id"])
        self.assertEqual(["a", "b"], sorted(a.status()["members"]))

    async def test_a_listener_beyond_loopback_without_a_secret_is_warned_of(self):
        warning = r"\[WRN\] The tree has no secret"
        secret = self.playground.folder / "secret"
        secret.write_text("open sesame\n")
        alone = self.playground.gateway("alone").start()
        self.assertNotRegex(alone.output(), warning)
        kept = self.playground.gateway("kept", extra=["--tree-listen", "0.0.0.0:0", "--secret-file", str(secret)]).start()
        self.assertNotRegex(kept.output(), warning)
        self.assertRegex(self.playground.gateway("open", extra=["--tree-listen", "0.0.0.0:0"]).start().output(), warning)


if __name__ == "__main__":
    unittest.main()
