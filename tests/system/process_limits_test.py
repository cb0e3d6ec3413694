"""What a gateway does with the limits that the system holds its process to: each lack is named, none kills it later."""

import json
import os
import resource
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from servers import SHARDS, TREEGATE, wait_until

NOBODY = 65534
SECONDS_MAX = 20


def limited(what, soft, hard=None):
    """Sets a limit in a process that is about to become a gateway."""
    return lambda: resource.setrlimit(what, (soft, soft if hard is None else hard))


class ProcessLimits(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="treegate-limits-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def command(self, *flags):
        return [str(TREEGATE), "-a", "127.0.0.1", "-p", "-1", *(["--shards", SHARDS] if SHARDS else []), *flags]

    def start(self, limit, *flags):
        """The process, which listens, and its port."""
        process = subprocess.Popen(self.command("--ports_file_dir", self.folder, *flags), stderr=subprocess.DEVNULL, preexec_fn=limit)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        ports = self.folder / f"treegate_{process.pid}.ports"
        wait_until("the ports file is there", ports.exists, SECONDS_MAX)
        return process, int(json.loads(ports.read_text())["nats"][0].rsplit(":", 1)[1])

    def refusal(self, limit, *flags, **options):
        run = subprocess.run(self.command(*flags), capture_output=True, text=True, timeout=SECONDS_MAX, preexec_fn=limit, **options)
        self.assertEqual(1, run.returncode, run.stderr)
        return run.stderr

    def answers(self, port):
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as client:
            client.sendall(b"PING\r\n")
            client.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: client.recv(65536), b"")).endswith(b"PONG\r\n")

    def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one_as_stock_does(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        process, _ = self.start(limited(resource.RLIMIT_NOFILE, 256, hard))
        self.assertEqual((hard, hard), resource.prlimit(process.pid, resource.RLIMIT_NOFILE))

    def test_too_few_open_files_are_named(self):
        for files in (12, 38):
            said = self.refusal(limited(resource.RLIMIT_NOFILE, files))
            self.assertIn(f"The limit of open files is {files}, but a gateway of this kind needs ", said)

    def test_just_enough_open_files_are_enough(self):
        needs = int(self.refusal(limited(resource.RLIMIT_NOFILE, 12)).split("of this kind needs ")[1].split()[0])
        _, port = self.start(limited(resource.RLIMIT_NOFILE, needs))
        self.assertTrue(self.answers(port))

    def test_a_log_file_that_may_not_grow_harms_nobody(self):
        bytes_max = 2048
        process, port = self.start(limited(resource.RLIMIT_FSIZE, bytes_max), "-DV", "-l", self.folder / "log")
        while (self.folder / "log").stat().st_size < bytes_max:
            self.assertTrue(self.answers(port))
        self.assertTrue(self.answers(port))
        self.assertIsNone(process.poll())

    @unittest.skipUnless(os.geteuid() == 0, "the limit of threads does not hold for root, and only root may become another")
    def test_too_few_threads_are_named(self):
        with open(TREEGATE, "rb") as binary:  # which the other user might not find by its path

            def become_nobody():
                resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)

            said = self.refusal(become_nobody, "--shards", "3", executable=f"/proc/self/fd/{binary.fileno()}", pass_fds=[binary.fileno()])
        self.assertIn("Error starting a thread: ", said)
        self.assertIn("ulimit -u", said)


if __name__ == "__main__":
    unittest.main()
