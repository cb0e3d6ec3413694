"""As many connections as the file limit lets one process have, half idle, half chatting; and what happens at the limit."""

import resource
import subprocess
import unittest

from raw import Plain, Raw
from servers import ROOT, Playground, wait_until

MANY_CLIENTS = ROOT / "build/dev/tests/scale/many_clients"
# Files that a gateway or a client needs for itself: log, listener, loops, store.
OWN_FILES = 100


class ManyClients:
    """The C++ program of tests/scale: one line in, one line out."""

    def __init__(self, gateway, count):
        self.process = subprocess.Popen([str(MANY_CLIENTS), str(gateway.port), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.open = self.answer("open")

    def answer(self, verb):
        words = self.process.stdout.readline().split()
        if not words or words[0] != verb:
            raise AssertionError(f"many_clients ended with {self.process.wait(10)}; its reason is above")
        return int(words[1])

    def ask(self, verb, number, answer=None):
        self.process.stdin.write(f"{verb} {number}\n")
        self.process.stdin.flush()
        return self.answer(answer or verb)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Scale(unittest.TestCase):
    def setUp(self):
        self.playground = Playground("scale")
        self.addCleanup(self.playground.close)

    def test_as_many_connections_as_the_file_limit_allows(self):
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        count = min(files, 28_000) - OWN_FILES  # and no more than there are ports to connect from
        gateway = self.playground.add(Plain("gateway", self.playground.folder, 'ping_interval: "10m"')).start()
        Raw(gateway).close()
        before, cpu = gateway.resident_bytes(), gateway.cpu_seconds()
        many = ManyClients(gateway, count)
        self.addCleanup(many.close)
        self.assertEqual(count, many.ask("wait", count, "open"))
        each = (gateway.resident_bytes() - before) / count
        accept = (gateway.cpu_seconds() - cpu) / count
        talkers = (count + 1) // 2
        self.assertEqual(talkers * 20, many.ask("chat", 20))
        self.assertEqual(talkers * 5, many.ask("chat", 5))
        after = (gateway.resident_bytes() - before) / count
        print(f"  {count} connections, {gateway.shards} shards: {each:.0f} bytes each when all are idle, {after:.0f} after half have talked; "
              f"{accept * 1e6:.0f} us of CPU to accept, greet and answer one", flush=True)
        self.assertEqual(count, many.ask("close", count, "closed"))
        Raw(gateway).close()
        self.assertNotIn("[ERR]", gateway.output())

    def test_at_the_file_limit_the_log_says_so_once_and_who_is_there_stays(self):
        gateway = Plain("gateway", self.playground.folder)
        plain = gateway.command
        gateway.command = lambda: ["prlimit", "--nofile=200:200"] + plain()
        self.playground.add(gateway).start()
        many = ManyClients(gateway, 300)
        self.addCleanup(many.close)
        gateway.wait_line(r"\[ERR\] .*too many open files", 60)
        many.ask("wait", 101, "open")
        self.assertGreater(many.ask("chat", 50), 2000)
        self.assertEqual(1, gateway.output().count("too many open files"))
        # Places that become free go to those who wait.
        inside = many.ask("wait", 101, "open")
        self.assertLess(inside, 200)
        self.assertEqual(50, many.ask("close", 50, "closed"))
        self.assertGreaterEqual(many.ask("wait", inside, "open"), inside)
        wait_until("it still serves", gateway.running)


if __name__ == "__main__":
    unittest.main()
