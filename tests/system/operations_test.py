"""What an operator does to a running gateway, and what clients do to it that they should not. TREEGATE_SHARDS says with how many event loops."""

import collections
import re
import signal
import threading
import unittest

from raw import HELLO, Plain, Raw
from servers import Playground, wait_until


class Operations(unittest.TestCase):
    def setUp(self):
        self.playground = Playground("operations")
        self.addCleanup(self.playground.close)
        self.clients = []
        self.addCleanup(lambda: [client.close() for client in self.clients])

    def gateway(self, config="", **options):
        return self.playground.add(Plain("gateway", self.playground.folder, config, **options)).start()

    def client(self, gateway, **options):
        self.clients.append(Raw(gateway, **options))
        return self.clients[-1]

    # --- Limits.

    def test_one_connection_too_many_is_told_so_and_the_others_stay(self):
        gateway = self.gateway("max_connections: 3")
        inside = [self.client(gateway) for _ in range(3)]
        for _ in range(5):
            outside = self.client(gateway, hello=b"")
            self.assertEqual([b"-ERR 'maximum connections exceeded'"], outside.rest())
        self.assertEqual(5, len(re.findall(r"\[ERR\] 127\.0\.0\.1:\d+ - cid:\d+ - maximum connections exceeded", gateway.output())))
        for client in inside:
            client.flush()
        inside.pop().close()
        wait_until("the place is free again", lambda: self.gets_in(gateway))

    def gets_in(self, gateway):
        client = self.client(gateway, hello=b"")
        try:
            client.send(HELLO + b"PING\r\n")
        except ConnectionError:
            return False
        return client.line() == b"PONG"

    def test_with_no_connections_allowed_nobody_gets_in(self):
        gateway = self.gateway("max_connections: 0")
        self.assertEqual([b"-ERR 'maximum connections exceeded'"], self.client(gateway, hello=b"").rest())

    def test_a_client_that_never_reads_slows_nobody_and_is_cut(self):
        gateway = self.gateway('max_pending: 2m\nmax_payload: 1m\ndebug: true')
        stuck = self.client(gateway, receive_buffer=4096)
        stuck.send(b"SUB flood 1\r\n")
        stuck.flush()
        good, publisher = self.client(gateway), self.client(gateway)
        good.send(b"SUB flood 1\r\nSUB other 2\r\n")
        good.flush()
        body = b"x" * 60000
        for number in range(200):
            publisher.send(b"PUB flood %d\r\n%s\r\nPUB other 1\r\n1\r\n" % (len(body), body))
            self.assertEqual([b"MSG flood 1 60000", body, b"MSG other 2 1"], [good.line() for _ in range(3)], number)
            self.assertEqual(b"1", good.line())
        gateway.wait_line(r"\[INF\] \S+ - cid:1 - Slow Consumer Detected: MaxPending of 2000000 Exceeded")
        gateway.wait_line(r"\[DBG\] \S+ - cid:1 - Client connection closed: Slow Consumer \(Pending Bytes\)")

    def test_a_socket_that_takes_nothing_until_the_write_deadline_is_closed(self):
        gateway = self.gateway('write_deadline: "1s"\ndebug: true')
        stuck = self.client(gateway, receive_buffer=4096)
        stuck.send(b"SUB flood 1\r\n")
        stuck.flush()
        publisher = self.client(gateway)
        body = b"x" * 100000
        for _ in range(100):
            publisher.send(b"PUB flood %d\r\n%s\r\n" % (len(body), body))
        publisher.flush()
        gateway.wait_line(r"\[INF\] \S+ - cid:1 - Slow Consumer Detected: WriteDeadline of 1s exceeded with \d+ chunks of \d+ total bytes\.")
        gateway.wait_line(r"\[DBG\] \S+ - cid:1 - Client connection closed: Slow Consumer \(Write Deadline\)")
        publisher.flush()

    def test_garbage_gets_its_error_and_ends_its_connection_alone(self):
        gateway = self.gateway("ping_interval: \"1m\"")
        watcher = self.client(gateway)
        watcher.send(b"SUB > 1\r\n")
        watcher.flush()
        unknown = [b"-ERR 'Unknown Protocol Operation'"]
        for garbage, answer in ((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", unknown), (b"\x16\x03\x01\x02\x00\x01\x00", unknown), (b"\x00" * 4000, unknown),
                                (b"MSG a 1 1\r\nx\r\n", unknown), (b"PUB a 3\r\nabcdef\r\n", unknown), (b"PUB a b c d\r\n", []), (b"CONNECT [1]\r\n", []),
                                (b"PUB " + b"s" * 5000 + b" 1\r\n", [b"-ERR 'maximum control line exceeded'"]),
                                (b"PUB a 99999999\r\n", [b"-ERR 'Maximum Payload Violation'"])):
            for split in (len(garbage), 3):
                client = self.client(gateway, hello=b"")
                try:
                    for at in range(0, len(garbage), split):
                        client.send(garbage[at:at + split])
                except ConnectionError:
                    pass  # refused at its first wrong byte
                self.assertIn(client.rest(), (answer, []) if len(garbage) > 100 else (answer,), garbage[:20])
            publisher = self.client(gateway)
            publisher.send(b"PUB still.there 2\r\nok\r\n")
            self.assertEqual([b"MSG still.there 1 2", b"ok"], [watcher.line(), watcher.line()])
        self.assertTrue(gateway.running())

    def test_it_listens_on_ipv4_and_ipv6(self):
        gateway = self.gateway(host="::")
        six, four = self.client(gateway, host="::1"), self.client(gateway, host="127.0.0.1")
        four.send(b"SUB a 1\r\n")
        four.flush()
        six.send(b"PUB a 1\r\nx\r\n")
        self.assertEqual([b"MSG a 1 1", b"x"], [four.line(), four.line()])
        self.assertIn(b'"client_ip":"::1"', six.info)
        self.assertIn(b'"client_ip":"127.0.0.1"', four.info)
        only = self.playground.add(Plain("only-six", self.playground.folder, host="::1")).start()
        self.client(only)
        self.assertIn("[::1]:", only.output())

    # --- Shards.

    def test_a_queue_group_over_all_shards_shares_evenly_and_loses_nothing(self):
        gateway = self.gateway(shards=3)
        members = [self.client(gateway) for _ in range(6)]
        for member in members:
            member.send(b"SUB work.* crew 1\r\n")
            member.flush()
        publishers = [self.client(gateway) for _ in range(3)]
        each = 100_000 // len(publishers)
        took = collections.Counter()
        seen = set()

        def take(index):
            member = members[index]
            while True:
                head = member.line()
                if not head.startswith(b"MSG"):
                    if head == b"PONG":
                        return  # after its UNSUB: nothing more comes
                    continue
                took[index] += 1
                seen.add(member.line())

        def publish(index):
            for first in range(0, each, 1000):
                bodies = (b"%d.%d" % (index, number) for number in range(first, min(first + 1000, each)))
                publishers[index].send(b"".join(b"PUB work.%d %d\r\n%s\r\n" % (index, len(body), body) for body in bodies))
            publishers[index].flush()

        takers = [threading.Thread(target=take, args=(index,)) for index in range(len(members))]
        writers = [threading.Thread(target=publish, args=(index,)) for index in range(len(publishers))]
        for thread in takers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        for member in members:
            member.send(b"UNSUB 1\r\nPING\r\n")
        for thread in takers:
            thread.join()
        total = each * len(publishers)
        self.assertEqual(total, len(seen))
        self.assertEqual(total, sum(took.values()))
        for index in range(len(members)):
            self.assertAlmostEqual(1, took[index] * len(members) / total, delta=0.05)

    # --- The operator's commands.

    def test_lame_duck_mode_tells_clients_closes_them_one_by_one_and_ends(self):
        gateway = self.gateway('lame_duck_duration: "30s"\nlame_duck_grace_period: "300ms"')
        clients = [self.client(gateway) for _ in range(4)]
        old = self.client(gateway, hello=b'CONNECT {"verbose":false,"protocol":1}\r\n')
        gateway.process.send_signal(signal.SIGUSR2)
        for client in clients + [old]:
            self.assertIn(b'"ldm":true', client.line())
        gateway.process.send_signal(signal.SIGTERM)  # ignored meanwhile
        with self.assertRaises(OSError):
            self.client(gateway)
        clients[0].send(b"SUB a 1\r\nPUB a 1\r\nx\r\n")
        self.assertIn(clients[0].line(), (b"MSG a 1 1", b""))
        self.assertEqual(0, gateway.process.wait(30))
        for line in ('Trapped "user defined signal 2" signal', "Entering lame duck mode, stop accepting new clients", "Closing existing clients",
                     "Initiating Shutdown...", "Server Exiting.."):
            self.assertIn(line, gateway.output())

    def test_lame_duck_mode_without_clients_ends_at_once(self):
        gateway = self.gateway()
        gateway.process.send_signal(signal.SIGUSR2)
        self.assertEqual(0, gateway.process.wait(20))

    def test_reload_applies_limits_to_clients_that_are_there(self):
        gateway = self.gateway("max_connections: 10")
        clients = [self.client(gateway) for _ in range(4)]
        gateway.write('max_payload: 10\nmax_connections: 3\ndebug: true\nclient_advertise: "gw.example:4333"\nmappings: { a: b }')
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_line(r"\[INF\] Reloaded server configuration \(sha256:[0-9a-f]{64}\)")
        log = gateway.output()
        self.assertIn("[INF] Reloaded: max_payload = 10", log)
        self.assertIn("[INF] Closed 1 connections to fall within max_connections", log)
        closed, told = [], []
        for client in clients:
            line = client.line()
            (closed if line == b"-ERR 'maximum connections exceeded'" else told).append((client, line))
        self.assertEqual(1, len(closed))
        for client, line in told:
            self.assertIn(b'"host":"gw.example","port":4333', line)
        first, second = told[0][0], told[1][0]
        first.send(b"SUB b 1\r\n")
        first.flush()
        second.send(b"PUB a 2\r\nok\r\nPUB b 11\r\n")
        self.assertEqual([b"MSG b 1 2", b"ok"], [first.line(), first.line()])
        self.assertEqual([b"-ERR 'Maximum Payload Violation'"], second.rest())

    def test_a_reload_that_cannot_be_is_refused_as_a_whole(self):
        gateway = self.gateway("max_payload: 1000")
        client = self.client(gateway)
        for config, why in (("max_payload: 5\nserver_name: other", "config reload not supported for ServerName"),
                            ("max_payload: 5\nnonsense: 1", 'gateway.conf:2:1: unknown field "nonsense"')):
            gateway.write(config)
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_line(r"\[ERR\] Failed to reload server configuration: .*" + re.escape(why))
        client.send(b"SUB a 1\r\nPUB a 6\r\nabcdef\r\n")
        self.assertEqual([b"MSG a 1 6", b"abcdef"], [client.line(), client.line()])
        self.assertNotIn("Reloaded", gateway.output())

    def test_without_a_file_there_is_nothing_to_reload(self):
        gateway = self.playground.add(Plain("plain", self.playground.folder))
        gateway.command = lambda: [gateway.binary, "-a", "127.0.0.1", "-p", -1]
        gateway.start()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_line(r"\[ERR\] Failed to reload server configuration: can only reload config when a file is provided using -c or --config")

    def test_the_trace_shows_the_protocol_and_no_secrets(self):
        gateway = self.gateway(flags=["-DV"])
        client = self.client(gateway, hello=b"")
        client.send(b'CONNECT {"verbose":false,"user":"joe","pass":"s3cret","name":"app"}\r\nSUB foo 1\r\nPUB foo 2\r\nhi\r\n')
        client.flush()
        client.close()
        gateway.wait_line("Client connection closed: Client Closed")
        who = r"\[TRC\] 127\.0\.0\.1:\d+ - cid:1 - "
        named = who + r'"app" - "\$G/user:joe" - '
        for line in (who + r'<<- \[CONNECT \{"verbose":false,"user":"joe","pass":"\[REDACTED\]","name":"app"\}\]', named + r"<<- \[SUB foo 1\]",
                     named + r'<<- MSG_PAYLOAD: \["hi"\]', named + r"->> \[MSG foo 1 2\]", named + r'->> MSG_PAYLOAD: \["hi"\]', named + r"->> \[PONG\]"):
            self.assertRegex(gateway.output(), line)
        self.assertNotIn("s3cret", gateway.output())

    def test_term_gives_clients_their_last_bytes(self):
        gateway = self.gateway()
        reader, publisher = self.client(gateway), self.client(gateway)
        reader.send(b"SUB a 1\r\n")
        reader.flush()
        body = b"x" * 10000
        publisher.send(b"".join(b"PUB a %d\r\n%s\r\n" % (len(body), body) for _ in range(300)))
        publisher.flush()
        gateway.process.send_signal(signal.SIGTERM)
        self.assertEqual(300, sum(line == b"MSG a 1 10000" for line in reader.rest()))
        self.assertEqual(0, gateway.process.wait(20))


if __name__ == "__main__":
    unittest.main()
