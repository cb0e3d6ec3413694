"""What a NATS application does, one function per scenario, with nats-py, the official Python client.

../README.md says what each scenario is. Each takes a Place, makes its own connections there, and raises AssertionError
(or the client's own error) when what it sees is not what NATS promises.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from nats.aio.subscription import Subscription
from nats.errors import MaxPayloadError, NoRespondersError
from settled import Client, connect

PATIENCE_SECONDS = 20


@dataclass
class Place:
    """Where to connect, who opens and closes the connections, and how to ask whoever runs the server for something."""

    url: str
    other_url: str
    open: contextlib.AsyncExitStack
    ask: Callable[[str], Awaitable[None]]

    async def connect(self, **options) -> Client:
        """One connection, closed when the scenario ends. It comes back within milliseconds when the server does."""
        options = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.05, "error_cb": ignore} | options
        client = await connect(options.pop("servers", self.url), **options)
        self.open.push_async_callback(client.close)
        return client


async def ignore(*_):
    """For events that a scenario brings about on purpose."""


def expect(expected, seen, what: str):
    if expected != seen:
        raise AssertionError(f"{what}: expected {shorten(expected)}, saw {shorten(seen)}")


def shorten(value) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


async def subscribe(client: Client, subject: str, queue: str = "") -> Subscription:
    """A subscription without a limit of its own, that the server knows of when this returns."""
    subscription = await client.subscribe(subject, queue, pending_msgs_limit=-1, pending_bytes_limit=-1)
    await client.flush()
    return subscription


async def take(subscription: Subscription, count: int) -> list[str]:
    """The next payloads, in order."""
    return [(await subscription.next_msg(PATIENCE_SECONDS)).data.decode() for _ in range(count)]


async def take_until(subscription: Subscription, last: str) -> list[str]:
    """The payloads up to this one."""
    payloads = []
    while not payloads or payloads[-1] != last:
        payloads += await take(subscription, 1)
    return payloads


async def publish_subscribe(place: Place):
    publisher, one, two = [await place.connect() for _ in range(3)]
    subscriptions = [await subscribe(client, "greet.joe") for client in (one, two)]
    await publisher.publish("greet.sue", b"not for joe")
    greetings = ["", *(f"hello {number}" for number in range(1, 10))]
    for greeting in greetings:
        await publisher.publish("greet.joe", greeting.encode())
    for subscription in subscriptions:
        expect(greetings, await take(subscription, len(greetings)), "greet.joe")


async def wildcards(place: Place):
    publisher, client = await place.connect(), await place.connect()
    expected = {"orders.*": ["2", "last"], "orders.>": ["2", "3", "last"], "*.new": ["2", "4", "last"]}
    subscriptions = {subject: await subscribe(client, subject) for subject in expected}
    for subject, payload in (("orders", "1"), ("orders.new", "2"), ("orders.new.eu", "3"), ("invoices.new", "4"), ("orders.new", "last")):
        await publisher.publish(subject, payload.encode())
    for subject, subscription in subscriptions.items():
        expect(expected[subject], await take_until(subscription, "last"), subject)


async def queue_groups(place: Place):
    count, shares = 2000, []
    publisher, everything = await place.connect(), await subscribe(await place.connect(), "work.*")
    complete = asyncio.Event()

    async def member():
        mine: list[str] = []
        shares.append(mine)

        async def work(message):
            mine.append(message.data.decode())
            if sum(map(len, shares)) == count:
                complete.set()

        client = await place.connect()
        await client.subscribe("work.*", "workers", work)
        await client.flush()

    for _ in range(4):
        await member()
    jobs = [str(number) for number in range(count)]
    for job in jobs:
        await publisher.publish("work.todo", job.encode())
    expect(jobs, await take(everything, count), "the plain subscriber")
    await asyncio.wait_for(complete.wait(), PATIENCE_SECONDS)
    expect(sorted(jobs), sorted(job for mine in shares for job in mine), "all members together")
    if not all(shares):
        raise AssertionError(f"members without any message: {[len(mine) for mine in shares]}")


async def request_reply(place: Place):
    service, client = await place.connect(), await place.connect()

    async def answer(message):
        await message.respond(b"re: " + message.data)

    await service.subscribe("service.echo", cb=answer)
    await service.flush()
    answers = await asyncio.gather(*(client.request("service.echo", b"%d" % number, PATIENCE_SECONDS) for number in range(500)))
    expect([b"re: %d" % number for number in range(500)], [message.data for message in answers], "answers")


async def headers(place: Place):
    """nats-py keeps one value per name, and the order of the names."""
    service, client = await place.connect(), await place.connect()

    async def answer(message):
        await service.publish(message.reply, message.data, headers={"Seen": ",".join(message.headers), "Color": message.headers["Color"]})

    await service.subscribe("paint", cb=answer)
    plain = await subscribe(client, "paint")
    await service.flush()
    sent = {"Shape": "round", "Color": "red, not green", "A-Third": "3"}
    reply = await client.request("paint", b"wall", PATIENCE_SECONDS, headers=sent)
    expect({"Seen": "Shape,Color,A-Third", "Color": "red, not green"}, reply.headers, "headers of the answer")
    expect(b"wall", reply.data, "payload of the answer")
    message = await plain.next_msg(PATIENCE_SECONDS)
    expect(list(sent.items()), list(message.headers.items()), "headers")
    await client.publish("paint", b"no headers", reply="nobody.listens")
    expect(None, (await plain.next_msg(PATIENCE_SECONDS)).headers, "headers of a message without")


async def no_responders(place: Place):
    client, service = await place.connect(), await place.connect()

    async def nobody_is_there():
        try:
            await client.request("nobody.home", b"?", PATIENCE_SECONDS)
        except NoRespondersError:
            return
        raise AssertionError("a request that nobody takes was answered")

    async def answer(message):
        await message.respond(b"here")

    await nobody_is_there()
    subscription = await service.subscribe("nobody.home", cb=answer)
    await service.flush()
    expect(b"here", (await client.request("nobody.home", b"?", PATIENCE_SECONDS)).data, "answer")
    await subscription.unsubscribe()
    await service.flush()
    await nobody_is_there()


async def max_payload(place: Place):
    client = await place.connect()
    subscription = await subscribe(client, "too.large")
    expect(1024 * 1024, client.max_payload, "max_payload of INFO")
    try:
        await client.publish("too.large", bytes(client.max_payload + 1))
    except MaxPayloadError:
        pass
    else:
        raise AssertionError("the client sent more than max_payload")
    await client.publish("too.large", b"small")
    expect(["small"], await take(subscription, 1), "what still went through")


async def drain(place: Place):
    publisher, client, other = [await place.connect() for _ in range(3)]
    numbers, handled = [str(number) for number in range(1000)], []

    async def handle(message):
        await asyncio.sleep(0)
        handled.append(message.data.decode())

    async def publish_all():
        for number in numbers:
            await publisher.publish("drain.in", number.encode())
        await publisher.flush()

    # A subscription: what the server had taken before is handled, what comes later is not for it.
    subscription = await client.subscribe("drain.in", cb=handle)
    await client.flush()
    await publish_all()
    await subscription.drain()
    await publisher.publish("drain.in", b"late")
    await publisher.flush()
    await client.flush()
    expect(numbers, handled, "the drained subscription")

    # A connection: what came in is handled, what was published goes out, and then it is closed.
    handled.clear()
    await client.subscribe("drain.in", cb=handle)
    results = await subscribe(other, "drain.out")
    await client.flush()
    await publish_all()
    for number in numbers:
        await client.publish("drain.out", number.encode())
    await client.drain()
    expect(numbers, handled, "the drained connection's subscription")
    expect(numbers, await take(results, len(numbers)), "what the drained connection had published")
    expect(True, client.is_closed, "closed after the drain")


async def reconnect_after_restart(place: Place):
    back = [asyncio.Event(), asyncio.Event()]

    def reconnected(event: asyncio.Event):
        async def tell():
            event.set()

        return tell

    subscriber, publisher = [await place.connect(reconnected_cb=reconnected(event)) for event in back]
    subscriptions = [await subscribe(subscriber, *subject) for subject in (("after.restart",), ("after.*",), ("after.>", "group"))]
    await publisher.publish("after.restart", b"before")
    for subscription in subscriptions:
        expect(["before"], await take(subscription, 1), f"{subscription.subject} before the restart")
    await place.ask("restart")
    for event in back:
        await asyncio.wait_for(event.wait(), PATIENCE_SECONDS)
    await subscriber.flush()
    numbers = [str(number) for number in range(100)]
    for number in numbers:
        await publisher.publish("after.restart", number.encode())
    for subscription in subscriptions:
        expect(numbers, await take(subscription, len(numbers)), f"{subscription.subject} after the restart")


async def ordered_100000(place: Place):
    publisher, client = await place.connect(), await place.connect()
    count, expected, complete = 100_000, 0, asyncio.get_running_loop().create_future()

    async def check(message):
        nonlocal expected
        if int(message.data) != expected and not complete.done():
            complete.set_exception(AssertionError(f"expected message {expected}, saw {message.data}"))
        expected += 1
        if expected == count and not complete.done():
            complete.set_result(None)

    await client.subscribe("count.up", cb=check, pending_msgs_limit=-1, pending_bytes_limit=-1)
    await client.flush()
    for number in range(count):
        await publisher.publish("count.up", b"%d" % number)
    await publisher.flush()
    await asyncio.wait_for(complete, PATIENCE_SECONDS)


async def auto_unsubscribe(place: Place):
    publisher, client = await place.connect(), await place.connect()
    first_three, later, end = [await subscribe(client, subject) for subject in ("few.wanted", "few.wanted", "few.end")]
    await first_three.unsubscribe(limit=3)
    await client.flush()
    for number in range(2):
        await publisher.publish("few.wanted", b"%d" % number)
    expect(["0", "1"], await take(later, 2), "before the limit was set")
    await later.unsubscribe(limit=5)  # counted from the start of the subscription
    await client.flush()
    for number in range(2, 10):
        await publisher.publish("few.wanted", b"%d" % number)
    await publisher.publish("few.end", b"end")
    await take(end, 1)
    expect(["0", "1", "2"], await take(first_three, 3), "limit of 3")
    expect(["2", "3", "4"], await take(later, 3), "limit of 5, two of them before")
    expect((0, 0), (first_three.pending_msgs, later.pending_msgs), "messages beyond the limits")


async def echo_off(place: Place):
    quiet, other = await place.connect(no_echo=True), await place.connect()
    mine, theirs = await subscribe(quiet, "echo.off"), await subscribe(other, "echo.off")
    await quiet.publish("echo.off", b"from the quiet one")
    await quiet.flush()
    await other.publish("echo.off", b"from the other")
    expect(["from the quiet one", "from the other"], await take(theirs, 2), "with echo")
    expect(["from the other"], await take(mine, 1), "without echo")


async def large_messages(place: Place):
    publisher, client = await place.connect(), await place.connect()
    subscription = await subscribe(client, "large")
    payloads = [random.Random(seed).randbytes(client.max_payload) for seed in range(4)]
    expect(1024 * 1024, len(payloads[0]), "bytes of a payload")
    for payload in payloads:
        await publisher.publish("large", payload)
    for number, payload in enumerate(payloads):
        message = await subscription.next_msg(PATIENCE_SECONDS)
        expect(True, message.data == payload, f"large message {number} is as it was sent")


async def many_subjects(place: Place):
    publisher, client, other = [await place.connect() for _ in range(3)]
    names = [f"many.{number}" for number in range(2000)]
    every, subscriptions = await subscribe(other, "many.*"), []
    for name in names:
        subscriptions.append(await client.subscribe(name))
    await client.flush()
    for name in names:
        await publisher.publish(name, name.encode())
    for name, subscription in zip(names, subscriptions):
        expect([name], await take(subscription, 1), name)
    expect(names, await take(every, len(names)), "many.*")


async def lame_duck(place: Place):
    """The server is about to leave: it says so, lets go of its clients a little later, and they go on at the other one."""
    told, moved = [asyncio.Event(), asyncio.Event()], [asyncio.Event(), asyncio.Event()]

    def sets(event: asyncio.Event):
        async def tell():
            event.set()

        return tell

    subscriber, publisher = [
        await place.connect(servers=[place.url, place.other_url], dont_randomize=True, lame_duck_mode_cb=sets(duck), reconnected_cb=sets(move))
        for duck, move in zip(told, moved)
    ]
    subscription = await subscribe(subscriber, "still.here")
    await place.ask("lame_duck")
    for event in told + moved:
        await asyncio.wait_for(event.wait(), PATIENCE_SECONDS)
    for client in (subscriber, publisher):
        expect(place.other_url, client.connected_url.geturl(), "where the client went")
        await client.flush()
    await publisher.publish("still.here", b"yes")
    expect(["yes"], await take(subscription, 1), "at the other server")


ALL = [publish_subscribe, wildcards, queue_groups, request_reply, headers, no_responders, max_payload, drain, reconnect_after_restart,
       ordered_100000, auto_unsubscribe, echo_off, large_messages, many_subjects, lame_duck]
