"""The part of the quickstart that one looks at; examples/quickstart builds what it needs and starts it.

Publishers use the official Python client (nats-py), subscribers the official C client (print_trace.c, count_orders.c).
"""

import asyncio
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
os.environ.setdefault("TREEGATE", str(ROOT / "build/release/gateway/treegate"))

import nats
from servers import Playground

PROGRAMS = ROOT / "build" / "examples"
ORDERS = 5000
GROUP = 50  # publishes that wait for their acks at the same time
PAUSE_SECONDS = 0.04  # between two groups, so that there is time to pull the rug
KILL_AT, RESTART_AT = ORDERS // 3, ORDERS * 2 // 3


def say(text=""):
    print(text, flush=True)


class Client:
    """One of the two C programs, subscribed."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen([str(PROGRAMS / program), *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"{program} could not subscribe")

    def result(self):
        """What it printed; waits until it ends."""
        text = self.process.communicate()[0]
        if self.process.returncode != 0:
            raise SystemExit(f"{self.process.args[0]} ended with {self.process.returncode}")
        return text


def start(playground):
    say("3. Three gateways in a row: each was given one address of another, its only way to the rest")
    row = playground.chain("abc", durable_at_first=["orders.>"])
    for gateway, joined in zip(row, ("--durable 'orders.>'", "--join a", "--join b")):
        say(f"     {gateway.name}  {gateway.url}  tree port {gateway.tree_port}  pid {gateway.pid}  {joined}")
    say("\n     publisher ──▶ a ══════ b ══════ c ──▶ subscriber\n")
    return row


async def show_event_path(a, c):
    say("4. A message from a to c, and the event path that it travelled by")
    receiver = Client("print_trace", c.url, "greetings.*")
    a.wait_target(c, "greetings.new")
    publisher = await nats.connect(a.url)
    await publisher.publish("greetings.new", b"hello from a", headers={"Tree-Trace": "1"})
    await publisher.flush()
    await publisher.close()
    lines = [line.split(" ", 1) for line in receiver.result().splitlines()]
    message, path = (next(text for label, text in lines if label == wanted) for wanted in ("message", "path"))
    hops = [(name, int(prime), int(exponent)) for name, prime, exponent in (text.split() for label, text in lines if label == "hop")]
    say(f'     received at c:    "{message}"')
    say(f"     event path:       {path}")
    meaning = {0: "the message came in here", 1: "passed through", 2: "delivered here"}
    for name, prime, exponent in hops:
        say(f"     hop {name}:            prime {prime}, exponent {exponent}: {meaning.get(exponent, 'handed over')}")
    product = math.prod(prime**exponent for _, prime, exponent in hops)
    number = int(path.split(" ", 1)[0])
    factors = " · ".join(f"{prime}^{exponent}" for _, prime, exponent in hops)
    say(f"     hops multiplied:  {factors} = {product}, {'the same number' if product == number else f'NOT {number}'}\n")
    return product == number and [name for name, _, _ in hops] == ["a", "b", "c"]


async def publish_orders(a, b):
    """Publishes numbered orders at a; b dies and comes back meanwhile. Returns how many were acknowledged."""
    publisher = await nats.connect(a.url)
    acked, killed = 0, False
    for first in range(1, ORDERS + 1, GROUP):
        if not killed and first > KILL_AT:
            say(f"     {first - 1:5} orders acknowledged: kill -9 of b (pid {b.pid})")
            b.kill()
            killed = True
        if killed and not b.running() and first > RESTART_AT:
            b.start()
            say(f"     {first - 1:5} orders acknowledged, the latest of them without b; b is started again (pid {b.pid})")
        group = [publisher.request("orders.new", b"order %d" % number, timeout=10) for number in range(first, min(first + GROUP, ORDERS + 1))]
        for answer in await asyncio.gather(*group):
            ack = json.loads(answer.data)
            if "error" in ack:
                raise SystemExit(f"an order was refused: {ack}")
            acked += 1
        await asyncio.sleep(PAUSE_SECONDS)
    await publisher.close()
    return acked


async def show_durable(a, b, c):
    say(f"5. {ORDERS} durable messages from a to c, while b is killed and started again")
    counter = Client("count_orders", c.url, "orders.>", ORDERS)
    a.wait_target(c, "orders.new")
    acked = await publish_orders(a, b)
    say(f"     {acked:5} orders acknowledged in all (each was on a's disk by then)")
    counted = json.loads(counter.result())
    say(f"     at c: {counted['received']} received, {counted['missing']} missing, {counted['duplicates']} twice, {counted['out_of_order']} out of order\n")
    return acked == counted["received"] == ORDERS and not counted["duplicates"] and not counted["out_of_order"]


def say_how_to_go_on(row, folder, keep):
    binary = Path(os.environ["TREEGATE"]).relative_to(ROOT) if Path(os.environ["TREEGATE"]).is_relative_to(ROOT) else os.environ["TREEGATE"]
    if keep:
        say("The three are still running:")
        for gateway in row:
            say(f"     {gateway.name}  {gateway.url}     {binary} tree status -s {gateway.url}")
        say(f"     to stop them:  kill {' '.join(str(gateway.pid) for gateway in row)}; rm -r {folder}\n")
    say("One gateway for yourself (a plain NATS server on port 4222):")
    say(f"     {binary}")
    say("Two that find each other, with orders that survive:")
    say(f"     {binary} --name here  --tree-listen :7522 --durable 'orders.>'")
    say(f"     {binary} --name there --port 4223 --tree-listen :7523 --join 127.0.0.1:7522")
    say(f"Everything it can do so far:  {binary} --help")


async def main(keep):
    began = time.monotonic()
    with Playground("treegate-quickstart", keep=keep) as playground:
        row = start(playground)
        a, b, c = row
        well = await show_event_path(a, c)
        well &= await show_durable(a, b, c)
        say(f"     {'All as promised' if well else 'NOT as promised'}, in {time.monotonic() - began:.0f} s.\n")
        say_how_to_go_on(row, playground.folder, keep)
    return 0 if well else 1


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--keep"]):
        raise SystemExit("examples/quickstart [--keep]")
    try:
        sys.exit(asyncio.run(main("--keep" in sys.argv)))
    except KeyboardInterrupt:
        sys.exit(130)
