"""Sites: network namespaces with a network between them, whose lines can be pulled. Needs root and `ip`, `unshare`, `nsenter`.

    site east ── 10.99.0.1 ─┐
    site west ── 10.99.0.2 ─┴─ a bridge: where gateways meet          every site also has 10.98.0.x, by which clients of
    ...                                                               the tests reach it even while it is cut off

All of it is in a network namespace of this process (so the machine's own network is not touched) and goes away with it.
"""

import ctypes
import os
import subprocess

from servers import _die_with_parent, wait_until

CLONE_NEWNET = 0x40000000
TREE, CLIENTS = "10.99.0", "10.98.0"


def ip(*words, site=None):
    within = ["nsenter", "-t", str(site.process.pid), "-n"] if site else []
    run = subprocess.run([*within, "ip", *map(str, words)], capture_output=True, text=True)
    if run.returncode:
        raise OSError(f"ip {' '.join(map(str, words))}: {run.stderr.strip()}")


def why_not():
    """Why there can be no sites here; empty: there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        subprocess.run(["unshare", "-n", "ip", "link", "add", "probe", "type", "veth", "peer", "name", "other"], check=True, capture_output=True, text=True)
    except FileNotFoundError as missing:
        return f"{missing.filename} is not installed"
    except subprocess.CalledProcessError as failure:
        return f"network namespaces are not permitted: {failure.stderr.strip()}"
    return ""


class Site:
    """One namespace. `place` is what Grove.gateway wants to know of it."""

    def __init__(self, name, number):
        self.name = name
        self.tree_host, self.host = f"{TREE}.{number}", f"{CLIENTS}.{number}"
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], preexec_fn=_die_with_parent)
        ours = os.readlink("/proc/self/ns/net")
        wait_until(f"the namespace of {name}", lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != ours)
        self.within = ["nsenter", "-t", str(self.process.pid), "-n", "--"]
        ip("link", "set", "lo", "up", site=self)
        for bridge, address in (("tree", self.tree_host), ("clients", self.host)):
            port = f"{bridge}{number}"
            ip("link", "add", port, "type", "veth", "peer", "name", bridge, "netns", self.process.pid)
            ip("link", "set", port, "master", bridge, "up")
            ip("addr", "add", f"{address}/24", "dev", bridge, site=self)
            ip("link", "set", bridge, "up", site=self)
        self.line = f"tree{number}"

    def cut(self):
        """Nothing gets in or out any more, and nobody is told."""
        ip("link", "set", self.line, "down")

    def heal(self):
        ip("link", "set", self.line, "up")

    def close(self):
        """The namespace goes with its last process, and its lines with it."""
        self.process.kill()
        self.process.wait()


class Network:
    """The bridges, in a namespace that this process moves into for good (so: a process for tests of sites alone)."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        ip("link", "set", "lo", "up")
        for bridge, net in (("tree", TREE), ("clients", CLIENTS)):
            ip("link", "add", bridge, "type", "bridge")
            ip("addr", "add", f"{net}.254/24", "dev", bridge)
            ip("link", "set", bridge, "up")
        self.sites = 0

    def site(self, name):
        self.sites += 1
        return Site(name, self.sites)
