"""Config file, reload, signals, log, pid and ports files, as those who start `nats-server` expect them."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import unittest

from servers import TREEGATE, Playground, Server, wait_until


class Configured(Server):
    """The gateway with a config file and flags, called by one of its names; its log is the file `log`."""

    def __init__(self, folder, config="", flags=(), program="nats-server", environment=None):
        super().__init__(program, folder)
        self.binary = TREEGATE.parent / program
        self.config_file, self.pid_file = self.folder / "conf", self.folder / "pid"
        self.flags = list(flags)
        self.environment = environment or {}
        self.write(config)

    def write(self, config):
        self.config_file.write_text(f'listen: "127.0.0.1:-1"\n{config}')

    def command(self):
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", *variables, self.binary, "-c", "conf", "-P", self.pid_file, "--ports_file_dir", self.folder, *self.flags]

    def tell(self, request):
        """`--signal`, always with a pid: without one it would look for every gateway of this machine."""
        assert "=" in request
        return run(self.binary, "--signal", request, cwd=self.folder)

    def reload(self, config):
        """Writes the config, reloads it, and returns what was logged about it."""
        before = len(self.output())
        self.write(config)
        self.process.send_signal(signal.SIGHUP)
        wait_until("the reload is logged", lambda: re.search(r"(Reloaded|Failed to reload) server configuration", self.output()[before:]))
        return self.output()[before:]

    def info(self):
        """What a new client is told."""
        address = self.wait_line(r"client connections on (\S+)").group(1)
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as client:
            return json.loads(client.makefile("rb").readline().split(b" ", 1)[1])


def run(*command, cwd):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30, cwd=cwd)


class ConfigTest(unittest.TestCase):
    def setUp(self):
        self.playground = Playground()
        self.addCleanup(self.playground.close)

    def server(self, *arguments, **options):
        return self.playground.add(Configured(self.playground.folder, *arguments, **options))

    # --- Without a start.

    def test_a_config_file_is_tested_under_either_name(self):
        file = self.playground.folder / "f"
        file.write_text("port: 4222\n")
        for program in ("treegate", "nats-server"):
            done = run(TREEGATE.parent / program, "-t", "-c", file, cwd=self.playground.folder)
            self.assertEqual((0, ""), (done.returncode, done.stdout))
            self.assertEqual(f"{program}: configuration file {file} is valid (sha256:797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e)\n", done.stderr)

    def test_all_that_is_wrong_with_a_config_is_told_at_once(self):
        (self.playground.folder / "f").write_text("port: x\nnope: 1\njetstream: true\n")
        for flags in (["-t"], []):
            done = run(TREEGATE, *flags, "-c", "f", cwd=self.playground.folder)
            self.assertEqual(1, done.returncode)
            self.assertEqual(["treegate: f:1:1: port must be an integer, not a string", 'treegate: f:2:1: unknown field "nope"',
                              'treegate: f:3:1: "jetstream" is known to nats-server, not supported yet'], done.stderr.splitlines())

    def test_as_nats_server_it_tells_a_version_that_clients_read(self):
        for word in ("-v", "--version", "version"):
            done = run(TREEGATE.parent / "nats-server", word, cwd=self.playground.folder)
            self.assertRegex(done.stdout, r"^nats-server: v2\.\d+\.\d+\n$")
            self.assertRegex(run(TREEGATE, word, cwd=self.playground.folder).stdout, r"^treegate: v\d+\.\d+\.\d+\n$")

    # --- What a start leaves for scripts.

    def test_pid_and_ports_files_are_those_of_nats_server(self):
        server = self.server().start()
        self.assertEqual(str(server.pid), server.pid_file.read_text())
        ports = server.folder / f"nats-server_{server.pid}.ports"
        address = server.wait_line(r".+\sclient connections on\s+(\S+)").group(1)
        self.assertEqual([f"nats://{address}"], json.loads(ports.read_text())["nats"])
        self.assertIn("Starting nats-server", server.output())
        self.assertRegex(server.output(), r"Using configuration file: conf \(sha256:[0-9a-f]{64}\)")
        self.assertEqual(0, server.stop())
        self.assertFalse(ports.exists())
        self.assertTrue(server.pid_file.exists())

    def test_flags_override_the_file_which_may_include_others_and_name_variables(self):
        server = self.server("server_name: file\ninclude 'more/limits'\nmax_control_line: $LINE", ["-n", "flag"], environment={"LINE": "2k"})
        (server.folder / "more").mkdir()
        (server.folder / "more" / "limits").write_text("max_payload: 9000\n")
        info = server.start().info()
        self.assertEqual(("flag", 9000), (info["server_name"], info["max_payload"]))

    # --- Signals.

    def test_signals_are_sent_by_pid_and_by_pid_file(self):
        for command, code in (("quit", 0), ("term", 0), ("ldm", 0), ("stop", -signal.SIGKILL)):
            server = self.server().start()
            target = server.pid if command == "quit" else server.pid_file
            done = server.tell(f"{command}={target}")
            self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))
            self.assertEqual(code, server.process.wait(30), command)

    def test_a_signal_that_cannot_be_sent_is_one_clear_line(self):
        server = self.server()
        for request, text in (("dance=1", 'nats-server: unknown signal "dance"'), ("quit=nobody", "nats-server: invalid pid: nobody"),
                              ("quit=1=2", "nats-server: invalid signal parameters: [2]")):
            done = server.tell(request)
            self.assertEqual((1, text), (done.returncode, done.stderr.strip()))

    # --- Reload.

    def test_a_reload_changes_what_may_change(self):
        server = self.server("max_payload: 1000\nserver_name: x").start()
        self.assertEqual(1000, server.info()["max_payload"])
        said = server.reload("max_payload: 2000\nserver_name: x\ndebug: true\nping_interval: '1m30s'\nmappings {a: b}")
        self.assertIn('Trapped "hangup" signal', said)
        for line in ("max_payload = 2000", "debug = true", "ping_interval = 1m30s", "accounts"):
            self.assertIn(f"[INF] Reloaded: {line}\n", said)
        self.assertRegex(said, r"Reloaded server configuration \(sha256:[0-9a-f]{64}\)")
        self.assertEqual(2000, server.info()["max_payload"])
        server.wait_line(r"\[DBG\].*Client connection created")

    def test_a_reload_is_refused_as_a_whole(self):
        server = self.server("max_payload: 1000\nserver_name: x").start()
        for config, why in (("max_payload: 3000\nserver_name: y", "config reload not supported for ServerName: old=x, new=y"),
                            ("max_payload: 3000\nserver_name: x\nmax_pending: 1mb", "config reload not supported for MaxPending"),
                            ("max_payload: 3000\nserver_name: x\nnope: 1", 'conf:4:1: unknown field "nope"'),
                            ("max_payload: 3000\nserver_name: x\nlog_file: '/nonexistent/log'", "cannot open the log file /nonexistent/log")):
            said = server.reload(config)
            self.assertRegex(said, r"\[ERR\] Failed to reload server configuration: .*" + re.escape(why))
            self.assertNotIn("Reloaded", said)
            self.assertEqual(1000, server.info()["max_payload"])
        self.assertIn("Reloaded: max_payload = 2000", server.reload("max_payload: 2000\nserver_name: x"))

    def test_flags_stay_over_the_file_in_a_reload(self):
        server = self.server("debug: false", ["-D"]).start()
        self.assertNotIn("debug", server.reload("debug: false\nserver_tags: a"))
        server.info()
        server.wait_line(r"\[DBG\].*Client connection created")

    def test_without_a_config_file_there_is_nothing_to_reload(self):
        server = self.server()
        server.command = lambda: [server.binary, "-a", "127.0.0.1", "-p", "-1"]
        server.start()
        server.process.send_signal(signal.SIGHUP)
        server.wait_line(r"Failed to reload server configuration: can only reload config when a file is provided using -c or --config")

    def test_pid_and_ports_files_may_move_in_a_reload(self):
        server = self.server()
        elsewhere = server.folder / "elsewhere"
        elsewhere.mkdir()
        server.command = lambda: [server.binary, "-c", "conf"]
        server.write(f'ports_file_dir: "{server.folder}"')
        server.start()
        name = f"nats-server_{server.pid}.ports"
        self.assertTrue((server.folder / name).exists())
        said = server.reload(f'ports_file_dir: "{elsewhere}"\npid_file: "{elsewhere}/pid"')
        self.assertIn(f"Reloaded: ports_file_dir = {elsewhere}", said)
        self.assertTrue((elsewhere / name).exists())
        self.assertFalse((server.folder / name).exists())
        self.assertEqual(str(server.pid), (elsewhere / "pid").read_text())

    # --- The log.

    def test_a_log_file_that_was_moved_is_opened_anew(self):
        server = self.server()
        log, old = server.folder / "nats.log", server.folder / "nats.old"
        server.flags = ["-l", log]
        server.wait_line = lambda pattern, seconds=30: wait_until(pattern, lambda: log.exists() and re.search(pattern, log.read_text()), seconds)
        server.start()
        log.rename(old)
        self.assertEqual(0, server.tell(f"reopen={server.pid_file}").returncode)
        server.wait_line(r"File log re-opened")
        self.assertIn("Server is ready", old.read_text())

    def test_a_log_file_rotates_and_old_ones_go(self):
        server = self.server("log_file: nats.log\nlogfile_size_limit: 2000\nlogfile_max_num: 3\ndebug: true")
        log = server.folder / "nats.log"

        def logged(pattern):
            for path in server.folder.glob("nats.log*"):
                with contextlib.suppress(FileNotFoundError):  # it was renamed or removed just now
                    if re.search(pattern, path.read_text()):
                        return True
            return False

        server.wait_line = lambda pattern, seconds=30: wait_until(pattern, lambda: logged(pattern), seconds)
        server.start()
        address = json.loads((server.folder / f"nats-server_{server.pid}.ports").read_text())["nats"][0]
        host, port = address.removeprefix("nats://").rsplit(":", 1)

        def rotated():
            with socket.create_connection((host, int(port)), timeout=10) as client:
                client.recv(1)
            return logged("Purged log file")

        wait_until("old logs are purged", rotated, 30)
        self.assertEqual(0, server.stop())
        backups = sorted(path.name for path in server.folder.glob("nats.log.*"))
        self.assertLessEqual(len(backups), 2)
        for name in backups:
            self.assertRegex(name, r"^nats\.log\.\d{4}(\.\d\d){5}\.\d{9}$")
        self.assertTrue(log.exists())

    def test_a_reload_moves_the_log(self):
        server = self.server().start()
        moved = server.folder / "moved.log"
        server.write(f'log_file: "{moved}"\nlogtime: false')
        os.kill(server.pid, signal.SIGHUP)
        wait_until("the new log is used", lambda: moved.exists() and "Reloaded server configuration" in moved.read_text())
        self.assertIn(f"[{server.pid}] [INF] Reloaded: log_file = {moved}\n", moved.read_text())
        self.assertNotIn("Reloaded:", server.output())


if __name__ == "__main__":
    unittest.main()
