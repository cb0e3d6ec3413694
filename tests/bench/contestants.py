"""One contestant in one cell: its servers, and one round of load at them."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))
from servers import ROOT, STOCK, Gateway, Playground, Server, ServerFailed, Stock, request
from readings import Reading, figures
from times import Times

LOAD = Path(os.environ.get("TREEGATE_LOAD", ROOT / "build/dev/tests/bench/load"))
COSTS = Path(os.environ.get("TREEGATE_COSTS", ROOT / "build/dev/tests/bench/tree/tree_costs"))
RELEASE = Path(os.environ.get("TREEGATE", ROOT / "build/release/gateway/treegate"))
RUN_SECONDS_MAX = 120
WARM_PART = 20  # one in so many messages comes before the measured ones
SERVER_CORE, LOAD_CORE = 0, 1  # of the pinned form
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


def on_core(core, command):
    return ["taskset", "-c", str(core), *command]


class Contestant:
    """An entry's servers in a cell's shape, under load."""

    def __init__(self, cell, entry, playground, binary, label, pinned):
        self.cell, self.entry, self.playground, self.binary, self.label, self.pinned = cell, entry, playground, binary, label, pinned
        self.servers = []
        self.load = None

    @property
    def measured(self):
        """The servers whose CPU counts."""
        if self.cell.shape != "chain":
            return self.servers[:1]
        return self.servers[1:2] if self.cell.measured == "middle" else self.servers[:-1]

    def start(self):
        self.servers = (self.stock_servers if self.entry.stock else self.gateways)()
        self.near, self.far = self.servers[0], self.servers[-1]

    def stop(self):
        if self.load:
            self.load.close()
            self.load = None
        for server in reversed(self.servers):
            server.kill()

    def add(self, server):
        if self.pinned:
            plain = server.command
            server.command = lambda: on_core(SERVER_CORE, plain())
        return self.playground.add(server).start()

    def stock_servers(self):
        def start(name, config):
            return self.add(Stock(f"{self.label}-{name}", self.playground.folder, config))

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
        folder, flags = self.playground.folder, ["--shards", self.entry.shards, *self.entry.flags]
        if self.cell.shape == "single" and not self.cell.durable:
            return [self.add(Alone(f"{self.label}-a", folder, self.binary, flags))]
        row = []
        for name in "abc" if self.cell.shape == "chain" else "a":
            durable = ["orders.>"] if self.cell.durable and not row else []
            row.append(self.add(Gateway(f"{self.label}-{name}", folder, join=row[-1:], durable=durable, extra=flags, binary=self.binary)))
        if len(row) > 1:
            Playground.wait_members(row)
        return row

    def run(self, count, number=0, counter=None):
        """One round: what the load generator saw, and what the measured server used. `counter` counts system calls meanwhile."""
        if self.cell.fresh:
            self.stop()
            self.start()
        if not self.cell.kind:
            return {"resident_mb": Reading(self.measured).resident_bytes / 1e6}
        if self.cell.hops:
            far = self.run_load(count, {}, counter)
            near = self.run_load(count, {"far-server": self.near.address}, None)
            return far | {"hop_us": (far["p50_us"] - near["p50_us"]) / (len(self.servers) - 1)}
        if not self.cell.twin:
            return self.run_load(count, {}, counter)
        each = {}
        for extra in ({}, self.cell.twin) if number % 2 == 0 else (self.cell.twin, {}):
            each[bool(extra)] = self.run_load(count, extra, counter)
        return each[True] | {"calm_us": each[False]["cpu_us"], "growth": each[True]["cpu_us"] / each[False]["cpu_us"]}

    def run_load(self, count, extra, counter):
        load = self.load or Load(self, self.load_flags(count, extra))
        if self.cell.one_load:
            self.load = load
        before = Reading(self.measured)
        if counter:
            with counter(self.measured[0].pid) as calls:
                seen = load.run(count)
            calls = calls.total
        else:
            seen, calls = load.run(count), None
        after = Reading(self.measured)
        if load is not self.load:
            load.close()
        return figures(before, after, seen, calls)

    def load_flags(self, count, extra):
        flags = dict(self.cell.stock_load if self.entry.stock and self.cell.stock_load else self.cell.load, **self.entry.load)
        flags |= {"warm": 0 if self.cell.fresh else max(1000, count // WARM_PART), "server": self.near.address, "seconds-max": RUN_SECONDS_MAX}
        if self.far is not self.near:
            flags["far-server"] = self.far.address
        return {name.replace("_", "-"): setting for name, setting in (flags | extra).items()}


class Core:
    """No servers: what tree_costs says of the tree's machines by themselves."""

    def __init__(self, cell, entry):
        self.cell, self.entry = cell, entry

    def start(self):
        pass

    stop = start

    def run(self, count, number=0, counter=None):
        flags = self.cell.load | self.entry.load
        command = [str(COSTS), flags.pop("what")]
        for name, setting in flags.items():
            command += [f"--{name}", str(int(setting))]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=RUN_SECONDS_MAX)
        if run.returncode != 0:
            raise ServerFailed(f"{' '.join(command)} ended with {run.returncode}")
        return json.loads(run.stdout)


def make_contestant(cell, entry, playground, binary, label, pinned):
    """Who takes part in the cell for this entry, with start(), run(count, number, counter) and stop()."""
    if cell.kind == "core":
        return Core(cell, entry)
    if cell.kind == "times":
        return Times(cell, entry, playground, binary, label)
    return Contestant(cell, entry, playground, binary, label, pinned)


class Load:
    """A running load generator that has become ready."""

    def __init__(self, contestant, flags):
        self.what = f"{contestant.cell.name} at {contestant.near.name}"
        command = [str(LOAD), contestant.cell.kind, "--wait"]
        for name, setting in flags.items():
            if setting is not False:
                command += [f"--{name}"] if setting is True else [f"--{name}", str(setting)]
        if contestant.pinned:
            command = on_core(LOAD_CORE, command)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline().strip() != "ready":
            self.close()
            raise ServerFailed(f"{self.what}: the load generator did not become ready")

    def run(self, count):
        """Runs that many messages; returns the load generator's JSON, which it prints when all are verified."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.close()
            raise ServerFailed(f"{self.what}: not verified")
        return json.loads(line)

    def close(self):
        """What is verified at the end is; ServerFailed when it was not so."""
        self.process.stdin.close()
        self.process.stdout.read()
        self.process.stdout.close()
        if self.process.wait() != 0:
            raise ServerFailed(f"{self.what}: the load generator ended with {self.process.returncode}")
