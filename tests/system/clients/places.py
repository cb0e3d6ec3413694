"""Where a program of clients runs its scenarios: one server, a tree of 13 gateways, or stock leafnodes with their hub.

A place gives the URLs for a scenario, does to its servers what a program asks for, and makes them whole again afterwards.
"""

import signal
import subprocess

from servers import STOP_SECONDS_MAX, Gateway, ServerFailed, Stock, reserve_port
from spread import Spread

LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "200ms"\n'  # 30 s: stock takes no less; clients go one by one, at once
LEAVES = ("l11", "l22", "l33")  # of the tree: a branch of the root each


class StockThatReturns(Stock):
    """A stock server that keeps its port over a restart, and for itself meanwhile."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._reserved = reserve_port()
        self.config = self.config.replace('listen: "127.0.0.1:-1"', f'listen: "127.0.0.1:{self._reserved.getsockname()[1]}"', 1)

    def release(self):
        self._reserved.close()


class Place:
    """`first` is the server that is restarted or sent away, `other` where its clients then go."""

    one_by_one = False  # a program runs one scenario only
    cannot = ()  # scenarios that make no sense here
    restarts = ()  # all that a program's connections may be at

    def urls(self, _scenario):
        return ",".join(f"nats://{server.address}" for server in (self.first, self.other) if server)

    def do(self, what):
        if what == "restart":
            for server in self.restarts:
                if server.stop() != 0:
                    raise ServerFailed(f"{server.name} did not end with 0 after TERM")
            for server in self.restarts:
                server.start()
        elif what == "lame_duck":
            self.first.process.send_signal(signal.SIGUSR2)
        else:
            raise ServerFailed(f"asked for {what!r}")

    def after(self, scenario):
        """Returns what is wrong with the servers, if anything; those that have gone are back. Who was sent away ends by itself, with
        0, once its clients are gone."""
        trouble = ""
        if scenario == "lame_duck":
            try:
                code = self.first.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                code = f"nothing, within {STOP_SECONDS_MAX} s"
            if code != 0:
                trouble = f"the server ended with {code}"
                self.first.kill()
        for server in self.restarts:
            if not server.running():
                server.start()
        return trouble

    def tail(self):
        return "\n      ".join(f"{server.name}: {server.tail(3)}" for server in self.restarts)

    def close(self):
        """The servers belong to the playground."""


class OneServer(Place):
    """`name`: stock, or shards-N."""

    def __init__(self, playground, name, with_other):
        def make(role):
            if name == "stock":
                return playground.add(StockThatReturns(role, playground.folder, LAME_DUCK)).start()
            config = playground.folder / "config"
            config.write_text(LAME_DUCK)
            return playground.gateway(role, extra=["-c", config, "--shards", name.removeprefix("shards-")]).start()

        self.first, self.other = make("one"), make("other") if with_other else None
        self.restarts = [self.first]


class SpreadPlace(Place):
    """A program's connections are spread over several servers."""

    one_by_one = True
    cannot = ("max_payload",)  # about one server; and its last words may be lost between two sockets

    def __init__(self, servers):
        self.first, self.other = servers[:2]
        self.restarts = servers
        self.spread = Spread(servers)
        self.spread.settle_all()

    def urls(self, scenario):
        if scenario == "lame_duck":
            return super().urls(scenario)
        self.spread.begin()
        return f"nats://{self.spread.address}"

    def do(self, what):
        # Who comes back must not land at a server that is about to be restarted.
        self.spread.is_open = False
        super().do(what)
        self.spread.is_open = True

    def after(self, scenario):
        trouble = super().after(scenario)
        self.spread.settle_all()
        return trouble

    def close(self):
        self.spread.close()


class Tree(SpreadPlace):
    """Three levels of gateways, with 1, 2 and 4 event loops in turn; clients are at three leaves, four links from each other."""

    def __init__(self, playground):
        config = playground.folder / "config"
        config.write_text(LAME_DUCK)
        parents = {"root": None} | {f"m{i}": "root" for i in (1, 2, 3)} | {f"l{i}{j}": f"m{i}" for i in (1, 2, 3) for j in (1, 2, 3)}
        gateways = {}
        for number, (name, parent) in enumerate(parents.items()):
            gateway = Gateway(name, playground.folder, join=[gateways[parent]] if parent else [], extra=["-c", config, "--shards", str(1 << number % 3)])
            gateways[name] = playground.add(gateway).start()
        super().__init__([gateways[name] for name in LEAVES])


class LeafNodes(SpreadPlace):
    """Two stock leafnodes and the hub between them."""

    def __init__(self, playground):
        hub = playground.add(Stock("hub", playground.folder, "leafnodes { listen: \"127.0.0.1:-1\" }\n")).start()
        remote = f"leafnodes {{ reconnect: \"1s\", remotes: [{{ url: \"nats://127.0.0.1:{hub.leaf_port}\" }}] }}\n"
        super().__init__([playground.add(StockThatReturns(f"leaf{n}", playground.folder, LAME_DUCK + remote)).start() for n in (1, 2)])
