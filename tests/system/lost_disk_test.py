"""A data directory that cannot be written any more costs a log line; the process lives and every link stays."""

import asyncio
import shutil
import unittest

from clients import Collector, connect
from servers import Playground


class LostDisk(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.playground = Playground()
        self.addCleanup(self.playground.close)

    async def test_a_data_dir_that_is_gone_is_logged_and_the_tree_goes_on(self):
        a, b = self.playground.chain("ab")
        data = b.folder / "data"
        shutil.rmtree(data)
        data.write_text("no folder any more")
        # A newcomer is one more address to keep.  (Nobody is there: it is only remembered.)
        c = await asyncio.to_thread(self.playground.gateway("c", join=[a], extra=["--tree-advertise", "127.0.0.1:9"]).start)
        await asyncio.to_thread(self.playground.wait_members, [a, b, c])
        await asyncio.to_thread(b.wait_line, rf"\[WRN\] Cannot keep the addresses of the tree's members in {data}: ")
        subscriber, publisher = await connect(b), await connect(c)
        self.addAsyncCleanup(subscriber.close)
        self.addAsyncCleanup(publisher.close)
        got = await Collector.on(subscriber, "still.*")
        await asyncio.to_thread(c.wait_target, b, "still.there")
        await publisher.publish("still.there", b"through")
        self.assertEqual(["through"], await got.until(1, linger=0.05))
        for gateway in (a, b, c):
            self.assertTrue(gateway.running())
            self.assertNotIn("link to", "\n".join(line for line in gateway.output().splitlines() if " ends: " in line))

    async def test_a_start_without_a_data_dir_that_can_be_written_says_so_and_ends(self):
        gateway = self.playground.gateway("a")
        (gateway.folder / "data").write_text("no folder")
        with self.assertRaisesRegex(Exception, "data"):
            await asyncio.to_thread(gateway.start)
        self.assertNotEqual(0, gateway.process.returncode)
