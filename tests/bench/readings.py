"""What can be read of a server from outside: CPU time, memory, system calls."""

import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

ATTACH_SECONDS_MAX = 10


class Reading:
    """What servers have used so far, added up."""

    def __init__(self, servers):
        self.cpu_seconds = sum(server.cpu_seconds() for server in servers)
        self.resident_bytes = sum(server.resident_bytes() for server in servers)
        calls = [reads_writes(server.pid) for server in servers]
        self.reads_writes = None if None in calls else sum(calls)


def reads_writes(pid):
    """Calls of read, write, readv and writev so far, all threads; None where the kernel does not count them."""
    try:
        lines = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return int(lines["syscr"]) + int(lines["syscw"])
    except (OSError, KeyError):
        return None


def figures(before, after, seen, calls):
    """The figures of one round. CPU in microseconds and system calls per delivery (publish only: per message published; requests: per
    request; connections and subscriptions: for each)."""
    count = seen["delivered"] or seen["published"]
    cpu = after.cpu_seconds - before.cpu_seconds
    out = {
        "count": count,
        "cpu_us": cpu / count * 1e6,
        "rate": count / seen["seconds"],
        "load_share": seen["client_cpu_seconds"] / seen["seconds"],
        "server_share": cpu / seen["seconds"],
        "resident_mb": after.resident_bytes / 1e6,
    }
    if seen["cell"] in ("connections", "subscriptions"):
        out["bytes_each"] = (after.resident_bytes - before.resident_bytes) / count
    if before.reads_writes is not None:
        out["reads_writes"] = (after.reads_writes - before.reads_writes) / count
    if calls is not None:
        out["syscalls"] = calls / count
    if seen["max_us"]:
        out |= {key: seen[key] for key in ("p50_us", "p99_us", "p999_us", "max_us")}
    if seen["churned"]:
        out["churned_rate"] = seen["churned"] / seen["seconds"]
    return out


class PerfCounter:
    """Counts all system calls of a process with `perf stat`; needs rights to trace points, costs the process little."""

    method = "perf stat -e raw_syscalls:sys_enter"

    @staticmethod
    def usable():
        return shutil.which("perf") and subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True).returncode == 0

    def __init__(self, pid):
        self.pid, self.total = pid, None

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        control, ack, self.out = (os.path.join(self.folder.name, name) for name in ("control", "ack", "out"))
        os.mkfifo(control)
        os.mkfifo(ack)
        self.process = subprocess.Popen(["perf", "stat", "-x,", "-o", self.out, "-D", "-1", "-e", "raw_syscalls:sys_enter", "-p", str(self.pid),
                                         "--control", f"fifo:{control},{ack}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends = [os.open(name, os.O_RDWR) for name in (control, ack)]
        os.write(ends[0], b"enable\n")
        select.select([ends[1]], [], [], ATTACH_SECONDS_MAX)
        for end in ends:
            os.close(end)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        numbers = re.findall(r"^(\d+),", Path(self.out).read_text(), re.M)
        self.total = int(numbers[0]) if numbers else None
        self.folder.cleanup()


class StraceCounter:
    """Counts all system calls of a process with `strace -c -f`, which slows it down: batches become larger and calls fewer."""

    method = "strace -c -f (slows the server: fewer, larger batches)"

    @staticmethod
    def usable():
        return shutil.which("strace") and subprocess.run(["strace", "-c", "true"], capture_output=True).returncode == 0

    def __init__(self, pid):
        self.pid, self.total = pid, None

    def __enter__(self):
        self.process = subprocess.Popen(["strace", "-c", "-f", "-p", str(self.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.process.stderr.readline()  # "Process N attached": from here on everything is counted
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        table = self.process.communicate()[1]
        total = re.search(r"^\s*100\.00\s+\S+\s+\d+\s+(\d+).*total$", table, re.M)
        self.total = int(total.group(1)) if total else None


def syscall_counter():
    """The class that counts system calls on this machine; None: there is no way."""
    return next((counter for counter in (PerfCounter, StraceCounter) if counter.usable()), None)
