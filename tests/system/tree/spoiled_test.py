"""What gateways believe of each other is compared in quiet, and put right if it differs.

    a ~~~ wire ~~~ b - c
"""

import json
import unittest

from clients import Collector
from grove import NOBODY_HERE, WireTest


class Spoiled(WireTest):
    def grow(self):
        # A word cannot be found in what is compressed.
        self.a = self.playground.gateway("a", extra=["--tree-advertise", self.wire.address, "--tree-compression", "off"]).start()
        self.wire.target = self.a
        self.b = self.playground.gateway("b", join=[self.wire.address], extra=["--tree-advertise", NOBODY_HERE]).start()
        self.c = self.playground.gateway("c", join=[self.b], extra=["--tree-advertise", NOBODY_HERE]).start()
        self.playground.whole([self.a, self.b, self.c])

    async def test_interest_that_was_spoiled_on_its_way_is_put_right_everywhere_and_that_is_told(self):
        at_a, at_c = await self.client(self.a), await self.client(self.c)
        told = await Collector.on(at_c, "$TREE.ADV.repair")
        await self.whole([self.a, self.b, self.c])
        self.wire.spoil_next(b"omens.good", b"omens.evil")
        got = await Collector.on(at_a, "omens.good")
        await self.until("the wire has spoiled the word", lambda: self.wire.to_spoil is None)

        def believed():
            return [(gateway.targets_of("omens.good"), gateway.targets_of("omens.evil")) for gateway in (self.b, self.c)]

        await self.until("somebody tells of a repair", lambda: told.messages, 60)
        advice = json.loads(told.messages[0].data)
        self.assertEqual("repair", advice["kind"])
        self.assertIn(advice["gateway"], ("a", "b"))
        self.assertGreaterEqual(advice["total"], 1)
        await self.whole([self.a, self.b, self.c])  # with equal digests
        self.assertEqual([(["a"], []), (["a"], [])], await self.away(believed))
        await at_c.publish("omens.good", b"at last")
        self.assertEqual(["at last"], await got.until(1))
        self.assertGreaterEqual(sum(gateway.status()["counters"]["repairs"] for gateway in (self.a, self.b)), 1)
        self.assertEqual(0, sum(gateway.status()["counters"]["links_lost"] for gateway in (self.a, self.b, self.c)))


if __name__ == "__main__":
    unittest.main()
