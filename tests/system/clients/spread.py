"""One address that leads to several places of a tree: the first connection of a program to the first place, the others to the
other places in turn. So a program that knows of one server only has its publisher here and its subscribers there.

A server's PONG promises that *this* server knows of a subscription and has taken a message. Whether others know of it, at any
tree, cluster or leafnode, is another matter. So after SUB and UNSUB, and where messages are followed by a PING or a request,
the spread asks for a PONG of its own, and lets nothing behind it through before every other place got a message that was
published here later: interest and messages go the same way in one order.
"""

import asyncio
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "chaos"))
from client import Client  # noqa: E402

PROBE = "spread.probe"
PROBE_AGAIN_SECONDS = 0.05
CHUNK_BYTES = 1 << 17
WITH_PAYLOAD = (b"PUB", b"HPU", b"MSG", b"HMS")
ABOUT_INTEREST = (b"SUB", b"UNS")


class Scanner:
    """Cuts a stream of NATS protocol into pieces of one line each, payloads apart."""

    def __init__(self):
        self.rest, self.payload = b"", 0

    def pieces(self, data):
        """(verb's first three letters, bytes) of all that is complete; the verb is None in a payload."""
        data, self.rest, at = self.rest + data, b"", 0
        while at < len(data):
            if self.payload:
                piece = data[at:at + self.payload]
                self.payload -= len(piece)
                at += len(piece)
                yield None, piece
                continue
            end = data.find(b"\n", at) + 1
            if not end:
                self.rest = data[at:]
                return
            line, at = data[at:end], end
            verb = line[:3].upper()
            if verb in WITH_PAYLOAD:
                self.payload = int(line.split()[-1]) + 2
            yield verb, line


class Spread:
    """Listens at `address`, on a thread of its own."""

    def __init__(self, servers):
        self.servers = servers
        self.connections = 0  # of the program at hand
        self.is_open = True  # else whoever connects is turned away
        self.probes = 0
        self.arrived = {}  # (from, to) -> newest probe
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self.open())

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def begin(self):
        """The next connection is a program's first."""
        self.connections = 0

    def settle_all(self, seconds=60):
        """Waits until messages get from every place to every other."""

        async def settle():
            await asyncio.wait_for(asyncio.gather(*(self.settle(place) for place in range(len(self.servers)))), seconds)

        self.call(settle())

    def close(self):
        async def end():
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    # ---- on its own thread ----

    async def open(self):
        self.monitors = [Client(server, [PROBE], self.listener(place)) for place, server in enumerate(self.servers)]
        server = await asyncio.start_server(self.carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def listener(self, place):
        def on_message(_client, _subject, _headers, payload):
            source, number = map(int, payload.split())
            self.arrived[source, place] = max(number, self.arrived.get((source, place), 0))

        return on_message

    async def settle(self, place):
        self.probes += 1
        number, others = self.probes, [other for other in range(len(self.servers)) if other != place]
        again = 0.0
        while any(self.arrived.get((place, other), 0) < number for other in others):
            now = self.loop.time()
            if now >= again and self.monitors[place].ready.is_set():
                self.monitors[place].publish(PROBE, "", b"%d %d" % (place, number))
                again = now + PROBE_AGAIN_SECONDS
            await asyncio.sleep(0.001)

    async def carry(self, reader, writer):
        if not self.is_open:
            return writer.transport.abort()
        turn, self.connections = self.connections, self.connections + 1
        place = 0 if turn == 0 else 1 + (turn - 1) % (len(self.servers) - 1)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.servers[place].port)
        except OSError:
            return writer.transport.abort()
        pings = []  # whose PONG is next: True: ours
        ways = [asyncio.create_task(self.up(reader, server_writer, pings)), asyncio.create_task(self.down(server_reader, writer, pings, place))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (server_writer, writer):
                end.close()

    @staticmethod
    async def up(reader, writer, pings):
        scanner = Scanner()
        told = sent = False  # since our last PING: something of interest, something published

        def ask(out):
            nonlocal told, sent
            out.append(b"PING\r\n")
            pings.append(True)
            told = sent = False

        while data := await reader.read(CHUNK_BYTES):
            out = []
            for verb, piece in scanner.pieces(data):
                if verb in ABOUT_INTEREST:
                    told = True
                elif verb is not None:
                    publishes = verb in WITH_PAYLOAD
                    expects = verb == b"PIN" or publishes and len(piece.split()) == (4 if verb == b"PUB" else 5)  # a PONG, or an answer
                    if told or sent and expects:
                        ask(out)
                    sent = sent or publishes and not expects
                    if verb == b"PIN":
                        pings.append(False)
                out.append(piece)
            if told and not scanner.payload:
                ask(out)
            writer.write(b"".join(out))
            await writer.drain()

    async def down(self, reader, writer, pings, place):
        scanner = Scanner()
        while data := await reader.read(CHUNK_BYTES):
            out = []
            for verb, piece in scanner.pieces(data):
                if verb == b"PON" and pings.pop(0):
                    writer.write(b"".join(out))
                    out = []
                    await self.settle(place)
                else:
                    out.append(piece)
            writer.write(b"".join(out))
            await writer.drain()
        # A server that closes has said why; that goes out first.
        await writer.drain()
