"""Chains of 2, 4 and 8, a star of 10, a tree of 13 on three levels, grown by --join alone; nats-py at places far apart."""

import asyncio
import unittest

import nats.errors
from clients import Collector, Load
from grove import Grove, TreeTest

MANY = 100_000


class Places:
    """What must hold between clients anywhere in a tree. A class that inherits it says which tree, and `places`: where clients are."""

    @classmethod
    def setUpClass(cls):
        cls.playground = Grove()
        cls.addClassCleanup(cls.playground.close)
        cls.gateways = cls.grow()
        cls.places = [cls.gateways[name] for name in cls.place_names]

    async def at_each_place(self, subject, queue=""):
        """A subscriber at every place, known everywhere when this returns."""
        collectors = [await Collector.on(await self.client(gateway), subject, queue=queue) for gateway in self.places]
        await self.whole(self.gateways.values())
        return collectors

    async def answering(self, gateway, subject, answer, queue=""):
        """A service at a gateway; `answer(message)` is awaited for each request."""
        service = await self.client(gateway)
        await service.subscribe(subject, queue, answer)
        await service.flush()
        return service

    async def test_it_has_the_shape_that_the_addresses_say(self):
        states = await self.whole(self.gateways.values())
        self.assertEqual(self.parents, {name: state["parent"] for name, state in states.items()})
        for name, state in states.items():
            self.assertEqual((0, 0), (state["law_violations"], state["counters"]["protocol_errors"]), name)

    async def test_every_place_hears_every_other_once_and_in_order(self):
        collectors = await self.at_each_place("hear.*")
        elsewhere = await Collector.on(await self.client(self.places[0]), "other.*")
        publishers = [await self.client(gateway) for gateway in self.places]
        for number in range(200):
            for place, publisher in enumerate(publishers):
                await publisher.publish(f"hear.{place}", f"{place} {number}".encode())
        for publisher in publishers:
            await publisher.flush()
        expected = {place: [f"{place} {number}" for number in range(200)] for place in range(len(publishers))}
        for collector in collectors:
            payloads = await collector.until(200 * len(publishers))
            self.assertEqual(expected, {place: [text for text in payloads if text.split()[0] == str(place)] for place in expected})
        self.assertEqual([], elsewhere.payloads)

    async def test_wildcards_match_as_they_do_on_one_server(self):
        near, far = self.places[0], self.places[-1]
        client = await self.client(far)
        filters = {"wild.*": ["1", "4", "end"], "wild.>": ["1", "2", "4", "end"], "*.new": ["3", "4", "end"], "wild.new.*": ["2"]}
        collectors = {subject: await Collector.on(client, subject) for subject in filters}
        await self.whole(self.gateways.values())
        publisher = await self.client(near)
        for subject, payload in (("wild", "0"), ("wild.old", "1"), ("wild.new.eu", "2"), ("tame.new", "3"), ("wild.new", "4"), ("wild.new", "end")):
            await publisher.publish(subject, payload.encode())
        for subject, expected in filters.items():
            self.assertEqual(expected, await collectors[subject].until(len(expected)), subject)

    async def test_headers_and_large_payloads_arrive_unchanged(self):
        collectors = await self.at_each_place("blob")
        blob = bytes(number * 7 % 251 for number in range(900_000))
        publisher = await self.client(self.places[-1])
        await publisher.publish("blob", blob, headers={"Colour": "red", "Empty": "", "lower-case": "a: b"})
        for collector in collectors:
            await collector.until(1, linger=0)
            self.assertEqual(blob, collector.messages[0].data)
            self.assertEqual({"Colour": "red", "Empty": "", "lower-case": "a: b"}, dict(collector.messages[0].headers))

    async def test_a_queue_group_takes_each_message_once_in_the_whole_tree(self):
        members = await self.at_each_place("work.*", queue="workers")
        others = await self.at_each_place("work.*", queue="auditors")
        jobs = []
        for place, gateway in enumerate(self.places):
            publisher = await self.client(gateway)
            for number in range(200):
                jobs.append(f"{place} {number}")
                await publisher.publish("work.x", jobs[-1].encode())
            await publisher.flush()
        for group in (members, others):
            def taken(group=group):
                return sorted(text for member in group for text in member.payloads)

            await self.until("every job is taken", lambda: len(taken()) >= len(jobs))
            await asyncio.sleep(0.2)  # for what must not come
            self.assertEqual(sorted(jobs), taken())
            # local_first: there is a member at each place, so each job stayed where it was published.
            for place, member in enumerate(group):
                self.assertEqual({str(place)}, {text.split()[0] for text in member.payloads})

    async def test_a_queue_group_far_away_shares_the_work(self):
        far = [await Collector.on(await self.client(gateway), "far.work", queue="workers") for gateway in self.places[1:] * 2]
        await self.whole(self.gateways.values())
        publisher = await self.client(self.places[0])
        jobs = [str(number) for number in range(1000)]
        for job in jobs:
            await publisher.publish("far.work", job.encode())
        await self.until("every job is taken", lambda: sum(len(member.payloads) for member in far) >= len(jobs))
        await asyncio.sleep(0.2)
        self.assertEqual(sorted(jobs), sorted(text for member in far for text in member.payloads))
        for member in far:
            self.assertGreater(len(member.payloads), 0, "a member without work")
            self.assertEqual(sorted(member.payloads, key=int), member.payloads, "a member that got its jobs out of order")

    async def test_requests_from_every_place_are_answered_from_the_other_end(self):
        async def echo(message):
            await message.respond(b"re: " + message.data)

        await self.answering(self.places[-1], "service.echo", echo)
        await self.whole(self.gateways.values())
        for place, gateway in enumerate(self.places):
            client = await self.client(gateway)
            answers = await asyncio.gather(*(client.request("service.echo", f"{place} {n}".encode(), timeout=20) for n in range(100)))
            self.assertEqual([f"re: {place} {n}" for n in range(100)], [answer.data.decode() for answer in answers])

    async def test_one_request_may_be_answered_many_times_from_many_places(self):
        for place, gateway in enumerate(self.places):
            async def answer(message, place=place):
                for number in range(50):
                    await message.respond(f"{place} {number}".encode())

            await self.answering(gateway, "service.all", answer)
        await self.whole(self.gateways.values())
        client = await self.client(self.places[0])
        inbox = client.new_inbox()
        answers = await Collector.on(client, inbox)
        await client.publish("service.all", b"who is there?", reply=inbox)
        payloads = await answers.until(50 * len(self.places))
        for place in range(len(self.places)):
            self.assertEqual([f"{place} {n}" for n in range(50)], [text for text in payloads if text.split()[0] == str(place)])
        self.assertEqual(50 * len(self.places), len(payloads))

    async def test_a_requester_that_goes_on_at_another_gateway_gets_its_answer_there(self):
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def answer_later(message):
            asked.set()
            await may_answer.wait()
            await message.respond(b"at last")

        await self.answering(self.places[-1], "service.slow", answer_later)
        await self.whole(self.gateways.values())
        before = await self.client(self.places[0])
        inbox = before.new_inbox()
        await Collector.on(before, inbox)
        await before.publish("service.slow", b"?", reply=inbox)
        await asyncio.wait_for(asked.wait(), 20)
        await before.close()
        # The place in between where there is one, else the other end of the pair.
        after = await self.client(self.places[len(self.places) // 2])
        answers = await Collector.on(after, inbox)
        may_answer.set()
        self.assertEqual(["at last"], await answers.until(1))

    async def test_503_means_that_nobody_in_the_whole_tree_is_there(self):
        async def here(message):
            await message.respond(b"here")

        clients = [await self.client(gateway) for gateway in self.places]
        for client in clients:
            with self.assertRaises(nats.errors.NoRespondersError):
                await client.request("service.later", b"", timeout=20)
        service = await self.answering(self.places[-1], "service.later", here)
        await self.whole(self.gateways.values())
        for client in clients:
            self.assertEqual(b"here", (await client.request("service.later", b"", timeout=20)).data)
        await service.close()

        async def refused(client):
            try:
                await client.request("service.later", b"", timeout=2)
            except nats.errors.NoRespondersError:
                return True
            except nats.errors.TimeoutError:
                pass  # it was on its way to the service when that left
            return False

        for client in clients:
            for _ in range(100):
                if await refused(client):
                    break
            else:
                self.fail("no 503 after the last responder had gone")

    async def test_a_client_without_echo_hears_only_the_others(self):
        quiet = await self.client(self.places[0], no_echo=True)
        mine, theirs = await Collector.on(quiet, "echo"), await Collector.on(await self.client(self.places[-1]), "echo")
        await self.whole(self.gateways.values())
        await quiet.publish("echo", b"mine")
        await theirs.until(1, linger=0)
        await (await self.client(self.places[-1])).publish("echo", b"another's")
        self.assertEqual(["another's"], await mine.until(1))
        self.assertEqual(["mine", "another's"], await theirs.until(2))

    async def test_100000_messages_end_to_end_in_order(self):
        near, far = self.places[0], self.places[-1]
        load = await self.away(Load, "pubsub", "--server", near.address, "--far-server", far.address, "--subject", "count", "--count", MANY)
        self.assertEqual(MANY, (await self.away(load.go))["delivered"])  # the generator verifies each, its order too

    async def test_100000_messages_to_subscribers_at_the_far_end_and_requests_meanwhile(self):
        near, far = self.places[0], self.places[-1]
        back = await self.away(Load, "pubsub", "--server", far.address, "--far-server", near.address, "--subject", "back", "--count", MANY)
        requests = await self.away(Load, "requests", "--server", near.address, "--far-server", far.address, "--publishers", 2,
                                   "--subscribers", 2, "--subject", "ask", "--count", 10_000)
        back.begin()
        self.assertEqual(10_000, (await self.away(requests.go))["delivered"])
        self.assertIn(f'"delivered":{MANY}', (await self.away(back.process.communicate))[0])


class ChainOfTwo(Places, TreeTest):
    parents = {"g0": "", "g1": "g0"}
    place_names = ("g0", "g1")

    @classmethod
    def grow(cls):
        return cls.playground.row(2)


class ChainOfFour(Places, TreeTest):
    parents = {"g0": "", "g1": "g0", "g2": "g1", "g3": "g2"}
    place_names = ("g0", "g2", "g3")

    @classmethod
    def grow(cls):
        return cls.playground.row(4)


class ChainOfEight(Places, TreeTest):
    parents = {"g0": ""} | {f"g{n}": f"g{n - 1}" for n in range(1, 8)}
    place_names = ("g0", "g3", "g5", "g7")

    @classmethod
    def grow(cls):
        return cls.playground.row(8)


class StarOfTen(Places, TreeTest):
    parents = {"hub": ""} | {f"g{n}": "hub" for n in range(1, 10)}
    place_names = ("g1", "g4", "g6", "g9")

    @classmethod
    def grow(cls):
        return cls.playground.star(10)


class ThreeLevels(Places, TreeTest):
    parents = {"root": ""} | {f"m{i}": "root" for i in (1, 2, 3)} | {f"l{i}{j}": f"m{i}" for i in (1, 2, 3) for j in (1, 2, 3)}
    place_names = ("l11", "l13", "m2", "l32")

    @classmethod
    def grow(cls):
        return cls.playground.three_levels()


if __name__ == "__main__":
    unittest.main()
