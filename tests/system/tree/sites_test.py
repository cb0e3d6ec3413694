"""Whole sites are cut off and come back, on a network of their own: what is sent into a cut line vanishes, and no reset tells of it."""

import asyncio
import os
import unittest

from grove import Grove, TreeTest
from sites import Network, why_not
from traffic import Flow

ORDERS = 200


class Sites(TreeTest):
    """hub: h1 (the root), h2; east: e1, e2, e3; west: w1, w2. Only h1's address is configured beyond a site."""

    @classmethod
    def setUpClass(cls):
        why = why_not()
        if why and os.environ.get("CI"):
            raise AssertionError(why)
        if why:
            raise unittest.SkipTest(why)
        cls.network = Network()

    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.sites = {name: self.network.site(name) for name in ("hub", "east", "west")}
        for site in self.sites.values():
            self.addCleanup(site.close)
        self.playground = Grove()
        self.addCleanup(self.playground.close)
        await self.away(self.grow)
        self.flows = []
        for name, source, sink in (("out", "e3", "w2"), ("in", "w2", "e3"), ("home", "e2", "e3")):
            for durable in (False, True):
                flow = Flow(name, self.gateways[source], [self.gateways[sink]], durable=durable)
                self.addCleanup(flow.close)
                self.flows.append(flow)
                await flow.ready()
        await self.whole(self.gateways.values())
        for flow in self.flows:
            await flow.known()
            flow.begin()
        await self.all_pass()

    def grow(self):
        self.gateways = {}
        for name, parent in (("h1", None), ("h2", "h1"), ("e1", "h1"), ("e2", "e1"), ("e3", "e1"), ("w1", "h1"), ("w2", "w1")):
            site = self.sites[{"h": "hub", "e": "east", "w": "west"}[name[0]]]
            self.gateways[name] = self.playground.gateway(name, at=site, join=[self.gateways[parent]] if parent else [], durable=["orders.>"])
            self.gateways[name].start()

    def of(self, *letters):
        return [gateway for name, gateway in self.gateways.items() if name[0] in letters]

    async def all_pass(self):
        await asyncio.gather(*(flow.passes() for flow in self.flows))

    async def together(self):
        await self.whole(self.gateways.values())
        await self.all_pass()
        for flow in self.flows:
            await flow.end(ORDERS if flow.durable else 0)
        self.assertEqual(0, sum(flow.refused for flow in self.flows))

    async def test_a_site_is_cut_off_and_lives_on_and_comes_back(self):
        self.sites["east"].cut()
        await self.whole(self.of("e"))
        await self.whole(self.of("h", "w"))
        home = [flow for flow in self.flows if flow.name == "home"]
        for flow in home:
            await flow.passes()
        self.assertEqual([], home[0].lost("e3"), "lost within the site")
        for flow in self.flows:
            if flow.durable:
                acked = len(flow.acked)
                await self.until("orders are acknowledged meanwhile", lambda f=flow, n=acked: len(f.acked) > n + 100)
        self.sites["east"].heal()
        await self.together()
        self.assertEqual([], home[0].lost("e3"))

    async def test_the_site_of_the_root_is_cut_off_and_the_others_find_each_other(self):
        self.sites["hub"].cut()
        await self.whole(self.of("e", "w"))
        await self.all_pass()
        await self.whole(self.of("h"))
        self.sites["hub"].heal()
        await self.together()

    async def test_all_sites_are_alone_and_come_back_one_by_one(self):
        for site in self.sites.values():
            site.cut()
        for letter in "hew":
            await self.whole(self.of(letter))
        self.sites["west"].heal()
        self.sites["east"].heal()
        await self.whole(self.of("e", "w"))
        await self.all_pass()
        self.sites["hub"].heal()
        await self.together()


if __name__ == "__main__":
    unittest.main()
