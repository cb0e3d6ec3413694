"""Who must stay outside: another secret, none, another tree, a second holder of an identity, someone who talks nonsense. Each is
named with the rule in the log, and the links that stand do not notice."""

import asyncio
import random
import shutil
import socket
import unittest

from grove import Grove, TreeTest
from traffic import Flow

SEED = 20261121


class Strangers(TreeTest):
    """a - b - c with a secret, and messages of both classes from one end to the other."""

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.playground = Grove()
        self.addCleanup(self.playground.close)
        self.secret = self.secret_file("secret", "what only members know")
        gateways = await self.away(self.playground.plant, {"a": None, "b": "a", "c": "b"}, durable=["orders.>"], extra=self.secret)
        self.a, self.b, self.c = gateways.values()
        self.members = [self.a, self.b, self.c]
        self.news, self.orders = Flow("news", self.a, [self.c]), Flow("orders", self.a, [self.c], durable=True)
        for flow in (self.news, self.orders):
            self.addCleanup(flow.close)
            await flow.ready()
        await self.whole(self.members)
        for flow in (self.news, self.orders):
            await flow.known()
            flow.begin()
            await flow.passes()
        self.links = self.links_of_members()

    def secret_file(self, name, text):
        path = self.playground.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return ["--secret-file", str(path)]

    def links_of_members(self):
        return [(s["counters"]["links_established"], s["counters"]["links_lost"]) for s in (g.status() for g in self.members)]

    async def stranger(self, name, extra, join=None):
        return await self.away(self.playground.gateway(name, join=[join or self.a], extra=extra).start)

    async def logs(self, gateway, *parts):
        """A line of its log has all of these words."""
        def line():
            return next((line for line in gateway.output().splitlines() if all(part in line for part in parts)), None)

        await self.until(f"{gateway.name} logs {parts}", line)
        return line()

    async def nobody_noticed(self, *strangers):
        for stranger in strangers:
            self.assertEqual([stranger.name], stranger.status()["members"])
        await self.whole(self.members)
        for flow in (self.news, self.orders):
            await flow.passes()
            await flow.end(100)
        self.assertEqual([], self.news.lost("c"))
        self.assertEqual(self.links, self.links_of_members())

    async def test_a_wrong_secret_and_none_are_refused_by_name(self):
        wrong = await self.stranger("wrong", self.secret_file("other", "a guess"))
        without = await self.stranger("without", [])
        for stranger in (wrong, without):
            self.assertIn("[WRN]", await self.logs(self.a, stranger.name, "secret is missing or differs"))
            await self.logs(stranger, "secret is missing or differs")
        await self.nobody_noticed(wrong, without)

    async def test_another_tree_is_refused_by_name(self):
        other = await self.stranger("other", ["--tree-name", "elsewhere", *self.secret])
        self.assertIn("[WRN]", await self.logs(self.a, "with other", "'elsewhere'"))
        await self.logs(other, "[WRN]", "'elsewhere'")
        await self.nobody_noticed(other)

    async def test_a_cloned_identity_is_refused_and_both_logs_name_it(self):
        """At the neighbour of its twin, and at one that knows the twin only from afar."""
        for number, join in enumerate((self.b, self.a)):
            clone = self.playground.gateway(f"clone{number}", join=[join], extra=self.secret)
            (clone.folder / "data").mkdir()
            for path in (self.c.folder / "data").iterdir():
                if path.is_file() and path.name != "lock":
                    shutil.copy(path, clone.folder / "data" / path.name)
            await self.away(clone.start)
            self.assertEqual(self.c.status()["id"], clone.status()["id"])
            for gateway in (join, clone):
                await self.logs(gateway, "[ERR]", self.c.status()["id"], "in use by another live gateway")
            self.assertEqual([clone.name], clone.status()["members"])
            clone.kill()
        await self.nobody_noticed()

    async def test_nonsense_on_the_tree_port_harms_nobody(self):
        nonsense = random.Random(SEED)

        def talk():
            for _ in range(60):
                with socket.create_connection(("127.0.0.1", nonsense.choice(self.members).tree_port), 5) as line:
                    line.sendall(nonsense.randbytes(nonsense.randrange(1, 5000)))

        before = [gateway.resident_bytes() for gateway in self.members]
        await self.away(talk)
        await self.nobody_noticed()
        for gateway, bytes_before in zip(self.members, before):
            self.assertLess(gateway.resident_bytes() - bytes_before, 64 << 20, gateway.name)

    async def test_one_that_connects_and_says_nothing_harms_nobody(self):
        lines = [socket.create_connection(("127.0.0.1", self.b.tree_port), 5) for _ in range(20)]
        self.addCleanup(lambda: [line.close() for line in lines])
        await self.logs(self.b, "did not say what it is in time")
        await self.nobody_noticed()


if __name__ == "__main__":
    unittest.main()
