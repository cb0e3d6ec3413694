"""One contestant in one cell: its servers, one round of load at them, and what can be read of them from outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
from servers import ROOT, STOCK, Gateway, Playground, Server, ServerFailed, Stock, request

LOAD = Path(os.environ.get("TREEGATE_LOAD", ROOT / "build/dev/tests/bench/load"))
RELEASE = Path(os.environ.get("TREEGATE", ROOT / "build/release/gateway/treegate"))
RUN_SECONDS_MAX = 120
STREAM = {"name": "BENCH", "subjects": ["orders.>"], "storage": "file", "retention": "limits", "discard": "old", "num_replicas": 1}


class Alone(Server):
    """A treegate that is a NATS server on its own: no tree, nothing kept on disk."""

    def __init__(self, name, folder, binary, flags):
        super().__init__(name, folder)
        self.binary, self.flags = binary, flags

    def command(self):
        return [self.binary, "--addr", "127.0.0.1", "--port", "-1", *self.flags]

    def start(self, *arguments):
        super().start(*arguments)
        self.address = "127.0.0.1:" + self.wait_line(r"Listening for client connections on \S+:(\d+)").group(1)
        return self


class Contestant:
    """An entry's servers in a cell's shape. `measured` is the one whose CPU counts."""

    def __init__(self, cell, entry, playground, binary, number):
        self.cell, self.entry, self.playground, self.binary = cell, entry, playground, binary
        self.label = f"{number}-{'stock' if entry.stock else 'treegate'}"
        self.servers = []

    def start(self):
        self.servers = (self.stock_servers if self.entry.stock else self.gateways)()
        self.near, self.far = self.servers[0], self.servers[-1]
        self.measured = self.servers[1 if self.cell.shape == "chain" else 0]

    def stop(self):
        for server in reversed(self.servers):
            server.kill()

    def stock_servers(self):
        def start(name, config):
            return self.playground.add(Stock(f"{self.label}-{name}", self.playground.folder, config)).start()

        if self.cell.shape == "chain":
            hub = start("b", 'leafnodes { listen: "127.0.0.1:-1" }\n')
            remote = f'leafnodes {{ remotes [ {{ url: "nats-leaf://127.0.0.1:{hub.leaf_port}" }} ] }}\n'
            return [start("a", remote), hub, start("c", remote)]
        if not self.cell.durable:
            return [start("a", "")]
        server = start("a", f'jetstream {{ store_dir: "{self.playground.folder}/{self.label}-js", sync_interval: always }}\n')
        answer = json.loads(request(server.address, "$JS.API.STREAM.CREATE.BENCH", json.dumps(STREAM).encode()))
        if "error" in answer:
            raise ServerFailed(f"the stream could not be made: {answer}")
        return [server]

    def gateways(self):
        folder, flags = self.playground.folder, ["--shards", "1", *self.entry.flags]
        if self.cell.shape == "single" and not self.cell.durable:
            return [self.playground.add(Alone(f"{self.label}-a", folder, self.binary, flags)).start()]
        row = []
        for name in "abc" if self.cell.shape == "chain" else "a":
            durable = ["orders.>"] if self.cell.durable and not row else []
            gateway = Gateway(f"{self.label}-{name}", folder, join=row[-1:], durable=durable, extra=flags, binary=self.binary)
            row.append(self.playground.add(gateway).start())
        if len(row) > 1:
            Playground.wait_members(row)
        return row

    def run(self, count):
        """One round: the metrics of the measured server, and what the load generator saw."""
        flags = dict(self.cell.stock_load if self.entry.stock and self.cell.stock_load else self.cell.load, **self.entry.load)
        flags |= {"count": count, "warm": max(1000, count // 20), "server": self.near.address, "wait": True, "seconds-max": RUN_SECONDS_MAX}
        if self.far is not self.near:
            flags["far-server"] = self.far.address
        with subprocess.Popen(command_line(self.cell.kind, flags), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            if load.stdout.readline().strip() != "ready":
                raise ServerFailed(f"{self.cell.name}: the load generator did not become ready at {self.near.name}")
            before = Reading(self.measured)
            load.stdin.write("go\n")
            load.stdin.flush()
            line = load.stdout.readline()
            after = Reading(self.measured)
            load.stdin.close()
            load.wait()
        if not line or load.returncode != 0:
            raise ServerFailed(f"{self.cell.name}: the run at {self.near.name} was not verified\n{self.measured.tail()}")
        return metrics(before, after, json.loads(line))


def command_line(kind, flags):
    command = [str(LOAD), kind]
    for name, value in flags.items():
        if value is not False:
            command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    return command


class Reading:
    """What a process has used so far."""

    def __init__(self, server):
        self.cpu_seconds = server.cpu_seconds()
        self.resident_bytes = server.resident_bytes()
        self.reads_writes = reads_writes(server.pid)


def reads_writes(pid):
    """Calls of read, write, readv and writev so far, all threads; None where the kernel does not count them."""
    try:
        lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return int(lines["syscr"]) + int(lines["syscw"])
    except (OSError, KeyError):
        return None


def metrics(before, after, seen):
    """The figures of one round; times in microseconds, per delivery (publish only: per message published)."""
    messages = seen["delivered"] or seen["published"]
    out = {
        "messages": messages,
        "cpu_us": (after.cpu_seconds - before.cpu_seconds) / messages * 1e6,
        "rate": messages / seen["seconds"],
        "load_share": seen["client_cpu_seconds"] / seen["seconds"],
        "server_share": (after.cpu_seconds - before.cpu_seconds) / seen["seconds"],
        "resident_mb": after.resident_bytes / 1e6,
    }
    if before.reads_writes is not None:
        out["reads_writes"] = (after.reads_writes - before.reads_writes) / messages * 1000
    if seen["max_us"]:
        out |= {key: seen[key] for key in ("p50_us", "p99_us", "max_us")}
    return out
