#!/usr/bin/env python3
"""What the rounds come to, from rounds whose result is known."""

import json
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import report
import tables
from cell import STOCK, TREEGATE, Cell, Entry, Target, under, value
from cells import CELLS
from contestants import ROOT
from measure import ratio_of, shortened, summarise
from readings import figures

OTHER = Entry("two", reference="treegate")


def rounds(**metrics):
    """rounds(cpu_us=[1, 2]) as a list of one dict per round."""
    return [dict(zip(metrics, each)) for each in zip(*metrics.values())]


def summary(cell, entries=(STOCK, TREEGATE), **each):
    return summarise(cell, entries, {entry.name: each[entry.name] for entry in entries}) | {"pinned": False}


def cell(*targets, **more):
    return Cell("a cell", "one", "pubsub", targets=targets, **more)


class Rounds(unittest.TestCase):
    def test_the_first_of_more_than_two_is_left_out_unless_servers_are_fresh(self):
        stock, ours = rounds(cpu_us=[99.0, 1.0, 2.0, 4.0]), rounds(cpu_us=[1.0, 0.5, 0.5, 0.5])
        self.assertEqual(2.0, summary(cell(), stock=stock, treegate=ours)["medians"]["stock"]["cpu_us"])
        self.assertEqual(3.0, summary(cell(fresh=True), stock=stock, treegate=ours)["medians"]["stock"]["cpu_us"])

    def test_a_ratio_is_the_median_of_the_ratios_of_each_round(self):
        # Medians alone would say 2/2.
        ratio = ratio_of(summary(cell(), stock=rounds(cpu_us=[1.0, 1.0, 2.0, 3.0]), treegate=rounds(cpu_us=[1.0, 2.0, 6.0, 1.5])), "treegate")
        self.assertEqual((2.0, 0.5, 3.0), (ratio["median"], ratio["least"], ratio["most"]))

    def test_a_contestant_is_compared_with_its_own_reference(self):
        result = summary(cell(), (STOCK, TREEGATE, OTHER), stock=rounds(cpu_us=[8.0]), treegate=rounds(cpu_us=[2.0]), two=rounds(cpu_us=[3.0]))
        self.assertEqual(1.5, ratio_of(result, "two")["median"])
        self.assertEqual(1.0, ratio_of(result, "two")["difference"])

    def test_who_has_no_reference_in_the_cell_is_not_compared(self):
        self.assertEqual([], summary(cell(), (TREEGATE,), treegate=rounds(took_ms=[8.0]))["ratios"])

    def test_targets_are_ratios_differences_or_values_with_a_ceiling_or_a_floor(self):
        asked = [(under(4), True), (under(5), False), (Target(3, "rate", floor=True), True), (Target(3.1, "rate", floor=True), False),
                 (value(0.5, "cpu_us"), True), (value(0.4, "cpu_us"), False), (Target(100, "bytes_each", kind="difference", entry="two"), True),
                 (Target(99, "bytes_each", kind="difference", entry="two"), False)]
        result = summary(cell(*(target for target, _ in asked)), (STOCK, TREEGATE, OTHER), stock=rounds(cpu_us=[2.0], rate=[1.0], bytes_each=[9.0]),
                         treegate=rounds(cpu_us=[0.5], rate=[3.0], bytes_each=[300.0]), two=rounds(cpu_us=[1.0], rate=[1.0], bytes_each=[400.0]))
        self.assertEqual([met for _, met in asked], [target["met"] for target in result["targets"]])

    def test_cpu_is_divided_by_deliveries_and_publish_only_by_messages_published(self):
        reading = lambda cpu: type("Reading", (), {"cpu_seconds": cpu, "resident_bytes": 10_000_000 + cpu * 1000, "reads_writes": None})
        seen = {"cell": "pubsub", "published": 1000, "delivered": 4000, "seconds": 2.0, "client_cpu_seconds": 1.0, "max_us": 0, "churned": 0}
        self.assertEqual(500.0, figures(reading(1.0), reading(3.0), seen, None)["cpu_us"])
        self.assertEqual(2000.0, figures(reading(1.0), reading(3.0), seen | {"delivered": 0}, None)["cpu_us"])
        self.assertEqual(2.0, figures(reading(1.0), reading(3.0), seen | {"cell": "connections", "delivered": 0}, None)["bytes_each"])


class Texts(unittest.TestCase):
    def test_a_better_ratio_is_a_fraction_and_a_worse_one_a_factor(self):
        self.assertEqual(["1/8.0", "1.00x", "1.24x"], [tables.fraction(ratio) for ratio in (0.125, 1.0, 1.24)])

    def test_what_stock_does_better_is_listed(self):
        result = summary(cell(), stock=rounds(cpu_us=[2.0], rate=[4e6]), treegate=rounds(cpu_us=[1.0], rate=[2e6]))
        self.assertIn("| a cell | rate | 4.00 M/s | 2.00 M/s | 2.00x |", report.stock_wins([result]))
        self.assertNotIn("CPU |", report.stock_wins([result]))

    def test_a_rate_is_a_lower_bound_where_the_load_used_up_its_core(self):
        self.assertEqual(">= 2.00 M/s", tables.rate({"load_share": 0.97, "rate": 2e6}))
        self.assertEqual("2.00 M/s", tables.rate({"load_share": 0.5, "rate": 2e6}))

    def test_the_readme_has_the_targets_of_the_committed_report(self):
        text = (ROOT / "README.md").read_text()
        data = json.loads((ROOT / "tests/bench/report/results.json").read_text())
        self.assertIn(report.README_BEGIN + report.readme_block(data) + report.README_END, text)

    def test_a_missed_target_is_said_in_bold(self):
        result = summary(cell(under(8)), stock=rounds(cpu_us=[2.0]), treegate=rounds(cpu_us=[1.0]))
        self.assertIn("| a cell | CPU at most 1/8 | 1/2.0 | **not met** |", report.targets_table([result]))

    def test_names_of_cells_are_unique_and_the_short_form_is_small(self):
        self.assertEqual(len(CELLS), len({one.name for one in CELLS}))
        for one in CELLS:
            for load in (shortened(one).load, *(entry.load for entry in shortened(one).entries)):
                self.assertLessEqual(load.get("subjects", 0), 20_000)
            self.assertLessEqual(max(shortened(one).count, shortened(one).ours), 1_000_000)


if __name__ == "__main__":
    unittest.main()
