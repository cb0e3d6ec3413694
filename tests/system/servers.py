"""Starts real servers on loopback with ports that the system chooses, finds out their ports, reads their CPU time, and
ends them by process id. Used by the system tests, the chaos rounds, the benchmark and the quickstart. Standard library only.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TREEGATE = Path(os.environ.get("TREEGATE", ROOT / "build/dev/gateway/treegate"))
SHARDS = os.environ.get("TREEGATE_SHARDS")  # event loops of every gateway; unset: the program's default
STOCK = Path(os.environ.get("TREEGATE_STOCK_SERVER", ROOT / "build/stock/nats-server"))
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 20
WAIT_SECONDS_MAX = 30  # for what is a matter of milliseconds, unless the machine is very busy
POLL_SECONDS = 0.005
NOBODY_HERE = "127.0.0.1:1"  # a tree address that cannot be dialled
PR_SET_PDEATHSIG = 1
SANITIZER = re.compile(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: )(.*\n?){1,25}")

_libc = ctypes.CDLL(None, use_errno=True)


class ServerFailed(RuntimeError):
    """A server ended, or did not say what was waited for; the text has the end of its log."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(what, condition, seconds=WAIT_SECONDS_MAX, pause=POLL_SECONDS):
    """Calls condition() until it returns something true, and returns that; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(pause)


class Server:
    """One server process with its folder and its log. start() may be called again after kill() or stop()."""

    def __init__(self, name, folder):
        self.name = name
        self.folder = Path(folder) / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"
        self.process = None
        self.outlives_us = False
        self._log_from = 0

    def command(self):
        raise NotImplementedError

    def start(self, seconds=START_SECONDS_MAX):
        self.launch()
        return self.ready(seconds)

    def launch(self):
        """The process, which dies with the thread that called this."""
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(part) for part in self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd=self.folder, start_new_session=self.outlives_us,
                                            preexec_fn=None if self.outlives_us else _die_with_parent)

    def ready(self, seconds=START_SECONDS_MAX):
        """Waits until it serves."""
        self.wait_line(r"Server is ready", seconds)
        return self

    def output(self):
        """What the current process has logged."""
        with open(self.log, "rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def wait_line(self, pattern, seconds=WAIT_SECONDS_MAX):
        """Waits until a line of the log of this process matches; returns the match."""
        deadline = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.output())
            if match:
                return match
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name} ended with {self.process.returncode} before it logged {pattern!r}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} did not log {pattern!r} within {seconds} s:\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def tail(self, lines=15):
        return "\n".join(self.output().splitlines()[-lines:])

    @property
    def pid(self):
        return self.process.pid

    def state(self):
        """In words, for reports."""
        return "not started" if self.process is None else "running" if self.running() else f"ended with {self.process.returncode}"

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9."""
        if self.running():
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def stop(self):
        """TERM; returns the exit code."""
        if self.running():
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise ServerFailed(f"{self.name} did not end within {STOP_SECONDS_MAX} s of TERM:\n{self.tail()}") from None

    def release(self):
        """It is not started again."""

    def cpu_seconds(self):
        """User and system time of the process so far, all its threads, to the nanosecond where the kernel has it."""
        nanoseconds = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            try:
                nanoseconds += int((task / "schedstat").read_text().split()[0])
            except (OSError, IndexError, ValueError):
                pass  # the thread ended meanwhile; the ticks below still have its time
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        tick = 1 / os.sysconf("SC_CLK_TCK")
        # The ticks also count threads that have ended; while they say no more than rounding, the finer clock is the better one.
        return nanoseconds * 1e-9 if ticks - nanoseconds * 1e-9 < 2 * tick else ticks

    def resident_bytes(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def reserve_port(host="127.0.0.1"):
    """A socket bound to a port that nobody else gets as long as it is open, but who asks for that very port, such as a server that
    dies and comes back there."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    return holder


class Gateway(Server):
    """A treegate. From the first start on it has its ports for itself, so that clients and neighbours find it again, and nobody else meanwhile."""

    host = tree_host = "127.0.0.1"  # where clients and where other gateways reach it
    within = ()  # the command that starts it somewhere else, such as in a network namespace

    def __init__(self, name, folder, join=(), durable=(), extra=(), binary=None):
        super().__init__(name, folder)
        self.binary = Path(binary or TREEGATE)
        self.join, self.durable, self.extra = list(join), list(durable), list(extra)
        self.port = self.tree_port = 0
        self._reserved = []

    def launch(self):
        if not self.port and not self.within:
            self._reserved = [reserve_port(self.host), reserve_port(self.tree_host)]
            self.port, self.tree_port = (holder.getsockname()[1] for holder in self._reserved)
        super().launch()

    def release(self):
        for holder in self._reserved:
            holder.close()

    def command(self):
        command = [*self.within, self.binary, "--addr", self.host, "--port", self.port or -1, "--name", self.name, "--data-dir", self.folder / "data",
                   "--tree-listen", f"{self.tree_host}:{self.tree_port}"]
        if SHARDS and "--shards" not in self.extra:
            command += ["--shards", SHARDS]
        for gateway in self.join:
            command += ["--join", gateway if isinstance(gateway, str) else gateway.tree_address]
        for subjects in self.durable:
            command += ["--durable", subjects]
        return command + self.extra

    def ready(self, seconds=START_SECONDS_MAX):
        super().ready(seconds)
        self.port = int(self.wait_line(r"Listening for client connections on \S+:(\d+)").group(1))
        self.tree_port = int(self.wait_line(r"Listening for tree \w+ on \S+:(\d+)").group(1))
        return self

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def url(self):
        return f"nats://{self.address}"

    @property
    def tree_address(self):
        return f"{self.tree_host}:{self.tree_port}"

    def ask(self, *words, seconds=WAIT_SECONDS_MAX):
        """Runs one of treegate's own subcommands against this gateway with --json; returns what it printed, parsed."""
        command = [str(self.binary), *words, "-s", self.url, "--json", "--timeout", f"{seconds}s"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=2 * seconds)
        if run.returncode != 0:
            raise ServerFailed(f"treegate {' '.join(words)} at {self.name} ended with {run.returncode}: {run.stdout}{run.stderr}")
        return json.loads(run.stdout)

    def status(self):
        """What `tree status --json` shows, without a process for it."""
        return json.loads(request(self.address, f"$TREE.REQ.{self.name}.tree.status"))

    def targets_of(self, subject):
        """Names of the gateways that a message published here to this subject may be delivered at, itself left out."""
        shown = self.ask("path", "show", subject)
        members = [member for group in shown["groups"] for member in group["members"]]
        return sorted({target["gateway"] for target in shown["targets"] + members} - {self.name})

    def wait_target(self, other, subject, seconds=WAIT_SECONDS_MAX):
        """Waits until this gateway knows that `other` wants the subject."""
        wait_until(f"{self.name} knows that {other.name} wants {subject}", lambda: other.name in self.targets_of(subject), seconds)

    def taken(self):
        """What the local queues here took: (origin, run, position) in that order, per filter."""
        return {queue["filter"]: [(r["origin"], r["run"], r["position"]) for r in queue["records"]]
                for queue in self.ask("queue", "dump", seconds=60)["queues"]}


class Stock(Server):
    """A stock nats-server with this config text; the ports are in its log."""

    host = "127.0.0.1"

    def __init__(self, name, folder, config="", binary=None):
        super().__init__(name, folder)
        self.binary = Path(binary or STOCK)
        self.config = f'server_name: "{name}"\nlisten: "127.0.0.1:-1"\n' + config
        self.port = self.leaf_port = 0

    def command(self):
        path = self.folder / "config"
        path.write_text(self.config)
        return [self.binary, "-c", path]

    def ready(self, seconds=START_SECONDS_MAX):
        super().ready(seconds)
        self.port = int(self.wait_line(r"Listening for client connections on \S+:(\d+)").group(1))
        leaf = re.search(r"Listening for leafnode connections on \S+:(\d+)", self.output())
        self.leaf_port = int(leaf.group(1)) if leaf else 0
        return self

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"


def request(address, subject, payload=b"", seconds=WAIT_SECONDS_MAX):
    """One request over a raw socket: the payload of the first answer."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=seconds) as client:
        stream = client.makefile("rb")
        client.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB _INBOX.harness 1\r\nPUB %s _INBOX.harness %d\r\n%s\r\n'
                       % (subject.encode(), len(payload), payload))
        while True:
            line = stream.readline()
            if line.startswith((b"MSG", b"HMSG")):
                words = line.split()
                body = stream.read(int(words[-1]) + 2)[:-2]
                if line.startswith(b"HMSG"):
                    raise ServerFailed(f"{subject}: {body[:int(words[-2])]!r}")
                return body
            if not line or line.startswith(b"-ERR"):
                raise ServerFailed(f"{subject}: {line!r}")


class Playground:
    """A temporary folder and the servers in it; leaving the with block ends them all and removes the folder."""

    def __init__(self, name="treegate-test", under=None, keep=False):
        self.folder = Path(tempfile.mkdtemp(prefix=name + "-", dir=under))
        self.servers = []
        self.keep = keep

    def add(self, server):
        server.outlives_us = self.keep
        self.servers.append(server)
        return server

    def gateway(self, name, **options):
        return self.add(Gateway(name, self.folder, **options))

    def stock(self, name, config=""):
        return self.add(Stock(name, self.folder, config))

    def chain(self, names="abc", durable_at_first=(), **options):
        """Gateways in a row, started: each joins the one before it, which is its only way to the others; each knows all of them."""
        row = []
        options["extra"] = ["--tree-advertise", NOBODY_HERE, *options.get("extra", ())]
        for name in names:
            row.append(self.gateway(name, join=row[-1:], durable=durable_at_first if not row else (), **options).start())
        self.wait_members(row)
        return row

    @staticmethod
    def wait_members(row, seconds=WAIT_SECONDS_MAX):
        names = sorted(gateway.name for gateway in row)
        for gateway in row:
            wait_until(f"{gateway.name} sees {names}", lambda g=gateway: sorted(g.status()["members"]) == names, seconds)

    def close(self):
        """Ends all. AssertionError if a sanitizer has found something in one of them, whether or not a test noticed."""
        if self.keep:
            return
        found = []
        for server in self.servers:
            server.kill()
            server.release()
            if server.log.exists() and (report := SANITIZER.search(server.log.read_text(errors="replace"))):
                found.append(f"{server.name}: {report.group()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        if found:
            raise AssertionError("\n".join(found))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
