#!/usr/bin/env python3
"""Checks the repository against rules.py, and the rules against planted violations."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import rules

ROOT = Path(__file__).resolve().parents[2]


def problems_of(files):
    """What the rules say of a tree of these files: {path: text}."""
    with tempfile.TemporaryDirectory(prefix="treegate-tidy-") as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return rules.check(folder, readmes=False)


class TheRepository(unittest.TestCase):
    def test_keeps_the_rules_of_the_house(self):
        problems = rules.check(ROOT)
        self.assertEqual([], problems, "\n" + "\n".join(problems))


class PlantedViolations(unittest.TestCase):
    def assert_found(self, files, *words):
        problems = problems_of(files)
        self.assertEqual(1, len(problems), problems)
        for word in words:
            self.assertIn(word, problems[0])

    def assert_clean(self, files):
        self.assertEqual([], problems_of(files))

    def test_uv_outside_io(self):
        self.assert_found({"routing/router.cc": "#include <uv.h>\n"}, "routing/router.cc:1", "gateway/io")
        self.assert_found({"gateway/shard.cc": "#include <uv.h>\n"}, "gateway/shard.cc:1", "gateway/io")
        self.assert_clean({"gateway/io/event_loop.cc": "#include <uv.h>\n"})

    def test_rocksdb_outside_store(self):
        self.assert_found({"routing/queue/a.cc": "#include <rocksdb/db.h>\n"}, "gateway/store")
        self.assert_clean({"gateway/store/a.cc": "#include <rocksdb/db.h>\n"})

    def test_msgpack_outside_peer(self):
        self.assert_found({"routing/queue/a.cc": "#include <msgpack.h>\n"}, "routing/peer")
        self.assert_clean({"routing/peer/a.cc": "#include <msgpack.h>\n"})

    def test_nats_client_in_the_core_of_the_gateway(self):
        self.assert_found({"gateway/shard.cc": "#include <nats/nats.h>\n"}, "gateway/cli")
        self.assert_clean({"gateway/cli/a.cc": "#include <nats/nats.h>\n", "examples/q/a.c": "#include <nats/nats.h>\n"})

    def test_compat_and_routing_do_not_know_each_other(self):
        self.assert_found({"compat/a.cc": '#include "routing/router.h"\n', "routing/router.h": "#pragma once\n"}, "compat may not", "who routes")
        self.assert_found({"routing/a.cc": '#include "compat/p.h"\n', "compat/p.h": "#pragma once\n"}, "routing may not")
        self.assert_clean({"compat/a.cc": '#include "routing/base/bytes.h"\n', "routing/base/bytes.h": "#pragma once\n"})

    def test_queue_does_not_know_peer_but_node_knows_both(self):
        header = {"routing/peer/p.h": "#pragma once\n"}
        self.assert_found({"routing/queue/a.cc": '#include "routing/peer/p.h"\n', **header}, "routing/queue may not")
        self.assert_clean({"routing/node/a.cc": '#include "routing/peer/p.h"\n', **header})

    def test_the_product_does_not_include_tests(self):
        self.assert_found({"gateway/a.cc": '#include "tests/unit/b.h"\n', "tests/unit/b.h": "#pragma once\n"}, "not a header of a room")

    def test_include_that_is_not_from_the_root(self):
        self.assert_found({"compat/a.cc": '#include "p.h"\n', "compat/p.h": "#pragma once\n"}, "from the root")

    def test_unknown_library(self):
        self.assert_found({"gateway/a.cc": "#include <boost/asio.hpp>\n"}, "does not know")

    def test_system_and_threads_in_a_pure_room(self):
        self.assert_found({"compat/a.cc": "#include <sys/socket.h>\n"}, "pure")
        self.assert_found({"routing/a.cc": "#include <thread>\n"}, "pure")
        self.assert_clean({"gateway/a.cc": "#include <thread>\n#include <sys/socket.h>\n"})

    def test_clock_and_library_randomness_in_a_pure_room(self):
        self.assert_found({"routing/a.cc": "auto now = std::chrono::steady_clock::now();\n"}, "time is an argument")
        self.assert_found({"routing/a.cc": "std::shuffle(a, b, c);\n"}, "Prng")
        self.assert_clean({"routing/a.cc": "// steady_clock::now is not used\nconst char* a = \"printf\";\n"})

    def test_sleep_in_a_unit_test(self):
        self.assert_found({"tests/unit/io/a.cc": "std::this_thread::sleep_for(1s);\n"}, "does not sleep")

    def test_unfinished_work(self):
        self.assert_found({"compat/a.cc": "// TODO: later\n"}, "unfinished")

    def test_header_without_guard_and_endless_file(self):
        self.assert_found({"compat/a.h": "int a;\n"}, "#pragma once")
        self.assert_found({"compat/a.cc": "int a;\n" * (rules.LINES_MAX + 1)}, "one idea per file")

    def test_stranger_at_the_top_level(self):
        self.assert_found({"scripts/a.sh": "true\n"}, "scripts", "layout")

    def test_room_without_readme(self):
        self.assertTrue(any("compat/README.md" in p for p in rules.check_readmes(["compat/a.cc"])))


if __name__ == "__main__":
    unittest.main()
