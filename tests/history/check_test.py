#!/usr/bin/python3
"""A checker that finds nothing proves nothing: each kind of fault must be found."""
import copy
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import check  # noqa: E402


def write(text, asked, answered, number, code="ok"):
    return {"text": text, "size": len(text), "asked": asked, "answered": answered, "code": code, "error": "",
            "id": number}


class Check(unittest.TestCase):
    def setUp(self):
        self.history = [write("a-0", 1, 2, 1), write("b-0", 1, 9, 2), write("a-1", 3, 4, 3),
                        write("a-2", 5, 6, 0, "open"), write("b-1", 10, 11, 0, "timeout")]
        rows = [{"id": 1, "data": "a-0", "hash": "x"}, {"id": 2, "data": "b-0", "hash": "y"},
                {"id": 3, "data": "a-1", "hash": "z"}]
        self.nodes = {"n1": rows, "n2": copy.deepcopy(rows)}

    def find(self, words):
        faults = check.check(self.history, self.nodes)
        self.assertTrue(any(words in fault for fault in faults), faults)

    def both(self, change):
        for rows in self.nodes.values():
            change(rows)

    def test_a_good_history_has_no_fault(self):
        self.assertEqual(check.check(self.history, self.nodes), [])

    def test_an_open_write_may_be_there(self):
        self.both(lambda rows: rows.append({"id": 4, "data": "a-2", "hash": "w"}))
        self.assertEqual(check.check(self.history, self.nodes), [])

    def test_padding_belongs_to_the_bytes(self):
        self.history[0]["size"] = 5
        self.find("other bytes")
        self.both(lambda rows: rows[0].update(data="a-0.."))
        self.assertEqual(check.check(self.history, self.nodes), [])

    def test_a_lost_write(self):
        self.both(lambda rows: rows.pop())
        self.find("is lost")

    def test_another_write_at_the_id(self):
        self.both(lambda rows: rows[1].update(data="a-2"))
        self.find("where a-2 is")

    def test_a_doubled_write(self):
        self.both(lambda rows: rows.append({"id": 4, "data": "a-1", "hash": "w"}))
        self.find("twice")

    def test_a_write_of_nobody(self):
        self.both(lambda rows: rows.append({"id": 4, "data": "q-9", "hash": "w"}))
        self.find("by nobody")

    def test_a_wrong_not_done(self):
        self.both(lambda rows: rows.append({"id": 4, "data": "b-1", "hash": "w"}))
        self.find("told not done")

    def test_time_turned_round(self):
        self.history[0]["id"], self.history[2]["id"] = 3, 1
        self.both(lambda rows: (rows[0].update(data="a-1"), rows[2].update(data="a-0")))
        self.find("asked after")

    def test_a_gap(self):
        self.both(lambda rows: rows[2].update(id=4))
        self.find("ids are not")

    def test_nodes_that_differ(self):
        self.nodes["n2"][2]["hash"] = "other"
        self.find("differ from id 3")
        self.nodes["n2"].pop()
        self.find("differ from id 3")


if __name__ == "__main__":
    unittest.main()
