"""A network of its own with a name server, for one process tree: `unshare -mn python3 name_server.py ZONE`.

Brings loopback up, puts a resolv.conf that names this server in the place of the machine's, and answers on 127.0.0.1:53 from the
JSON file ZONE, which is read anew for each question: {"A": {name: [address..]}, "SRV": {name: [[priority, weight, port, target]..]}}.
Prints one line when it is ready. Others enter its network by `nsenter -m -n -t PID`. Needs root. Standard library only.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
import tempfile

SIOCSIFFLAGS, UP_AND_RUNNING = 0x8914, 0x41
MS_BIND, PR_SET_PDEATHSIG, SIGKILL = 4096, 1, 9
A, SRV, NO_SUCH_NAME = 1, 33, 3


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answer(question, zone):
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode())
        at += 1 + question[at]
    name, kind = ".".join(labels).lower(), struct.unpack(">H", question[at + 1:at + 3])[0]
    records = []
    if kind == A:
        records = [socket.inet_aton(address) for address in zone.get("A", {}).get(name, [])]
    elif kind == SRV:
        records = [struct.pack(">HHH", *numbers) + encode_name(target) for *numbers, target in zone.get("SRV", {}).get(name, [])]
    known = any(name in zone.get(each, {}) for each in ("A", "SRV"))
    head = question[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else NO_SUCH_NAME), 1, len(records), 0, 0)
    return head + question[12:at + 5] + b"".join(struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(record)) + record for record in records)


def main(zone_file):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(server, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", UP_AND_RUNNING))
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
        file.flush()
        place = os.path.realpath("/etc/resolv.conf")
        if libc.mount(file.name.encode(), place.encode(), None, MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"cannot put a file over {place}")
        server.bind(("127.0.0.1", 53))
        print("ready", flush=True)
        while True:
            question, client = server.recvfrom(1500)
            with open(zone_file, encoding="utf-8") as zone:
                server.sendto(answer(question, json.load(zone)), client)


if __name__ == "__main__":
    main(sys.argv[1])
