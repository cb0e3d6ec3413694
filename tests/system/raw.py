"""A NATS client that is nothing but its bytes, and a plain gateway with a config file, for tests of limits and of the operator's commands."""

import os
import socket

from servers import TREEGATE, Server

HELLO = b'CONNECT {"verbose":false,"pedantic":false,"protocol":1,"headers":true,"no_responders":true}\r\n'


class Raw:
    """One TCP connection. It reads only when it is asked to."""

    def __init__(self, server, hello=HELLO, host=None, receive_buffer=None):
        host = host or server.host
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect((host, server.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.socket.makefile("rb")
        self.info = self.line()
        if hello:
            self.send(hello)
            self.flush()
            assert self.line().startswith(b"INFO "), "the second INFO"

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line without its end, the server's PINGs left out (the first comes two seconds after CONNECT); b"" when the server has closed."""
        while True:
            try:
                line = self.stream.readline().rstrip(b"\r\n")
            except ConnectionError:
                return b""
            if line != b"PING":
                return line

    def flush(self):
        """PING and PONG; returns the lines that came before the PONG."""
        self.send(b"PING\r\n")
        return self.until(b"PONG")

    def until(self, wanted):
        """Reads up to the line `wanted`; returns the lines before it."""
        lines = []
        while (line := self.line()) != wanted:
            if not line and not self.stream.peek(1):
                raise AssertionError(f"closed before {wanted!r} came; before that: {lines[-3:]!r}")
            lines.append(line)
        return lines

    def rest(self):
        """Everything up to the end of the connection."""
        lines = []
        while line := self.line():
            lines.append(line)
        return lines

    def close(self):
        self.stream.close()
        self.socket.close()


class Plain(Server):
    """A treegate without a tree, from a config file that a test may write anew."""

    def __init__(self, name, folder, config="", flags=(), shards=None, host="127.0.0.1", binary=None):
        super().__init__(name, folder)
        self.binary = binary or TREEGATE
        self.flags, self.host, self.port = list(flags), host, 0
        self.shards = shards or int(os.environ.get("TREEGATE_SHARDS", 1))
        self.path = self.folder / "gateway.conf"
        self.write(config)

    def write(self, config):
        self.path.write_text(config)

    def command(self):
        return [self.binary, "-c", self.path, "-a", self.host, "-p", -1, "--shards", self.shards] + self.flags

    def ready(self, seconds=20):
        super().ready(seconds)
        self.port = int(self.wait_line(r"Listening for client connections on \S+:(\d+)").group(1))
        return self
