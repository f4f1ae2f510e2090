#!/usr/bin/python3
"""A checker that finds nothing proves nothing: each kind of fault is planted and must be found."""
import contextlib
import copy
import io
import json
import os
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import check  # noqa: E402


def write(text, asked, answered, number, code="ok"):
    return {"text": text, "size": len(text), "asked": asked, "answered": answered, "code": code, "error": "",
            "id": number}


def row(number, data, printed):
    return {"id": number, "data": data, "hash": printed}


class Check(unittest.TestCase):
    def setUp(self):
        self.history = [write("a-0", 1, 2, 1), write("b-0", 1, 9, 2), write("a-1", 3, 4, 3),
                        write("a-2", 5, 6, 0, "open"), write("b-1", 10, 11, 0, "timeout")]
        rows = [row(1, "a-0", "x"), row(2, "b-0", "y"), row(3, "a-1", "z")]
        self.nodes = {"n1": rows, "n2": copy.deepcopy(rows)}
        self.followed = {"f1": copy.deepcopy(rows), "f2": copy.deepcopy(rows[1:])}

    def faults(self):
        return check.check(self.history, self.nodes, self.followed)

    def find(self, promise, words):
        faults = self.faults()
        self.assertTrue(any(fault.startswith(promise) and words in fault for fault in faults), faults)

    def both(self, change):
        for rows in self.nodes.values():
            change(rows)

    def test_a_good_history_has_no_fault(self):
        self.assertEqual(self.faults(), [])

    def test_a_read_that_is_older_than_what_was_told_before(self):
        reads = [{"node": "n1", "asked": 3, "answered": 5, "id": 3}, {"node": "n2", "asked": 5, "answered": 6, "id": 3}]
        self.assertEqual(check.check(self.history, self.nodes, None, reads), [])
        reads[0].update(id=0)  # a-0 was acknowledged at 2
        self.assertTrue(check.check(self.history, self.nodes, None, reads)[0].startswith("reads: n1 showed 0"))
        reads[0].update(id=9)  # and what another one was shown counts as well
        reads[1].update(asked=6)
        self.assertTrue(check.check(self.history, self.nodes, None, reads)[0].startswith("reads: n2 showed 3"))

    def test_an_open_write_may_be_there(self):
        self.both(lambda rows: rows.append(row(4, "a-2", "w")))
        self.assertEqual(self.faults(), [])

    def test_padding_belongs_to_the_bytes(self):
        self.history[0]["size"] = 5
        self.find("durable", "other bytes")
        self.both(lambda rows: rows[0].update(data="a-0.."))
        self.followed["f1"][0]["data"] = "a-0.."
        self.assertEqual(self.faults(), [])

    def test_a_lost_write(self):
        self.both(lambda rows: rows.pop())
        self.find("durable", "acknowledged at 3 and is lost")

    def test_a_write_lost_on_one_node_only(self):
        self.nodes["n2"].pop()
        self.find("durable", "n2: a-1 was acknowledged at 3 and is lost")

    def test_another_write_at_the_id(self):
        self.both(lambda rows: rows[1].update(data="a-2"))
        self.find("durable", "b-0 was acknowledged at 2 and is lost")

    def test_two_writes_that_changed_places(self):
        self.both(lambda rows: (rows[0].update(data="b-0"), rows[1].update(data="a-0")))
        self.find("durable", "a-0 was acknowledged at 1 and is at 2")

    def test_a_doubled_write(self):
        self.both(lambda rows: rows.append(row(4, "a-1", "w")))
        self.find("once", "a-1 is there twice, at 3 and 4")

    def test_a_doubled_open_write(self):
        self.both(lambda rows: rows.extend([row(4, "a-2", "v"), row(5, "a-2", "w")]))
        self.find("once", "a-2 is there twice")

    def test_a_write_of_nobody(self):
        self.both(lambda rows: rows.append(row(4, "q-9", "w")))
        self.find("once", "by nobody")

    def test_a_history_that_names_a_write_twice(self):
        self.history.append(dict(self.history[0]))
        self.find("once", "load generator")

    def test_a_wrong_not_done(self):
        self.both(lambda rows: rows.append(row(4, "b-1", "w")))
        self.find("not done", "b-1 was told not done")

    def test_time_turned_round(self):
        self.history[0]["id"], self.history[2]["id"] = 3, 1
        self.both(lambda rows: (rows[0].update(data="a-1"), rows[2].update(data="a-0")))
        self.find("real time", "a-1 at 1 was asked after a-0 at 3")

    def test_an_open_write_below_what_was_known_before_it(self):
        self.history[3] = write("a-2", 12, 13, 0, "open")
        self.history[1]["id"], self.history[2]["id"] = 2, 4
        self.both(lambda rows: (rows.insert(2, row(3, "a-2", "w")), rows[3].update(id=4)))
        self.find("real time", "a-2 at 3 was asked after a-1 at 4")

    def test_equal_times_say_nothing(self):
        self.history[0]["answered"] = self.history[2]["asked"] = 3
        self.history[0]["id"], self.history[2]["id"] = 3, 1
        self.both(lambda rows: (rows[0].update(data="a-1"), rows[2].update(data="a-0")))
        self.followed = {}
        self.assertEqual(self.faults(), [])

    def test_a_gap(self):
        self.both(lambda rows: rows[2].update(id=4))
        self.find("one order", "4 is where 3 belongs")

    def test_log_time_that_falls(self):
        self.both(lambda rows: (rows[0].update(ts=7), rows[1].update(ts=6)))
        self.find("one order", "log time falls at 2")

    def test_nodes_that_differ(self):
        self.nodes["n2"][2]["hash"] = "other"
        self.find("one order", "differ from id 3")
        self.nodes["n2"].pop()
        self.find("one order", "differ from id 3")

    def test_a_follower_with_a_gap(self):
        self.followed["f1"].pop(1)
        self.find("followed", "f1: 3 was shown after 1")

    def test_a_follower_shown_a_change_twice(self):
        self.followed["f2"].append(dict(self.followed["f2"][-1]))
        self.find("followed", "f2: 3 was shown after 3")

    def test_a_follower_shown_what_is_not_committed(self):
        self.followed["f1"].append(row(4, "a-2", "w"))
        self.find("followed", "no node holds it")

    def test_a_follower_shown_another_change(self):
        self.followed["f2"][0]["data"] = "a-2"
        self.find("followed", "f2: at 2 another change was shown")

    def test_the_tool_tells_the_gravest_promise_with_its_writes(self):
        self.both(lambda rows: rows.append(row(4, "b-1", "w")))
        self.followed["f1"].pop(1)
        with tempfile.TemporaryDirectory() as place:
            def save(name, lines):
                path = os.path.join(place, name)
                with open(path, "w") as file:
                    file.write("".join(json.dumps(line) + "\n" for line in lines) + '{"text": "half a li')
                return path
            reads = [{"node": "n1", "asked": 20, "answered": 21, "id": 3}, {"node": "n2", "asked": 30, "answered": 31, "id": 2}]
            argv = [save("c1", self.history), "--follow", save("f1", self.followed["f1"]), "--reads", save("r1", reads), "--",
                    save("n1", self.nodes["n1"]), save("n2", self.nodes["n2"])]
            with contextlib.redirect_stdout(io.StringIO()) as out:
                self.assertEqual(check.main(["check.py"] + argv), 1)
        told = out.getvalue().splitlines()
        self.assertTrue(told[0].startswith("not done: "), told)
        self.assertIn('"text": "b-1"', told[1])
        self.assertIn("broken: followed, 1 times", told)
        self.assertIn("broken: reads, 1 times", told)
        self.assertEqual(told[-1], "5 writes, 3 acknowledged, 1 open, 2 reads, 4 faults")

    def test_wrong_usage_is_told(self):
        for words in ([], ["c1"], ["c1", "--"], ["c1", "--folow", "f1", "--", "n1"]):
            with contextlib.redirect_stderr(io.StringIO()) as out:
                self.assertEqual(check.main(["check.py"] + words), 2)
            self.assertIn("HISTORY", out.getvalue())


if __name__ == "__main__":
    unittest.main()
