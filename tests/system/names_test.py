"""--join with names: all their addresses, SRV records, and names that change, in a network with a name server of its own."""

import json
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from servers import Gateway, Playground, ServerFailed, wait_until

NAME_SERVER = Path(__file__).with_name("name_server.py")


class Away(Gateway):
    """A gateway in the name server's network, where it listens on an address of its own at the default port."""

    def __init__(self, name, folder, network, address, **options):
        super().__init__(name, folder, **options)
        self.within = ["nsenter", "-m", "-n", "-t", str(network.pid)]
        self.tree_host, self.tree_port = address, 7522

    def status(self):
        run = subprocess.run([*self.within, self.binary, "tree", "status", "-s", self.url, "--json"], capture_output=True, text=True, timeout=10)
        if run.returncode != 0:
            raise ServerFailed(f"tree status at {self.name}: {run.stdout}{run.stderr}")
        return json.loads(run.stdout)


def can_have_a_network():
    """None, or why not."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
        return "needs root, unshare and nsenter"
    tried = subprocess.run(["unshare", "-mn", "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else tried.stderr.strip()


class Names(unittest.TestCase):
    def setUp(self):
        if why := can_have_a_network():
            self.skipTest(why)
        self.playground = Playground()
        self.addCleanup(self.playground.close)
        self.zone_file = self.playground.folder / "zone"
        self.zone({})
        self.network = subprocess.Popen(["unshare", "-mn", sys.executable, str(NAME_SERVER), str(self.zone_file)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_network)
        self.assertEqual("ready\n", self.network.stdout.readline())

    def end_network(self):
        self.network.kill()
        self.network.wait()
        self.network.stdout.close()

    def zone(self, records):
        fresh = self.zone_file.with_suffix(".new")
        fresh.write_text(json.dumps(records))
        fresh.rename(self.zone_file)

    def gateway(self, name, address, join=()):
        return self.playground.add(Away(name, self.playground.folder, self.network, address, join=join))

    def test_all_addresses_of_a_name_are_tried(self):
        self.zone({"A": {"tree.test": ["127.0.0.9", "127.0.0.8", "127.0.0.2"]}})
        a = self.gateway("a", "127.0.0.2").start()
        b = self.gateway("b", "127.0.0.3", ["tree.test:7522"]).start()
        self.playground.wait_members([a, b])
        self.assertIn("tree.test:7522 leads to", b.output())

    def test_srv_records_say_where_members_are_and_at_which_port(self):
        self.zone({"SRV": {"_treegate._tcp.tree.test": [[20, 0, 7777, "a.test"], [10, 5, 7522, "a.test"]]}, "A": {"a.test": ["127.0.0.2"], "tree.test": ["127.0.0.9"]}})
        a = self.gateway("a", "127.0.0.2").start()
        b = self.gateway("b", "127.0.0.3", ["tree.test"]).start()
        self.playground.wait_members([a, b])
        self.assertRegex(b.output(), r"tree.test leads to 127\.0\.0\.2:7522 127\.0\.0\.2:7777\n")

    def test_gateways_that_all_join_the_name_that_stands_for_them_are_one_tree(self):
        addresses = {"a": "127.0.0.2", "b": "127.0.0.3", "c": "127.0.0.4"}
        self.zone({"A": {"tree.test": list(addresses.values())}})
        row = [self.gateway(name, address, ["tree.test"]).start() for name, address in addresses.items()]
        self.playground.wait_members(row, 30)

    def test_a_name_that_leads_nowhere_is_told_and_looked_up_again(self):
        self.zone({})
        a = self.gateway("a", "127.0.0.2").start()
        b = self.gateway("b", "127.0.0.3", ["tree.test"]).start()
        b.wait_line(r"\[WRN\] tree: cannot find the gateways behind tree.test: \S+")
        self.zone({"A": {"tree.test": ["127.0.0.9"]}})
        b.wait_line(r"tree.test leads to 127\.0\.0\.9:7522", 30)
        self.zone({"A": {"tree.test": ["127.0.0.2"]}})
        self.playground.wait_members([a, b], 30)

    def test_a_gateway_whose_parent_is_replaced_at_another_address_finds_it_by_name(self):
        self.zone({"A": {"tree.test": ["127.0.0.2"]}})
        a = self.gateway("a", "127.0.0.2").start()
        b = self.gateway("b", "127.0.0.3", ["tree.test"]).start()
        self.playground.wait_members([a, b])
        a.kill()
        wait_until("b is alone", lambda: b.status()["members"] == ["b"])
        self.zone({"A": {"tree.test": ["127.0.0.5"]}})
        replaced = self.gateway("new", "127.0.0.5").start()
        self.playground.wait_members([replaced, b], 30)


if __name__ == "__main__":
    unittest.main()
