"""What the system tests do with nats-py, the official Python client, and with the load generator."""

import asyncio
import json
import subprocess
import sys

from servers import ROOT, WAIT_SECONDS_MAX

sys.path.insert(0, str(ROOT / "tests/system/clients/python"))

import settled  # noqa: E402

LOAD = ROOT / "build/dev/tests/bench/load"
LOAD_SECONDS_MAX = 180  # sanitizers, many gateways and a busy machine at once
EXAMPLES = ROOT / "build/dev/examples"
RECONNECT = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.05, "connect_timeout": 2}


async def quiet(_):
    """nats-py tells every lost connection; the tests lose them on purpose."""


async def connect(gateway, **options):
    """`servers`: where else it may go."""
    return await settled.connect(options.pop("servers", gateway.url), error_cb=quiet, **{**RECONNECT, **options})


class Collector:
    """A subscription that keeps what it got, in order."""

    def __init__(self):
        self.payloads = []
        self.messages = []

    async def _take(self, message):
        self.messages.append(message)
        self.payloads.append(message.data.decode(errors="replace"))

    @classmethod
    async def on(cls, client, subject, queue=""):
        self = cls()
        self.subscription = await client.subscribe(subject, queue=queue, cb=self._take, pending_msgs_limit=-1, pending_bytes_limit=-1)
        await client.flush()
        return self

    async def until(self, count, seconds=WAIT_SECONDS_MAX, linger=0.2):
        """Waits for `count` messages, then a little for what should not come; returns all payloads."""
        deadline = asyncio.get_running_loop().time() + seconds
        while len(self.payloads) < count and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        await asyncio.sleep(linger)
        return self.payloads


async def publish_acked(client, subject, payloads, group=100):
    """Publishes durable messages, `group` at a time, each waiting for its PubAck; returns the acks."""
    acks = []
    for first in range(0, len(payloads), group):
        answers = await asyncio.gather(*(client.request(subject, p.encode(), timeout=WAIT_SECONDS_MAX) for p in payloads[first:first + group]))
        acks += [json.loads(answer.data) for answer in answers]
    return acks


class Load:
    """The load generator, connected and warmed up; go() runs it to its end and returns what it verified."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([str(LOAD), *map(str, arguments), "--seconds-max", str(LOAD_SECONDS_MAX), "--wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise AssertionError("load: " + self.process.communicate()[1])

        self._count = arguments[arguments.index("--count") + 1]

    def begin(self):
        self.process.stdin.write(f"{self._count}\n")
        self.process.stdin.flush()

    def go(self):
        self.begin()
        line = self.process.stdout.readline()
        _, errors = self.process.communicate()
        if not line:
            raise AssertionError(errors)
        return json.loads(line)
