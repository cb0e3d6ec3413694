"""A NATS client that reconnects, small enough to know which connection each message came on and what was written to it.

The official clients hide both behind queues and buffers of their own; the system tests use them, the chaos rounds cannot.
"""

import asyncio

RETRY_SECONDS = 0.03


class Client:
    """Connects for ever to one gateway, subscribes anew each time, and hands every message to `on_message(client, subject, headers, payload)`.

    A filter is `subject` or `subject queue`; with a name its durable subscriptions find what they had not got before a connection broke.
    """

    def __init__(self, gateway, filters, on_message, on_connect=lambda: None, name=""):
        self.gateway, self.filters, self.on_message, self.on_connect, self.name = gateway, filters, on_message, on_connect, name
        self.sid, self.reply = "", ""  # of the message that is handed over
        self.connection = 0  # number of the current one, or of the next one while there is none
        self.ready = asyncio.Event()  # subscribed, as far as the gateway's PONG says
        self.writer = None
        self.task = asyncio.create_task(self.run())

    async def run(self):
        while True:
            try:
                await self.live()
            except (OSError, asyncio.IncompleteReadError):
                pass  # the gateway is gone; it comes back
            self.ready.clear()
            self.writer = None
            self.connection += 1
            await asyncio.sleep(RETRY_SECONDS)

    async def live(self):
        """One connection, to its end."""
        reader, self.writer = await asyncio.open_connection(self.gateway.host, self.gateway.port, limit=1 << 20)
        subscribe = "".join(f"SUB {subject} {sid}\r\n" for sid, subject in enumerate(self.filters, 1))
        self.writer.write(b'CONNECT {"verbose":false,"headers":true,"no_responders":true,"name":"%s"}\r\n' % self.name.encode() + subscribe.encode() + b"PING\r\n")
        while line := await reader.readline():
            words = line.split()
            verb = words[0] if words else b""
            if verb in (b"MSG", b"HMSG"):
                body = (await reader.readexactly(int(words[-1]) + 2))[:-2]
                head = int(words[-2]) if verb == b"HMSG" else 0
                self.sid = words[2].decode()
                self.reply = words[3].decode() if len(words) == (6 if head else 5) else ""
                self.on_message(self, words[1].decode(), body[:head], body[head:])
            elif verb == b"PONG":
                self.on_connect()
                self.ready.set()
            elif verb == b"PING":
                self.writer.write(b"PONG\r\n")
            elif verb == b"-ERR":
                raise AssertionError(f"{self.gateway.name} says {line!r}")

    def publish(self, subject, reply, payload):
        """Writes one message to the current connection; call it only while ready."""
        self.writer.write(b"PUB %s %s %d\r\n%s\r\n" % (subject.encode(), reply.encode(), len(payload), payload))

    def close(self):
        self.task.cancel()
        if self.writer:
            self.writer.close()
