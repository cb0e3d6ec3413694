"""A steady flow of numbered messages from one gateway to others, volatile or durable, that checks itself as it goes.

Always: at a subscriber the numbers rise, and none comes twice on one connection. A durable flow also knows what was
acknowledged: all of that must arrive, and positions rise. What a volatile flow lost is known by number, and when each
message was sent, so also how long a way was interrupted.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "chaos"))
from client import Client  # noqa: E402

UNACKED_MAX = 200  # of a durable flow; above it the publisher waits
AGAIN_SECONDS_MAX = 60  # generous, as in grove.py
RATE = 400  # messages a second


class Sink:
    """A subscriber, with what came when."""

    def __init__(self, flow, gateway):
        self.flow, self.gateway = flow, gateway
        self.arrived = {}  # number -> when it came first
        self.came_on = {}  # number -> the connection
        self.highest = 0
        self.repeats = 0
        self.broken = None
        self.client = Client(gateway, [flow.subject], self.on_message)

    def on_message(self, client, _subject, _headers, payload):
        number = int(payload)
        if number in self.arrived:
            self.repeats += 1
            # To a client, once holds as long as its gateway lives; a volatile message never comes again.
            if self.came_on[number] == client.connection or not self.flow.durable:
                self.wrong(f"{number} twice")
            return
        if number < self.highest:
            self.wrong(f"{number} for the first time after {self.highest}")
        self.highest = max(self.highest, number)
        self.arrived[number] = time.monotonic()
        self.came_on[number] = client.connection

    def wrong(self, what):
        self.broken = self.broken or f"{self.gateway.name} got {self.flow.subject} {what}"


class Flow:
    """Sinks subscribe when it is made; `begin` sends. Every method belongs to one asyncio loop."""

    def __init__(self, name, source, sinks, durable=False, rate=RATE):
        self.name, self.source, self.durable, self.rate = name, source, durable, rate
        self.subject = f"{'orders' if durable else 'news'}.{name}"
        self.inbox = f"_INBOX.{self.subject}"
        self.sent_at = [0.0]  # by number; they begin at 1
        self.acked = {}  # number -> position
        self.refused = 0
        self.open = 0
        self.broken = None
        self.sender = None
        self.sinks = {gateway.name: Sink(self, gateway) for gateway in sinks}
        self.client = Client(source, [self.inbox + ".*"] if durable else [], self.on_answer, self.on_connect)

    async def ready(self):
        for client in self.clients():
            await asyncio.wait_for(client.ready.wait(), AGAIN_SECONDS_MAX)

    async def known(self):
        """Waits until the source knows its sinks: durable interest is on disk before others hear of it, so no PONG promises it."""
        for sink in self.sinks.values():
            await asyncio.to_thread(self.source.wait_target, sink.gateway, self.subject, AGAIN_SECONDS_MAX)

    def begin(self):
        self.sender = asyncio.create_task(self.send())

    def clients(self):
        return [self.client, *(sink.client for sink in self.sinks.values())]

    def on_connect(self):
        self.open = 0  # of the open ones nothing is claimed

    def on_answer(self, _client, subject, headers, payload):
        number = int(subject.rsplit(".", 1)[1])
        self.open = max(0, self.open - 1)
        if headers or b'"seq"' not in payload:
            self.refused += 1
        elif number in self.acked:
            self.broken = self.broken or f"{self.subject} {number} was acknowledged twice"
        else:
            self.acked[number] = json.loads(payload)["seq"]

    async def send(self):
        due = time.monotonic()
        while True:
            if self.client.ready.is_set() and self.open < UNACKED_MAX:
                number = len(self.sent_at)
                self.sent_at.append(time.monotonic())
                self.open += self.durable
                self.client.publish(self.subject, f"{self.inbox}.{number}" if self.durable else "", b"%d" % number)
            due = max(due + 1 / self.rate, time.monotonic() - 0.05)
            await asyncio.sleep(max(0, due - time.monotonic()))

    @property
    def sent(self):
        return len(self.sent_at) - 1

    def check(self):
        for one in (self, *self.sinks.values()):
            if one.broken:
                raise AssertionError(one.broken)
        for task in (self.sender, *(client.task for client in self.clients())):
            if task and task.done():
                task.result()
        positions = [position for _, position in sorted(self.acked.items())]
        if positions != sorted(set(positions)):
            raise AssertionError(f"{self.subject}: positions do not rise")

    async def passes(self, *names, seconds=AGAIN_SECONDS_MAX):
        """Waits until each sink (of these gateways; all) got a message that was sent after now; returns how long each took, by name.

        For a durable flow: until all that is acknowledged now is there, too.
        """
        began, first = time.monotonic(), self.sent + 1
        due = set(self.acked)
        sinks = [self.sinks[name] for name in names or self.sinks]
        while True:
            self.check()
            late = [sink for sink in sinks if sink.highest < first or not due <= sink.arrived.keys()]
            if not late:
                return {sink.gateway.name: min(at for number, at in sink.arrived.items() if number >= first) - began for sink in sinks}
            if time.monotonic() > began + seconds:
                raise AssertionError(self.describe(late[0], due, seconds))
            await asyncio.sleep(0.005)

    def describe(self, sink, due, seconds):
        text = f"{self.subject} has not got through to {sink.gateway.name} within {seconds} s: sent {self.sent}, highest arrived {sink.highest}"
        missing = sorted(due - sink.arrived.keys())
        if missing:
            text += (f"; {len(missing)} acknowledged ones are missing, numbers {missing[0]} to {missing[-1]}, "
                     f"positions {self.acked[missing[0]]} to {self.acked[missing[-1]]}")
        return text

    def lost(self, name):
        """Numbers that never came to this sink, of those up to the highest that did (and not before its first)."""
        arrived = self.sinks[name].arrived
        return [number for number in range(min(arrived), max(arrived) + 1) if number not in arrived] if arrived else []

    async def end(self, count=0):
        """Sends until `count` messages are out (acknowledged ones, of a durable flow), then waits until all that was acknowledged is everywhere."""
        deadline = time.monotonic() + AGAIN_SECONDS_MAX
        while (len(self.acked) if self.durable else self.sent) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        self.sender.cancel()
        while time.monotonic() < deadline:
            late = [sink for sink in self.sinks.values() if not self.acked.keys() <= sink.arrived.keys()]
            if not late and self.open == 0 or not self.durable:
                break
            await asyncio.sleep(0.005)
        else:
            raise AssertionError(f"{self.open} are not acknowledged; " + (self.describe(late[0], set(self.acked), AGAIN_SECONDS_MAX) if late else ""))
        for client in self.clients():
            client.close()
        for one in (self, *self.sinks.values()):
            if one.broken:
                raise AssertionError(one.broken)

    def close(self):
        if self.sender:
            self.sender.cancel()
        for client in self.clients():
            client.close()
