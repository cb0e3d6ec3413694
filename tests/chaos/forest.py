"""Trees of real gateways for a soak, and what befalls them: each fault ends by itself, and its gateway is `busy` until then."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system" / "tree"))

from grove import Grove, states_of, what_is_wrong  # noqa: F401 (for the soak)
from judges import Broken
from servers import NOBODY_HERE, ServerFailed
from wire import CONTROL, DURABLE, VOLATILE, Wire

LAME_DUCK = 'lame_duck_duration: "30s"\nlame_duck_grace_period: "100ms"\n'
LAME_DUCK_SECONDS_MAX = 90
DISK_BYTES = 96 << 20  # of the small disk
DUMP_KEEP = 30_000
DISK_TROUBLE = re.compile(r"store|No space|Cannot keep|disk", re.I)
BROKEN_RULE = re.compile(r"\[WRN\].* ends: ")  # one gateway says that another of its make broke the protocol
MOVE = re.compile(r"tree: .*(linked to| ends: |let go|lets? go|opened anew|pause)")  # costs what is in flight
NUMBERS = re.compile(r"[0-9a-f]{16,}|\d+(\.\d+)*")


class Forest:
    """Gateways, each reached by the others over a line of its own that can be cut."""

    def __init__(self, rng, folder_name, pause_max, debug):
        self.rng, self.pause_max = rng, pause_max
        self.grove = Grove(folder_name)
        self.config = self.grove.folder / "config"
        self.config.write_text(LAME_DUCK)
        # An address of a former member may be somebody else's by now, in another soak on this machine.
        self.extra = ["--tree-name", f"soak-{os.getpid()}", "--dump-keep", str(DUMP_KEEP), "-c", str(self.config)] + (["-D"] if debug else [])
        self.all = []  # also those that have left
        self.faults = Counter()
        self.warnings = Counter()
        self.moves = []  # lines of logs
        self.mounts = []
        self.rss_max = 0

    def add(self, shy=False, small_disk=False):
        """A gateway, not started yet, that joins one that is there. Shy: nobody can dial it."""
        there = [gateway for gateway in self.living() if not gateway.shy]
        wire = Wire()
        gateway = self.grove.gateway(f"g{len(self.all)}", join=[self.rng.choice(there).wire.address] if there else [], durable=["orders.>"],
                                     extra=[*self.extra, "--tree-advertise", NOBODY_HERE if shy else wire.address])
        gateway.wire, wire.target = wire, gateway
        gateway.shy = shy
        gateway.crashes = 0  # so often what it had not synced is lost
        gateway.busy = gateway.gone = gateway.elder = gateway.guest = False
        gateway.small_disk = small_disk and self.mount(gateway.folder / "data")
        gateway.read_to = 0  # of its log
        gateway.memory = []  # (seconds, bytes) of this process
        self.all.append(gateway)
        return gateway

    def mount(self, folder):
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            print(f"  no full disk: a small one cannot be mounted here: {done.stderr.strip()}", flush=True)
            return False
        self.mounts.append(folder)
        return True

    def close(self):
        for gateway in self.all:
            gateway.kill()
            gateway.wire.close()
        for folder in self.mounts:
            subprocess.run(["umount", "-l", folder], check=False)
        self.grove.close()

    def living(self):
        return [gateway for gateway in self.all if not gateway.gone]

    async def start(self, gateway):
        await asyncio.to_thread(gateway.start, 60)
        gateway.memory = []

    # ---- faults ----

    def crash(self, gateway):
        gateway.crashes += 1
        gateway.kill()

    async def kill(self, gateway):
        down = self.rng.choice([0, self.rng.uniform(0, 1), self.rng.uniform(0, 5)])
        self.crash(gateway)
        await asyncio.sleep(down)
        await self.start(gateway)

    async def kill_twice(self, gateway):
        """Again while it starts."""
        again = self.rng.uniform(0, 0.3)
        self.crash(gateway)
        await asyncio.to_thread(gateway.launch)
        await asyncio.sleep(again)
        self.crash(gateway)
        await self.start(gateway)

    async def term(self, gateway):
        down = self.rng.uniform(0, 3)
        await self.ended(gateway, await asyncio.to_thread(gateway.stop))
        await asyncio.sleep(down)
        await self.start(gateway)

    async def lame_duck(self, gateway):
        gateway.process.send_signal(signal.SIGUSR2)
        try:
            await self.ended(gateway, await asyncio.to_thread(gateway.process.wait, LAME_DUCK_SECONDS_MAX))
        except subprocess.TimeoutExpired:
            raise Broken(f"{gateway.name} has not ended {LAME_DUCK_SECONDS_MAX} s after USR2:\n{gateway.tail()}") from None
        await self.start(gateway)

    @staticmethod
    async def ended(gateway, code):
        if code != 0:
            raise Broken(f"{gateway.name} ended with {code} after it was told to end:\n{gateway.tail()}")

    async def pause(self, gateway):
        seconds = self.rng.choice([self.rng.uniform(0, 1), self.rng.uniform(0, 1) * self.pause_max])
        gateway.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        gateway.process.send_signal(signal.SIGCONT)

    async def line(self, gateway, begin, *arguments, seconds=6.0):
        seconds = self.rng.choice([self.rng.uniform(0, 1), self.rng.uniform(0, seconds)])
        try:
            await asyncio.to_thread(begin, *arguments)
        except AssertionError:
            return  # the lane is not open just now
        await asyncio.sleep(seconds)
        await asyncio.to_thread(gateway.wire.heal)

    async def cut(self, gateway):
        await self.line(gateway, gateway.wire.cut)

    async def silence(self, gateway):
        lanes = self.rng.choice([(), (VOLATILE,), (DURABLE,), (CONTROL,), (VOLATILE, DURABLE)])
        await self.line(gateway, gateway.wire.swallow, *lanes)

    async def silence_open(self, gateway):
        await self.line(gateway, gateway.wire.swallow_open, self.rng.choice([VOLATILE, DURABLE, CONTROL]))

    async def reset(self, gateway):
        await self.line(gateway, gateway.wire.reset, self.rng.choice([VOLATILE, DURABLE, CONTROL]), seconds=0.1)

    async def half_close(self, gateway):
        await self.line(gateway, gateway.wire.half_close, self.rng.random() < 0.5)

    async def break_at(self, gateway):
        """A cut, and then the first connections break at some byte."""
        gateway.wire.break_next([int(self.rng.choice([10, 300, 5000, 100_000]) * self.rng.random()) for _ in range(self.rng.randrange(1, 6))])
        await self.line(gateway, gateway.wire.cut, seconds=0.2)

    async def slow(self, gateway):
        gateway.wire.delay(self.rng.choice([0.02, 0.1, 0.4]) * self.rng.random())
        await asyncio.sleep(self.rng.uniform(1, 10))
        gateway.wire.delay(0)

    async def full_disk(self, gateway):
        if not gateway.small_disk:
            return
        seconds = self.rng.uniform(0.5, 8)
        gateway.crashes += 1  # its store is opened again from what was synced
        await asyncio.to_thread(self.fill, gateway.folder / "data" / "ballast-of-the-soak")
        await asyncio.sleep(seconds)
        (gateway.folder / "data" / "ballast-of-the-soak").unlink()
        gateway.crashes += 1

    @staticmethod
    def fill(path):
        with open(path, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    KINDS = {kill: 8, kill_twice: 2, term: 4, lame_duck: 1, pause: 5, cut: 4, silence: 4, silence_open: 2, reset: 3, half_close: 2, break_at: 2,
             slow: 3, full_disk: 3}
    ENDS_PROCESS = (kill, kill_twice, term, lame_duck)

    def draw(self):
        """(kind, gateway) of the next fault, or nothing if that gateway is busy."""
        kind = self.rng.choices(list(self.KINDS), self.KINDS.values())[0]
        able = [gateway for gateway in self.living() if kind is not Forest.full_disk or gateway.small_disk]
        able = [gateway for gateway in able if not (gateway.elder and kind in self.ENDS_PROCESS)]
        gateway = self.rng.choice(able) if able else None
        return None if gateway is None or gateway.busy else (kind, gateway)

    async def befall(self, kind, gateway):
        gateway.busy = True
        self.faults[kind.__name__] += 1
        try:
            await kind(self, gateway)
        finally:
            gateway.busy = False

    async def leave(self, gateway):
        """For good."""
        gateway.gone = True
        self.faults["leave"] += 1
        self.crash(gateway)
        await asyncio.to_thread(gateway.wire.cut)

    async def forget(self, gone):
        """An operator says that it will not come back; as soon as the rest has noticed that it is away."""
        teller = next(gateway for gateway in self.living() if gateway.running())
        deadline = time.monotonic() + 30
        while True:
            try:
                return await asyncio.to_thread(teller.ask, "tree", "forget", gone.name)
            except (ServerFailed, OSError, subprocess.TimeoutExpired) as problem:
                if "forgotten already" in str(problem) or "no gateway that" in str(problem):
                    return None
                if time.monotonic() > deadline:
                    raise Broken(f"{teller.name} does not forget {gone.name}: {problem}") from None
                await asyncio.sleep(0.3)

    # ---- what is looked at all the time ----

    def look(self, since):
        """Processes live, logs say nothing that was not to be expected; memory is noted. Call it while no fault is under way or at any time."""
        for gateway in self.all:
            self.read(gateway)
            if gateway.gone or gateway.busy:
                continue
            if not gateway.running():
                raise Broken(f"{gateway.name} {gateway.state()} by itself:\n{gateway.tail(60)}")
            resident = gateway.resident_bytes()
            self.rss_max = max(self.rss_max, resident)
            gateway.memory.append((time.monotonic() - since, resident))

    def read(self, gateway):
        """New lines of its log."""
        if not gateway.log.exists():
            return
        with open(gateway.log, "rb") as log:
            log.seek(gateway.read_to)
            text = log.read()
        text = text[:text.rfind(b"\n") + 1]
        gateway.read_to += len(text)
        for line in text.decode(errors="replace").splitlines():
            if MOVE.search(line):
                self.moves.append(f"{gateway.name}: {line}")
            if "[WRN]" in line or "[ERR]" in line or "[FTL]" in line:
                self.warnings[NUMBERS.sub("#", line.split("]", 2)[-1].strip() if line.startswith("[") else line)[:160]] += 1
            bad = "[ERR]" in line or "[FTL]" in line or BROKEN_RULE.search(line)
            if bad and not (gateway.small_disk and DISK_TROUBLE.search(line)):
                raise Broken(f"{gateway.name} logged: {line}")
            if "Sanitizer" in line or ": runtime error: " in line:
                raise Broken(f"{gateway.name}: {text.decode(errors='replace')[:4000]}")

    def keep_logs(self, to):
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        for gateway in self.all:
            if gateway.log.exists():
                shutil.copy(gateway.log, to / f"{gateway.name}.log")
