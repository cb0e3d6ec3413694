"""The applications of a soak: they write numbered messages or take them, all the time, and judge what they get as it comes.

A payload is `<number> <connection of the publisher> <bytes of padding> <padding>`. The rules, of README.md and DESIGN:

- volatile: nothing twice, in order per publisher, a queue group takes each message once at most;
- durable: what was acknowledged reaches everybody who was there, in order; to a client twice only across a crash of its gateway;
- an answer comes to who asked, once.
"""

import json
import random
import time

from client import Client

UNACKED_MAX = 300  # of a durable publisher; above it the publisher waits
REQUESTS_OPEN_MAX = 200
REQUEST_SECONDS = 20  # then it is lost
PADDING = random.Random(1).randbytes(1 << 17)
CHURN_SUBJECTS = 60
NEWS, ORDERS = "news", "orders"  # volatile and durable subjects begin so


class Broken(AssertionError):
    """A promise was broken."""


def padded(number, connection, size):
    start = number % 1000
    return b"%d %d %d " % (number, connection, size) + PADDING[start:start + size]


def unpadded(payload):
    """(number, connection); Broken if a byte of it is another than was sent."""
    number, connection, size, padding = payload.split(b" ", 3)
    number, size = int(number), int(size)
    if padding != PADDING[number % 1000:number % 1000 + size]:
        raise Broken(f"message {number} of {size} bytes came damaged")
    return number, int(connection)


class Marks:
    """A small number for each message number, a byte each; 0: none yet."""

    def __init__(self):
        self.bytes = bytearray()

    def __getitem__(self, number):
        return self.bytes[number] if number < len(self.bytes) else 0

    def __setitem__(self, number, mark):
        if number >= len(self.bytes):
            self.bytes.extend(bytes(number + 4096 - len(self.bytes)))
        self.bytes[number] = mark


class Judge:
    """An application at a gateway; `broken` says what was wrong first."""

    def __init__(self, name, gateway, filters):
        self.name, self.gateway, self.broken = name, gateway, None
        self.crashes = gateway.crashes
        self.client = Client(gateway, filters, self.on_message, self.on_connect, name)

    def on_connect(self):
        self.crashes = self.gateway.crashes

    def wrong(self, what):
        self.broken = self.broken or f"{self.name} at {self.gateway.name}: {what}"

    def check(self):
        if self.broken:
            raise Broken(self.broken)
        if self.client.task.done():
            self.client.task.result()

    def close(self):
        self.client.close()


class Publisher(Judge):
    """Sends to `<class>.<name>` at a pace; `send` is called often."""

    def __init__(self, name, gateway, durable, rate, rng):
        self.durable, self.rate, self.rng = durable, rate, rng
        self.subject = f"{ORDERS if durable else NEWS}.{name}"
        self.inbox = f"_INBOX.{self.subject}"
        self.sent = 0
        self.acked = {}  # number -> position, of those that are not known to have arrived everywhere
        self.answered = Marks()
        self.acks = self.last_position = self.refused = 0
        self.open = 0
        self.due = time.monotonic()
        super().__init__(f"{'orders' if durable else 'news'}-{name}", gateway, [self.inbox + ".*"] if durable else [])

    def on_connect(self):
        super().on_connect()
        self.open = 0  # whether the open ones were taken over is not known; nothing is claimed about them

    def on_message(self, _client, subject, headers, payload):
        number = int(subject.rsplit(".", 1)[1])
        self.open = max(0, self.open - 1)
        if headers or b'"seq"' not in payload:
            self.refused += 1
        elif self.answered[number]:
            self.wrong(f"{number} was acknowledged twice")
        else:
            self.acks += 1
            self.answered[number] = 1
            self.acked[number] = position = json.loads(payload)["seq"]
            if position <= self.last_position:
                self.wrong(f"position {position} of {number} was given after {self.last_position}")
            self.last_position = position

    def size(self):
        dice = self.rng.random()
        return self.rng.randrange(200) if dice < 0.93 else self.rng.randrange(8000) if dice < 0.995 else self.rng.randrange(len(PADDING) - 1000)

    def send(self, now):
        if not self.client.ready.is_set():
            self.due = now
            return
        if self.rng.random() < 0.0005:
            self.due -= self.rng.randrange(300) / self.rate  # a burst
        while self.due <= now and self.open < UNACKED_MAX:
            self.due += 1 / self.rate
            self.sent += 1
            self.open += self.durable
            self.client.publish(self.subject, f"{self.inbox}.{self.sent}" if self.durable else "", padded(self.sent, self.client.connection, self.size()))
        if self.open >= UNACKED_MAX:
            self.due = now


class Plain(Judge):
    """Takes all messages of one class."""

    def __init__(self, name, gateway, durable):
        self.durable = durable
        self.seen = {}  # publisher's subject -> Marks: 1 + crashes of the gateway when the connection was made that it came on first
        self.highest = {}  # publisher's subject (volatile: and its connection) -> number
        self.got = self.repeats = 0
        super().__init__(name, gateway, [f"{ORDERS if durable else NEWS}.>"])

    def on_message(self, _client, subject, _headers, payload):
        number, connection = unpadded(payload)
        seen = self.seen.setdefault(subject, Marks())
        if seen[number]:
            self.repeats += 1
            if not self.durable or self.gateway.crashes % 255 <= seen[number] - 1:
                self.wrong(f"{subject} {number} came twice")
            return
        lane = subject if self.durable else (subject, connection)
        if number < self.highest.get(lane, 0):
            self.wrong(f"{subject} {number} came for the first time after {self.highest[lane]}")
        self.highest[lane] = number
        seen[number] = 1 + self.crashes % 255
        self.got += 1

    def lacks(self, subject, numbers):
        seen = self.seen.get(subject, Marks())
        return [number for number in numbers if not seen[number]]


