"""How long moves of the tree take, as two clients see them: one publishes a numbered message every millisecond, the other waits for them."""

import re
import select
import signal
import socket
import time

from servers import Gateway, Playground, ServerFailed, Stock

SECONDS_MAX = 60
PUBLISH_SECONDS = 0.001
READ_BYTES = 65536
MESSAGE = re.compile(rb"MSG moves 1 \d+\r\n(\d+)\r\n")


class Client:
    """A raw connection that has its PONG."""

    def __init__(self, server, lines=b""):
        host, port = server.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=SECONDS_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(b'CONNECT {"verbose":false,"protocol":1}\r\n' + lines + b"PING\r\n")
        while b"PONG\r\n" not in self.read():
            pass

    def read(self):
        got = self.socket.recv(READ_BYTES)
        if not got:
            raise ServerFailed("a client's connection was closed")
        if b"PING\r\n" in got:
            self.socket.sendall(b"PONG\r\n")
        return got


class Traffic:
    """From a publisher at `near` to a subscriber at `far`."""

    def __init__(self, far, near=None):
        self.subscriber = Client(far, b"SUB moves 1\r\n")
        self.publisher = Client(near) if near else None
        self.sent = 0
        self.rest = b""

    def publish(self):
        self.sent += 1
        text = b"%d" % self.sent
        self.publisher.socket.sendall(b"PUB moves %d\r\n%s\r\n" % (len(text), text))

    def arrivals(self):
        """The numbers that arrive within a millisecond."""
        if not select.select([self.subscriber.socket], [], [], PUBLISH_SECONDS)[0]:
            return []
        self.rest += self.subscriber.read()
        found = list(MESSAGE.finditer(self.rest))
        self.rest = self.rest[found[-1].end():] if found else self.rest
        return [int(message.group(1)) for message in found]

    def until_one_arrives(self):
        """Publishes until a message that was published from now on arrives; the longest time in seconds without any."""
        wanted, gap, last = self.sent + 1, 0.0, time.monotonic()
        deadline = last + SECONDS_MAX
        while True:
            self.publish()
            numbers = self.arrivals()
            now = time.monotonic()
            if numbers:
                gap, last = max(gap, now - last), now
                if max(numbers) >= wanted:
                    return gap
            if now > deadline:
                raise ServerFailed(f"nothing arrived for {SECONDS_MAX} s")

    def close(self):
        for client in (self.subscriber, self.publisher):
            if client:
                client.socket.close()


class Times:
    """An entry's servers for one move, new ones for each round."""

    def __init__(self, cell, entry, playground, binary, label):
        self.cell, self.entry, self.playground, self.binary, self.label = cell, entry, playground, binary, label
        self.servers = []
        self.rounds = 0

    def start(self):
        pass

    def stop(self):
        for server in reversed(self.servers):
            server.kill()
        self.servers = []

    def run(self, count, number=0, counter=None):
        self.rounds += 1
        return {"took_ms": getattr(self, self.cell.load["what"])() * 1000}

    def gateway(self, name, *join):
        server = Gateway(f"{self.label}-{self.rounds}-{name}", self.playground.folder, join=join, extra=["--shards", "1"], binary=self.binary)
        self.servers.append(self.playground.add(server).start())
        return server

    def stock(self, name, config):
        server = Stock(f"{self.label}-{self.rounds}-{name}", self.playground.folder, config)
        self.servers.append(self.playground.add(server).start())
        return server

    def hub(self, name, routes=()):
        peers = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
        return self.stock(name, f'leafnodes {{ listen: "127.0.0.1:-1" }}\ncluster {{ name: hubs, listen: "127.0.0.1:-1", routes: [{peers}] }}\n')

    def leaf(self, name, *hubs):
        urls = ", ".join(f'"nats-leaf://127.0.0.1:{hub.leaf_port}"' for hub in hubs)
        return self.stock(name, f"leafnodes {{ remotes [ {{ urls: [{urls}], no_randomize: true }} ] }}\n")

    def join(self):
        """From the start of a process with one address until a message of its client arrives at a client of the other."""
        first = self.hub("first") if self.entry.stock else self.gateway("first")
        traffic = Traffic(first)
        began = time.monotonic()
        second = self.leaf("second", first) if self.entry.stock else self.gateway("second", first)
        traffic.publisher = Client(second)
        traffic.until_one_arrives()
        took = time.monotonic() - began
        traffic.close()
        return took

    def without_parent(self, how):
        """The longest time without a message between two leaves when their parent ends; a third is there to go to."""
        if self.entry.stock:
            parent = self.hub("parent")
            other = self.hub("other", [parent.wait_line(r"Listening for route connections on \S+:(\d+)").group(1)])
            near, far = self.leaf("near", parent, other), self.leaf("far", parent, other)
        else:
            parent = self.gateway("parent")
            row = [parent, self.gateway("other", parent), self.gateway("near", parent), self.gateway("far", parent)]
            Playground.wait_members(row)
            near, far = row[2:]
        traffic = Traffic(far, near)
        traffic.until_one_arrives()
        parent.process.send_signal(how)
        gap = 0.0
        while parent.running():
            gap = max(gap, traffic.until_one_arrives())
        gap = max(gap, traffic.until_one_arrives())
        traffic.close()
        return gap

    def reroute(self):
        return self.without_parent(signal.SIGKILL)

    def leave(self):
        return self.without_parent(signal.SIGTERM)

    def merge(self):
        """Two trees that know nothing of each other: from the start of a gateway that is told one address in each."""
        one = self.gateway("one")
        one_child = self.gateway("one-child", one)
        two = self.gateway("two")
        two_child = self.gateway("two-child", two)
        Playground.wait_members([one, one_child])
        Playground.wait_members([two, two_child])
        traffic = Traffic(two, one)
        began = time.monotonic()
        self.gateway("between", one_child, two_child)
        traffic.until_one_arrives()
        took = time.monotonic() - began
        traffic.close()
        return took
