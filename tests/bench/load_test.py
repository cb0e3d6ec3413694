#!/usr/bin/env python3
"""The load generator must notice what a server does wrong: each fault is planted in a little server of our own.

    tests/bench/load_test.py build/dev/tests/bench/load
"""

import asyncio
import json
import random
import subprocess
import sys
import threading
import unittest

LOAD = sys.argv.pop(1) if len(sys.argv) > 1 else "build/dev/tests/bench/load"
VICTIM = 700  # the how-manieth message suffers


def matches(pattern, subject):
    wanted, given = pattern.split("."), subject.split(".")
    for i, token in enumerate(wanted):
        if token == ">":
            return len(given) > i
        if i >= len(given) or token not in ("*", given[i]):
            return False
    return len(wanted) == len(given)


class FaultyServer:
    """Speaks enough NATS for the load generator, and does to the VICTIMth message what `fault` says."""

    def __init__(self, fault):
        self.fault, self.subscriptions, self.count, self.held = fault, [], 0, None
        self.acks = self.clients = self.subscribed = 0
        self.random = random.Random(1)
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        self.thread.start()
        self.ready.wait()

    async def serve(self):
        self.stop = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self.client, "127.0.0.1", 0, limit=1 << 20)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await self.stop.wait()
        server.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    async def client(self, reader, writer):
        self.clients += 1
        writer.write(b'INFO {"client_id":%d}\r\n' % self.clients)
        try:
            while line := await reader.readline():
                words = line.decode().split()
                if words[0] == "PING":
                    writer.write(b"PONG\r\n")
                elif words[0] == "SUB":
                    self.subscribed += 1
                    if not (self.fault == "deaf" and self.subscribed % 2):
                        self.subscriptions.append((words[1], words[-1], words[2] if len(words) == 4 else "", writer))
                elif words[0] == "UNSUB":
                    self.subscriptions = [s for s in self.subscriptions if (s[1], s[3]) != (words[1], writer)]
                elif words[0] in ("PUB", "HPUB"):
                    head = int(words[-2]) if words[0] == "HPUB" else 0
                    content = (await reader.readexactly(int(words[-1]) + 2))[:-2]
                    self.publish(words[1], words[2] if len(words) == 4 and not head else "", content[head:], content[:head])
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        self.subscriptions = [s for s in self.subscriptions if s[3] is not writer]
        writer.close()

    def publish(self, subject, reply, payload, headers):
        probe = payload[:4] == b"\xff\xff\xff\xff"
        inbox = subject.startswith("_INBOX")
        if not probe and not inbox:
            self.count += 1
        hit = not probe and not inbox and self.count == VICTIM
        if hit and self.fault == "drop":
            return
        if hit and self.fault == "wrong subject":
            subject = subject[:-1] + ("0" if subject[-1] != "0" else "1")
        if hit and self.fault == "damage":
            payload = payload[:-1] + bytes([payload[-1] ^ 1])
        if hit and self.fault == "damage headers":
            headers = headers.replace(b"Trace", b"Trase")
        if hit and self.fault == "swap":
            self.held = (subject, reply, payload, headers)
            return
        self.deliver(subject, reply, payload, headers, wrong_sid=hit and self.fault == "wrong sid", all_members=hit and self.fault == "whole group")
        if hit and self.fault == "repeat":
            self.deliver(subject, reply, payload, headers)
        if self.held and not probe:
            held, self.held = self.held, None
            self.deliver(*held)
        if reply and not probe and subject.startswith("orders"):
            self.acknowledge(reply, hit)

    def acknowledge(self, reply, hit):
        if hit and self.fault == "no ack":
            return
        self.acks += 0 if hit and self.fault == "same position" else 1
        text = b'{"stream":"S","seq":%d}' % self.acks
        if hit and self.fault == "refuse":
            text = b'{"error":{"code":503}}'
        self.deliver(reply, "", text, b"")
        if hit and self.fault == "two acks":
            self.deliver(reply, "", text, b"")

    def deliver(self, subject, reply, payload, headers, wrong_sid=False, all_members=False):
        hit = [s for s in self.subscriptions if not s[3].is_closing() and matches(s[0], subject)]
        if not all_members:
            groups = {s[2]: [m for m in hit if m[2] == s[2]] for s in hit if s[2]}
            hit = [s for s in hit if not s[2]] + [self.random.choice(members) for members in groups.values()]
        for _, sid, _, writer in hit:
            sid = str(int(sid) + 1) if wrong_sid else sid
            words = [subject, sid] + ([reply] if reply else []) + ([str(len(headers))] if headers else []) + [str(len(headers) + len(payload))]
            writer.write((f"{'HMSG' if headers else 'MSG'} {' '.join(words)}\r\n").encode() + headers + payload + b"\r\n")