class Crew:
    """A queue group with members at several gateways."""

    def __init__(self, name, durable):
        self.name, self.durable = name, durable
        self.members = []
        self.taker = {}  # publisher's subject -> Marks: 1 + index of the member
        self.marks = {}  # publisher's subject -> Marks, as in Plain
        self.got = self.repeats = 0

    def hire(self, gateway):
        member = CrewMember(f"{self.name}-{len(self.members)}", gateway, self, len(self.members))
        self.members.append(member)
        return member

    def take(self, member, subject, number):
        taker, marks = self.taker.setdefault(subject, Marks()), self.marks.setdefault(subject, Marks())
        if taker[number]:
            self.repeats += 1
            first = self.members[taker[number] - 1]
            if not self.durable or first.gateway is not member.gateway or member.gateway.crashes % 255 <= marks[number] - 1:
                member.wrong(f"{subject} {number} came, which {first.name} at {first.gateway.name} had taken")
            return
        taker[number], marks[number] = 1 + member.index, 1 + member.crashes % 255
        self.got += 1

    def lacks(self, subject, numbers):
        taker = self.taker.get(subject, Marks())
        return [number for number in numbers if not taker[number]]


class CrewMember(Judge):
    def __init__(self, name, gateway, crew, index):
        self.crew, self.index = crew, index
        super().__init__(name, gateway, [f"{ORDERS if crew.durable else NEWS}.> {crew.name}"])

    def on_message(self, _client, subject, _headers, payload):
        number, _ = unpadded(payload)
        self.crew.take(self, subject, number)


class Service(Judge):
    """Answers what it is asked with the question, as one of a group."""

    def __init__(self, name, gateway):
        self.answered = 0
        super().__init__(name, gateway, ["service.echo workers"])

    def on_message(self, client, _subject, _headers, payload):
        if client.writer:
            client.publish(client.reply, "", payload)
            self.answered += 1


class Requester(Judge):
    """Asks, and moves to another gateway now and then with its inbox."""

    def __init__(self, name, gateway):
        self.inbox = f"_INBOX.{name}"
        self.asked = 0
        self.open = {}  # number -> when
        self.answers = self.nobody = self.lost = 0
        self.done = Marks()
        super().__init__(name, gateway, [self.inbox + ".*"])

    def on_message(self, _client, subject, headers, payload):
        number = int(subject.rsplit(".", 1)[1])
        if not headers and payload != b"%s %d" % (self.name.encode(), number):
            return self.wrong(f"the answer to {number} is {payload!r}")
        if self.done[number]:
            return self.wrong(f"a second answer to {number}: {headers + payload!r}")
        self.done[number] = 1
        self.open.pop(number, None)
        if headers:
            self.nobody += 1
        else:
            self.answers += 1

    def send(self, now):
        for number in [number for number, at in self.open.items() if now - at > REQUEST_SECONDS]:
            del self.open[number]
            self.lost += 1
        if self.client.ready.is_set() and len(self.open) < REQUESTS_OPEN_MAX:
            self.ask(now)

    def ask(self, now):
        self.asked += 1
        self.open[self.asked] = now
        self.client.publish("service.echo", f"{self.inbox}.{self.asked}", b"%s %d" % (self.name.encode(), self.asked))
        return self.asked

    def move(self, gateway):
        self.gateway = self.client.gateway = gateway
        if self.client.writer:
            self.client.writer.close()


class Churner(Judge):
    """Subscribes and unsubscribes all the time, both classes, and publishes where it and its like may listen."""

    def __init__(self, name, gateway, rng):
        self.rng = rng
        self.live = {}  # sid -> {subject (volatile: and the publisher's connection): highest number}; None: of a queue group, which may turn back
        self.sids = self.sent = self.got = 0
        super().__init__(name, gateway, [])

    def on_connect(self):
        super().on_connect()
        self.live = {}

    def on_message(self, client, subject, _headers, payload):
        self.got += 1
        number, connection = unpadded(payload)
        highest = self.live.get(client.sid)
        if highest is None:
            return  # or it was under way when its subscription ended
        durable = subject.startswith(ORDERS)
        lane = subject if durable else (subject, connection)
        if number <= highest.get(lane, 0) and not (durable and self.gateway.crashes > self.crashes):
            self.wrong(f"on subscription {client.sid} {subject} {number} came after {highest[lane]}")
        highest[lane] = number

    def send(self, _now):
        if not self.client.ready.is_set():
            return
        for _ in range(self.rng.randrange(4)):
            if len(self.live) < 20 and self.rng.random() < 0.6:
                self.sids += 1
                sid = f"c{self.sids}"
                subject = self.draw()
                self.live[sid] = None if " " in subject else {}
                self.client.writer.write(f"SUB {subject} {sid}\r\n".encode())
            elif self.live:
                sid = self.rng.choice(list(self.live))
                del self.live[sid]
                self.client.writer.write(f"UNSUB {sid}\r\n".encode())
        self.sent += 1
        subject = f"churn.{self.name}.{self.rng.randrange(CHURN_SUBJECTS)}"
        self.client.publish(subject, "", padded(self.sent, self.client.connection, self.rng.randrange(50)))

    def draw(self):
        """A durable one is never `orders.>`: who subscribes to that takes over what another, whose connection broke, had not got."""
        subject = self.rng.choices(["churn.>", f"{ORDERS}.*", f"churn.*.{self.rng.randrange(CHURN_SUBJECTS)}"], (1, 1, 8))[0]
        return subject + (f" some{self.rng.randrange(3)}" if self.rng.random() < 0.3 else "")
