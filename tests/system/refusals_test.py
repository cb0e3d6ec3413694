"""What a gateway must refuse, and must survive."""

import asyncio
import random
import socket
import subprocess
import unittest

from clients import Collector, connect
from servers import Playground, wait_until


def throw_at(address, chunks):
    """Sends bytes to host:port and reads what comes until the peer closes or falls silent."""
    host, port = address.rsplit(":", 1)
    answer = b""
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.settimeout(0.5)
        try:
            for chunk in chunks:
                client.sendall(chunk)
            while True:
                piece = client.recv(65536)
                if not piece:
                    break
                answer += piece
        except OSError:
            pass  # reset by the peer, or silence: both are fine
    return answer


class Refusals(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.playground = Playground()
        self.addCleanup(self.playground.close)

    def ends_with_error(self, *arguments):
        binary = self.playground.gateway("unused").binary
        run = subprocess.run([str(binary), "--port", "-1", *arguments], capture_output=True, text=True, timeout=20, cwd=self.playground.folder)
        self.assertNotEqual(0, run.returncode, arguments)
        return run.stderr

    async def test_more_shards_than_there_can_be_are_refused(self):
        self.assertIn("shards", self.ends_with_error("--shards", "9"))

    async def test_unknown_flags_and_nonsense_are_one_clear_line(self):
        self.assertIn("--nonsense", self.ends_with_error("--nonsense"))
        self.assertIn("port", self.ends_with_error("--port", "70000"))

    async def test_a_random_port_with_a_tree_needs_a_data_dir(self):
        self.assertIn("data", self.ends_with_error("--tree-listen", "127.0.0.1:0"))

    async def test_a_gateway_of_another_tree_is_refused(self):
        a = self.playground.gateway("a").start()
        stranger = self.playground.gateway("stranger", join=[a], extra=["--tree-name", "elsewhere"]).start()
        await asyncio.to_thread(wait_until, "the refusal is logged", lambda: "elsewhere" in a.output() or "treegate" in stranger.output().split("ready", 1)[1])
        self.assertEqual(["a"], a.status()["members"])
        self.assertEqual(["stranger"], stranger.status()["members"])

    async def test_a_copied_identity_is_refused(self):
        a = self.playground.gateway("a").start()
        b = self.playground.gateway("b", join=[a]).start()
        await asyncio.to_thread(self.playground.wait_members, [a, b])
        clone = self.playground.gateway("clone", join=[a])
        (clone.folder / "data").mkdir()
        for name in ("identity", "identity.key", "key"):
            source = b.folder / "data" / name
            if source.is_file():
                (clone.folder / "data" / name).write_bytes(source.read_bytes())
        clone.start()
        self.assertEqual(b.status()["id"], clone.status()["id"], "the identity was copied")
        await asyncio.sleep(1)
        self.assertEqual(["a", "b"], sorted(a.status()["members"]))

    async def test_garbage_on_either_port_does_no_harm(self):
        a = self.playground.gateway("a").start()
        b = self.playground.gateway("b", join=[a]).start()
        await asyncio.to_thread(self.playground.wait_members, [a, b])
        seed = 20260101
        rng = random.Random(seed)
        shapes = [b"", b"\0" * 4096, b"\xff" * 64, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                  b"CONNECT {}\r\nPUB a 99999999999999999999\r\n", b"PUB a 5\r\nabc", b"SUB " + b"x" * 8000, b"CONNECT " + b"{" * 3000 + b"\r\n",
                  b"\xff\xff\xff\x7f\x01\x00\x00\x00", b"\x10\x00\x00\x00\x01\x00\x00\x00" + b"\xdf\xff\xff\xff\xff" * 3]
        shapes += [rng.randbytes(rng.randrange(1, 3000)) for _ in range(20)]
        for shape in shapes:
            for address in (a.address, a.tree_address):
                await asyncio.to_thread(throw_at, address, [shape[:7], shape[7:]])
        self.assertTrue(a.running(), f"a died of garbage, seed {seed}: {a.tail()}")
        got = await Collector.on(await self.make_client(b), "fine.*")
        await asyncio.to_thread(a.wait_target, b, "fine.x")
        await (await self.make_client(a)).publish("fine.x", b"yes")
        self.assertEqual(["yes"], await got.until(1))
        self.assertLess(a.resident_bytes(), 300 << 20)

    async def make_client(self, gateway):
        client = await connect(gateway)
        self.addAsyncCleanup(client.close)
        return client

    async def test_stock_errors_for_a_protocol_violation(self):
        a = self.playground.gateway("a").start()
        answer = await asyncio.to_thread(throw_at, a.address, [b"CONNECT {}\r\nFOO\r\n"])
        self.assertIn(b"-ERR 'Unknown Protocol Operation'", answer)


if __name__ == "__main__":
    unittest.main()