class TheLoadGenerator(unittest.TestCase):
    def run_load(self, fault, *arguments, seconds=30):
        """`seconds`: how long the load generator waits for what may never come."""
        server = FaultyServer(fault)
        try:
            command = [LOAD, *arguments, "--server", f"127.0.0.1:{server.port}", "--warm", "0", "--seconds-max", str(seconds)]
            command += [] if "--count" in arguments else ["--count", "1000"]
            return subprocess.run(command, capture_output=True, text=True, timeout=60)
        finally:
            server.close()

    def assert_verified(self, *arguments, **figures):
        run = self.run_load("", *arguments)
        self.assertEqual(0, run.returncode, run.stderr)
        seen = json.loads(run.stdout)
        self.assertEqual(figures, {key: seen[key] for key in figures})

    def assert_noticed(self, fault, words, *arguments):
        run = self.run_load(fault, *arguments, seconds=2 if words.startswith("not done") else 30)
        self.assertEqual((1, ""), (run.returncode, run.stdout))
        self.assertIn(words, run.stderr)

    def test_verifies_an_honest_server(self):
        self.assert_verified("pubsub", published=1000, delivered=1000)
        self.assert_verified("pubsub", "--subscribers", "3", "--publishers", "2", published=1000, delivered=3000)
        self.assert_verified("pubsub", "--publishers", "2", "--subscribers", "2", "--paired", delivered=1000)
        self.assert_verified("pubsub", "--headers", "64", "--subscribers", "2", delivered=2000)
        self.assert_verified("pubsub", "--queue", "--publishers", "2", "--subscribers", "3", published=1000, delivered=1000)
        self.assert_verified("pubsub", "--shards", "2", "--across", "--publishers", "2", "--subscribers", "2", "--paired", delivered=1000)
        self.assert_verified("subjects", "--subjects", "50", "--wildcards", "20", "--size", "16", delivered=1000)
        self.assert_verified("subscriptions", "--wildcards", "20", published=1000)
        self.assert_verified("connections", published=1000)
        self.assert_verified("pubsub", "--subscribers", "0", published=1000, delivered=0)
        self.assert_verified("pubsub", "--acks", "--window", "100", "--subject", "orders", delivered=1000, acked=1000)
        self.assert_verified("requests", "--publishers", "2", "--subscribers", "2", published=1000, delivered=1000)

    def test_verifies_messages_with_subjects_of_their_own_and_at_a_rate(self):
        self.assert_verified("pubsub", "--tails", "10", published=1000, delivered=1000)
        self.assert_verified("pubsub", "--once", "--publishers", "2", "--subscribers", "2", published=1000, delivered=2000)
        self.assert_verified("subjects", "--subjects", "50", "--drawn", "5", published=1000, delivered=1000)
        run = self.run_load("", "pubsub", "--rate", "10000")
        self.assertEqual(0, run.returncode, run.stderr)
        seen = json.loads(run.stdout)
        self.assertGreater(seen["seconds"], 0.099)  # 1,000 messages, the first one at once
        self.assertGreater(seen["max_us"], 0)

    def test_finds_out_first_what_a_far_server_has_told_the_near_one(self):
        server = FaultyServer("")
        try:
            address = f"127.0.0.1:{server.port}"
            command = [LOAD, "subjects", "--subjects", "50", "--count", "1000", "--warm", "0", "--server", address, "--far-server", address,
                       "--churn", "1000", "--churn-far"]
            run = subprocess.run(command, capture_output=True, text=True, timeout=30)
        finally:
            server.close()
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertEqual(1000, json.loads(run.stdout)["delivered"])

    def test_notices_a_lost_message(self):
        self.assert_noticed("drop", "was due", "pubsub")
        self.assert_noticed("drop", "not done after", "requests")
        self.assert_noticed("drop", "not done after", "pubsub", "--queue", "--subscribers", "2")
        self.assert_noticed("drop", "was due", "subjects", "--subjects", "50")

    def test_notices_a_repeated_message(self):
        self.assert_noticed("repeat", "was due", "pubsub")
        self.assert_noticed("repeat", "out of order", "pubsub", "--queue")
        self.assert_noticed("whole group", "twice", "pubsub", "--queue", "--subscribers", "2")
        self.assert_noticed("repeat", "was due", "subjects", "--subjects", "50")
        self.assert_noticed("repeat", "two replies", "requests")

    def test_notices_messages_out_of_order(self):
        self.assert_noticed("swap", "was due", "pubsub")
        self.assert_noticed("swap", "out of order", "pubsub", "--queue")

    def test_notices_damaged_content(self):
        self.assert_noticed("damage", "damaged", "pubsub")
        self.assert_noticed("damage headers", "headers arrived damaged", "pubsub", "--headers", "64")
        self.assert_noticed("damage", "damaged", "requests")

    def test_notices_a_message_on_another_subject(self):
        self.assert_noticed("wrong subject", "arrived on", "pubsub", "--once")

    def test_notices_subscriptions_that_are_wrong_or_not_there(self):
        self.assert_noticed("wrong sid", "arrived at subscription", "subjects", "--subjects", "50")
        run = self.run_load("deaf", "subscriptions")
        self.assertEqual(1, run.returncode)
        self.assertIn("does not work", run.stderr)

    def test_subscribes_and_ends_what_churn_asks_for(self):
        run = self.run_load("", "subjects", "--subjects", "50", "--churn", "1000", "--count", "8000")
        self.assertEqual(0, run.returncode, run.stderr)
        self.assertGreater(json.loads(run.stdout)["churned"], 100)

    def test_notices_what_is_wrong_with_acks(self):
        durable = ["pubsub", "--acks", "--window", "100", "--subject", "orders"]
        self.assert_noticed("no ack", "not done after", *durable)
        self.assert_noticed("two acks", "two acks", *durable)
        self.assert_noticed("refuse", "not acknowledged", *durable)
        self.assert_noticed("same position", "do not rise", *durable)


if __name__ == "__main__":
    unittest.main()
