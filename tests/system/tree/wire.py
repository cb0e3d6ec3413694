"""A line between two gateways that can be cut, be silent, be slow, break at any byte, die at one end only or spoil a word.

A gateway whose neighbours are to come over a Wire is started with `--tree-advertise wire.address`; neighbours `--join` that
address. The wire runs on a thread of its own; its methods may be called from any.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque

from servers import reserve_port

ALL = "all"
VOLATILE, DURABLE, CONTROL = "volatile", "durable", "control"  # routing/peer/lane.h
LANE_FRAME = 0x10  # routing/peer/peer_message.h: the first frame of a connection that is a data lane; HELLO begins the control lane
FRAME_HEADER_BYTES = 8
CHUNK_BYTES = 65536


class Wire:
    """Listens at `address`; every connection there is carried on to `target` (a gateway or host:port) as `set` says."""

    def __init__(self, target=None):
        self.target = target
        self.pairs = set()
        self.carrying = set()  # tasks; one that waits for ever would be taken for garbage
        self.is_cut = False
        self.silent = set()  # lanes on which nothing gets through
        self.seconds = 0.0  # each way
        self.breaks = deque()  # after how many bytes from the dialler the next connections are reset
        self.to_spoil = None  # a word, and what goes on in its place, once
        self.carried = 0  # connections
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._reserved = reserve_port()  # also while it is cut
        self.port = self._reserved.getsockname()[1]
        self._call(self._listen())

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def cut(self):
        """Resets what is open, refuses what comes."""
        self._call(self._cut())

    def heal(self):
        """As a good wire again. What was silent goes on where it stopped, if both ends still hold on to it."""
        self._call(self._heal())

    def swallow(self, *lanes):
        """Nothing gets through any more (on these lanes), and nobody is told."""
        self._call(self._swallow(set(lanes or (ALL,))))

    def swallow_open(self, *lanes):
        """As swallow, but only what is open now: a new connection gets through."""
        self._call(self._swallow_open(set(lanes)))

    def reset(self, *lanes):
        """Resets what is open of these lanes; a new connection gets through."""
        self._call(self._reset(set(lanes)))

    def delay(self, seconds):
        self.seconds = seconds

    def break_next(self, after):
        """The next connections are reset after so many bytes from the dialler, one number for each."""
        self.breaks.extend(after)

    def spoil_next(self, word, other):
        """The next time these bytes come by, either way, others of the same number go on; `to_spoil` is None then."""
        assert len(word) == len(other)
        self.to_spoil = (word, other)

    def half_close(self, far):
        """The connections that are open end on one side only (far: at the target), by a reset; the other side hears nothing."""
        self._call(self._half_close(far))

    def open_lanes(self):
        return sorted(pair.lane for pair in list(self.pairs) if pair.lane)

    def close(self):
        if not self.thread.is_alive():
            return
        self._call(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
        self._reserved.close()

    # ---- on the wire's own thread ----

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    async def _listen(self):
        self.server = await asyncio.start_server(self._carry, "127.0.0.1", self.port, reuse_address=True)

    async def _cut(self):
        self.is_cut = True
        self.server.close()
        for pair in list(self.pairs):
            pair.reset()

    async def _end(self):
        await self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _heal(self):
        self.silent = set()
        for pair in list(self.pairs):
            pair.may_pass.set()
        if self.is_cut:
            self.is_cut = False
            await self._listen()

    async def _swallow(self, lanes):
        self.silent = lanes
        for pair in list(self.pairs):
            pair.obey()

    async def _swallow_open(self, lanes):
        for pair in self._open(lanes):
            pair.silent_for_good = True
            pair.obey()

    async def _reset(self, lanes):
        for pair in self._open(lanes):
            pair.reset()

    def _open(self, lanes):
        found = [pair for pair in self.pairs if pair.lane in lanes]
        if {pair.lane for pair in found} != lanes:
            raise AssertionError(f"of the lanes {sorted(lanes)} only {sorted(pair.lane for pair in found)} are open")
        return found

    async def _half_close(self, far):
        for pair in list(self.pairs):
            pair.silent_for_good = True
            pair.obey()
            reset(pair.far if far else pair.near)

    async def _carry(self, reader, writer):
        self.carried += 1
        self.carrying.add(asyncio.current_task())
        target = self.target if isinstance(self.target, str) or self.target is None else self.target.tree_address
        try:
            host, port = target.rsplit(":", 1)
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except (OSError, AttributeError):  # nobody there (yet)
            self.carrying.discard(asyncio.current_task())
            return reset(writer)
        pair = Pair(self, writer, far_writer, self.breaks.popleft() if self.breaks else None)
        self.pairs.add(pair)
        try:
            if self.is_cut:
                return pair.reset()
            await asyncio.gather(pair.pump(reader, far_writer, True), pair.pump(far_reader, writer, False), return_exceptions=True)
        finally:
            self.pairs.discard(pair)
            self.carrying.discard(asyncio.current_task())
            pair.reset()


class Pair:
    """One connection and its continuation."""

    def __init__(self, wire, near, far, breaks_after):
        self.wire, self.near, self.far, self.breaks_after = wire, near, far, breaks_after
        self.lane, self.head = None, b""
        self.may_pass = asyncio.Event()
        self.silent_for_good = False
        self.obey()

    def obey(self):
        silent = self.silent_for_good or ALL in self.wire.silent or self.lane in self.wire.silent
        (self.may_pass.clear if silent else self.may_pass.set)()

    def reset(self):
        reset(self.near)
        reset(self.far)

    async def pump(self, reader, writer, from_dialler):
        """Carries one way, to the end."""
        queue = asyncio.Queue(64)
        sender = asyncio.create_task(self.send(queue, writer))
        try:
            await self.fill(queue, reader, from_dialler)
            await queue.put(None)
            await sender
            if not self.silent_for_good:
                writer.write_eof()
        except (OSError, RuntimeError):
            if not self.silent_for_good:
                self.reset()
        finally:
            sender.cancel()
        if self.silent_for_good:  # the other end hears of nothing until the wire is cut
            await asyncio.Event().wait()

    async def fill(self, queue, reader, from_dialler):
        while data := await reader.read(CHUNK_BYTES):
            if from_dialler:
                self.look(data)
            if self.wire.to_spoil and self.wire.to_spoil[0] in data:
                data = data.replace(*self.wire.to_spoil, 1)
                self.wire.to_spoil = None
            if from_dialler and self.breaks_after is not None:
                data = data[:self.breaks_after]
                self.breaks_after -= len(data)
            await queue.put((asyncio.get_running_loop().time() + self.wire.seconds, data))
            if self.breaks_after == 0:
                await queue.put(None)
                raise ConnectionResetError

    async def send(self, queue, writer):
        while (item := await queue.get()) is not None:
            due, data = item
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            await self.may_pass.wait()
            writer.write(data)
            await writer.drain()

    def look(self, data):
        """Finds out which lane it is."""
        if self.lane:
            return
        self.head += data
        if len(self.head) < FRAME_HEADER_BYTES:
            return
        length, kind = struct.unpack_from("<IB", self.head)
        if kind != LANE_FRAME:
            self.lane = CONTROL
        elif len(self.head) >= FRAME_HEADER_BYTES + length:
            self.lane = (VOLATILE, DURABLE)[self.head[FRAME_HEADER_BYTES + length - 1]]  # the body's last byte
        self.obey()


def reset(writer):
    """Ends the connection so that the other end sees a reset."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
