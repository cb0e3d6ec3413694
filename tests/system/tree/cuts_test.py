"""What can happen to the line between two gateways, with traffic of both classes over it both ways.

    z - a ~~~ wire ~~~ b - c

Only a can be dialled from the other side, through the wire; so nothing heals around it.
"""

import asyncio
import random
import unittest

import nats.errors
from grove import NOBODY_HERE, WireTest
from traffic import Flow
from wire import ALL, CONTROL, DURABLE, VOLATILE

ORDERS = 200
SEED = 20261121
FLAWED_CONNECTIONS = 40


class Line(WireTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        self.flows = []
        for name, source, sink in (("there", self.z, self.c), ("back", self.c, self.z)):
            for durable in (False, True):
                flow = Flow(name, source, [sink], durable=durable)
                self.addCleanup(flow.close)
                self.flows.append(flow)
                await flow.ready()
        await self.whole(self.gateways)
        for flow in self.flows:
            await flow.known()
            flow.begin()
        await self.all_pass()

    def grow(self):
        hidden = {"durable": ["orders.>"], "extra": ["--tree-advertise", NOBODY_HERE]}
        self.a = self.playground.gateway("a", durable=["orders.>"], extra=["--tree-advertise", self.wire.address]).start()
        self.wire.target = self.a
        self.z = self.playground.gateway("z", join=[self.a], **hidden).start()
        self.b = self.playground.gateway("b", join=[self.wire.address], **hidden).start()
        self.c = self.playground.gateway("c", join=[self.b], **hidden).start()
        self.gateways = [self.a, self.z, self.b, self.c]
        self.playground.whole(self.gateways)

    async def all_pass(self):
        await asyncio.gather(*(flow.passes() for flow in self.flows))

    async def apart(self):
        """Waits until either side is a tree of its own that knows the other is not there."""
        await self.whole([self.a, self.z])
        await self.whole([self.b, self.c])

    async def together(self):
        await self.whole(self.gateways)
        await self.all_pass()
        for flow in self.flows:
            await flow.end(ORDERS if flow.durable else 0)
        self.assertEqual(0, sum(flow.refused for flow in self.flows))

    def links_lost(self):
        return [gateway.status()["counters"]["links_lost"] for gateway in (self.a, self.b)]


class Cuts(Line):
    async def test_a_line_is_cut_and_heals(self):
        service = await self.client(self.c)

        async def answer(message):
            await message.respond(b"here")

        await service.subscribe("service.at.c", cb=answer)
        await service.flush()
        await self.whole(self.gateways)
        there, here = await self.client(self.z), await self.client(self.b)
        self.assertEqual(b"here", (await there.request("service.at.c", b"", timeout=20)).data)
        self.wire.cut()
        await self.apart()
        with self.assertRaises(nats.errors.NoRespondersError):
            await there.request("service.at.c", b"", timeout=20)
        self.assertEqual(b"here", (await here.request("service.at.c", b"", timeout=20)).data)
        # Both ends go on taking orders over, for whom they remember.
        for flow in self.flows:
            if flow.durable:
                acked = len(flow.acked)
                await self.until("orders are acknowledged while the line is cut", lambda f=flow, n=acked: len(f.acked) > n + 100)
        self.wire.heal()
        await self.whole(self.gateways)
        self.assertEqual(b"here", (await there.request("service.at.c", b"", timeout=20)).data)
        await self.together()

    async def test_a_line_flaps(self):
        for _ in range(5):
            carried = self.wire.carried
            self.wire.cut()
            self.wire.heal()
            await self.until("they try again", lambda n=carried: self.wire.carried > n)
        await self.together()


class BlackHoles(Line):
    async def test_a_line_that_swallows_everything_is_given_up_and_found_again(self):
        self.wire.swallow(ALL)
        await self.apart()
        self.wire.heal()
        await self.together()

    async def test_data_lanes_that_swallow_all_are_given_up_and_found_again(self):
        self.wire.swallow(VOLATILE, DURABLE)
        await self.until("the link is given up", lambda: any(line in gateway.output() for gateway in (self.a, self.b)
                                                             for line in ("was not back in time", "lane at", "nothing arrives on its")), 60)
        self.wire.heal()
        await self.together()


class OneLane(Line):
    async def lane_is_opened_anew(self, lane, fault):
        lost = self.links_lost()
        fault(lane)
        self.said = f"its {lane} lane broke and was opened anew"
        await self.until(f"'{self.said}' is logged", lambda: self.said in self.a.output() and self.said in self.b.output(), 60)
        await self.together()
        self.assertEqual(lost, self.links_lost(), "the link was lost for one lane")

    async def test_the_volatile_lane_breaks_and_the_link_stays(self):
        await self.lane_is_opened_anew(VOLATILE, self.wire.reset)

    async def test_the_durable_lane_breaks_and_the_link_stays(self):
        await self.lane_is_opened_anew(DURABLE, self.wire.reset)

    async def test_the_volatile_lane_swallows_all_and_the_link_stays(self):
        await self.lane_is_opened_anew(VOLATILE, self.wire.swallow_open)

    async def test_the_durable_lane_swallows_all_and_the_link_stays(self):
        await self.lane_is_opened_anew(DURABLE, self.wire.swallow_open)


class BadLines(Line):
    async def test_the_control_lane_breaks_and_the_link_comes_back(self):
        self.wire.reset(CONTROL)
        await self.together()

    async def test_a_connection_that_dies_at_the_far_end_only(self):
        self.wire.half_close(far=True)
        await self.together()

    async def test_a_connection_that_dies_at_the_near_end_only(self):
        self.wire.half_close(far=False)
        await self.together()

    async def test_a_slow_line_is_no_broken_one(self):
        lost = self.links_lost()
        self.wire.delay(0.05)
        await self.until("the round trip is measured", lambda: max(link["round_trip_us"] for link in self.b.status()["links"]) >= 100_000, 60)
        await self.all_pass()
        self.assertEqual(lost, self.links_lost())
        self.wire.delay(0)
        await self.together()

    async def test_connections_break_at_any_byte(self):
        random_bytes = random.Random(SEED)
        self.wire.break_next([random_bytes.randrange(1, 4000) for _ in range(FLAWED_CONNECTIONS)])
        self.wire.reset(CONTROL)
        await self.until(lambda: f"{len(self.wire.breaks)} of {FLAWED_CONNECTIONS} are still to break (seed {SEED})",
                         lambda: not self.wire.breaks, 90)
        await self.together()


if __name__ == "__main__":
    unittest.main()
