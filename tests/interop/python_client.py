#!/usr/bin/python3
"""A client of changeagent in plain Python, written from docs/protocol.md alone.

usage: python_client.py ENDPOINT...   (one or more nodes of one cluster)

Puts, gets, lists forwards and backwards, long-polls, follows with gap check, and
compares ids and hashes on all nodes. Ends with the line "interop: ok" and exit code 0.
"""
import hashlib
import os
import struct
import sys
import threading
import time

import msgpack
import zmq

ANSWER_MS = 1500
DEADLINE_S = 30


class Refused(Exception):
    def __init__(self, answer):
        super().__init__("%s: %s" % (answer.get("error"), answer.get("detail")))
        self.answer = answer


class Node:
    """Asks to one endpoint: a DEALER, the request number in the body."""

    def __init__(self, context, endpoint):
        self.endpoint = endpoint
        self.request = 0
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(endpoint)

    def ask_once(self, verb, wait_ms=ANSWER_MS, **fields):
        """The answer as a dict, or None if none came in time."""
        self.request += 1
        fields.update(verb=verb, req=self.request)
        self.socket.send_multipart([b"", msgpack.packb(fields, use_bin_type=True)])
        end = time.monotonic() + wait_ms / 1000
        while self.socket.poll(max(0, int((end - time.monotonic()) * 1000))):
            answer = msgpack.unpackb(self.socket.recv_multipart()[-1], raw=False)
            if answer.get("req") == self.request:
                return answer
        return None

    def ask(self, verb, wait_ms=ANSWER_MS, **fields):
        """Asks again while that can help. For reads: a write is repeated by put()."""
        end = time.monotonic() + DEADLINE_S
        while True:
            answer = self.ask_once(verb, wait_ms, **fields)
            if answer is not None and answer["verb"] != "failed":
                return answer
            if time.monotonic() > end or (answer is not None and not answer["retryable"]):
                raise Refused(answer or {"error": "E_TIMEOUT", "detail": self.endpoint})
            time.sleep((answer or {}).get("retry_after_ms", 0) / 1000 or 0.02)


def put(nodes, changes, txid=None, born=None):
    """One put under one txid, at whichever node answers. Returns put_done."""
    body = msgpack.packb({"changes": changes}, use_bin_type=True)
    txid = txid or os.urandom(16)
    end = time.monotonic() + DEADLINE_S
    while not born:
        born = nodes[0].ask("hello")["born"]
    attempt = 0
    while time.monotonic() < end:
        node = nodes[attempt % len(nodes)]
        attempt += 1
        answer = node.ask_once("put", txid=txid, born=born, attempt=attempt, body=body)
        if answer is None:
            continue
        if answer["verb"] == "put_done":
            return answer
        if not answer["retryable"]:
            raise Refused(answer)
        time.sleep(answer.get("retry_after_ms", 20) / 1000)
    raise Refused({"error": "E_OPEN", "detail": "no outcome in time"})


def change_hash(previous, row):
    """The change hash of docs/protocol.md."""
    def number(value):
        return struct.pack("<Q", value)

    def sized(data):
        return number(len(data)) + data

    data = row["data"]
    data = data.encode() if isinstance(data, str) else data
    headers = msgpack.packb(row["headers"], use_bin_type=True) if "headers" in row else b""
    parts = [previous, number(row["id"]), number(row["ts"]), number(row["type"]),
             number(2 if row.get("delete") else 1 if "key" in row else 0), sized(row.get("key", "").encode()),
             number(len(row["tags"]))]
    parts += [sized(tag.encode()) for tag in row["tags"]]
    parts += [sized(headers), sized(row.get("ctype", "").encode()), sized(data)]
    return hashlib.blake2b(b"".join(parts), digest_size=32).digest()


class Follower:
    """Everything after `since`, or all changes of one tag: in order, each once."""

    def __init__(self, context, node, since, tag=None):
        self.node, self.position = node, since
        self.tags = [tag] if tag else []
        self.topic = b"t" + tag.encode() + b"\0" if tag else b"a"
        self.healed = 0
        self.joined = False
        self.socket = context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(node.ask("hello")["stream"])
        for topic in (self.topic, b"h"):
            self.socket.setsockopt(zmq.SUBSCRIBE, topic)

    def heal(self, wanted):
        """Lists what is missing up to `wanted`; what the stream then repeats is ignored."""
        while self.position < wanted:
            page = self.node.ask("list", since=self.position, tags=self.tags, min_id=wanted)
            for row in page.get("changes") or []:
                self.position = row["id"]
                yield row
            self.position = max(self.position, page["scanned_to"])

    def frames(self, timeout_s):
        end = time.monotonic() + timeout_s
        while self.socket.poll(max(0, int((end - time.monotonic()) * 1000))):
            frames = self.socket.recv_multipart()
            if len(frames) == 2 and frames[0] == self.topic:
                yield msgpack.unpackb(frames[1], raw=False)

    def changes(self, timeout_s):
        for message in self.frames(timeout_s):
            if message["verb"] == "progress":
                if self.joined and message["prev"] > self.position:
                    self.healed += 1
                self.joined = True
                yield from self.heal(message["prev"])
            elif message["id"] > self.position:
                if message["prev"] > self.position:
                    self.healed += 1
                    yield from self.heal(message["id"])
                else:
                    self.position = message["id"]
                    yield message

    def until(self, last_id, timeout_s=DEADLINE_S):
        rows = []
        for row in self.changes(timeout_s):
            rows.append(row)
            if row["id"] >= last_id:
                return rows
        raise AssertionError("the follower saw nothing of %d in time" % last_id)

    def join(self):
        for _ in self.changes(0.2):
            pass
        end = time.monotonic() + DEADLINE_S
        while not self.joined and time.monotonic() < end:
            for _ in self.changes(0.2):
                pass
        assert self.joined, "no progress on %r" % self.topic


# ---- checks -------------------------------------------------------------------------------------

def check_vectors():
    """The hex lines of section 8 are what this client sends and understands."""
    path = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../docs/protocol.md")
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file if line.startswith("    ")]
    hexes = {line[0]: bytes.fromhex(line[1]) for line in lines
             if len(line) == 2 and line[0] in ("body", "put", "hash", "put_done")}
    change = {"type": 1, "tags": ["red"], "key": "k", "data": b"hello"}
    body = msgpack.packb({"changes": [change]}, use_bin_type=True)
    assert body == hexes["body"]
    assert msgpack.unpackb(hexes["put"], raw=False) == {
        "verb": "put", "req": 1, "txid": bytes(range(16)), "born": 1700000000000000000,
        "attempt": 1, "body": body}
    row = dict(change, id=1, ts=1700000000000000001)
    assert change_hash(b"\0" * 32, row) == hexes["hash"]
    done = msgpack.unpackb(hexes["put_done"], raw=False)
    assert done["id"] == 1 and done["hash"] == hexes["hash"] and done["ack"] == "quorum"


def check_hello(nodes):
    cluster = None
    for node in nodes:
        hello = node.ask("hello")
        while not hello.get("cluster") or not hello["born"]:
            time.sleep(0.05)
            hello = node.ask("hello")
        assert hello["protocol"] == 1
        assert {"hello", "put", "get", "list", "head", "status"} <= set(hello["verbs"])
        assert cluster in (None, hello["cluster"]), "the endpoints are of two clusters"
        cluster = hello["cluster"]


def check_req_socket(context, endpoint):
    """A plain REQ works as well."""
    socket = context.socket(zmq.REQ)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.REQ_RELAXED, 1)
    socket.setsockopt(zmq.REQ_CORRELATE, 1)
    socket.connect(endpoint)
    socket.send(msgpack.packb({"verb": "head", "req": 7}))
    assert socket.poll(DEADLINE_S * 1000), "REQ got no answer"
    answer = msgpack.unpackb(socket.recv(), raw=False)
    assert answer["verb"] == "head_is" and answer["req"] == 7
    socket.close()


def check_put_and_get(nodes, tag):
    change = {"type": 5, "key": "k", "tags": [tag, tag, "second"], "ctype": "text/plain",
              "headers": {"a": "1", "b": "2"}, "data": b"\x00bytes"}
    done = put(nodes, [change])
    assert done["id"] == done["last_id"] and done["ack"] == "quorum"
    row = nodes[-1].ask("get", id=done["id"], min_id=done["id"])["change"]
    assert row["hash"] == done["hash"] and row["ts"] == done["ts"]
    assert row["data"] == b"\x00bytes" and row["headers"] == {"a": "1", "b": "2"}
    assert row["key"] == "k" and row["type"] == 5 and row["tags"] == [tag, "second"]
    return done


def check_at_most_once(nodes, tag):
    born = nodes[0].ask("hello")["born"]
    txid = os.urandom(16)
    first = put(nodes, [{"tags": [tag], "data": "once"}], txid, born)
    for node in nodes:
        again = put([node], [{"tags": [tag], "data": "once"}], txid, born)
        assert (again["id"], again["hash"]) == (first["id"], first["hash"])
    try:
        put(nodes, [{"tags": [tag], "data": "other"}], txid, born)
        raise AssertionError("a txid was used for two bodies")
    except Refused as refused:
        assert refused.answer["error"] == "E_TXID_REUSED", refused.answer
        assert refused.answer["outcome"] == "final"


def check_refusals(nodes):
    wrong = [
        ("E_BAD_REQUEST", "put", {"txid": b"short", "body": b"\x80"}),
        ("E_RESERVED_TYPE", "put",
         {"txid": os.urandom(16), "body": msgpack.packb({"changes": [{"type": -1}]})}),
        ("E_UNSUPPORTED", "put",
         {"txid": os.urandom(16), "body": msgpack.packb({"changes": [{"colour": 1}]})}),
        ("E_LIMIT", "list", {"limit": 10001}),
        ("E_NOT_FOUND", "get", {"id": 1 << 60}),
        ("E_UNKNOWN_VERB", "dance", {}),
    ]
    for name, verb, fields in wrong:
        try:
            raise AssertionError("a wrong %s was answered: %r" % (verb, nodes[0].ask(verb, 5000, **fields)))
        except Refused as refused:
            answer = refused.answer
        assert answer["error"] == name and not answer["retryable"] and answer["detail"], answer


def check_many_in_one(nodes, tag):
    done = put(nodes, [{"tags": [tag], "data": "part %d" % i} for i in range(10)])
    assert done["last_id"] == done["id"] + 9
    return done["last_id"]


def pages_forwards(node, tags, last_id, limit):
    """All pages from the start, as (rows, prev cursor)."""
    pages, fields = [], {"since": 0}
    while True:
        page = node.ask("list", limit=limit, tags=tags, min_id=last_id, **fields)
        pages.append((page.get("changes") or [], page["prev"]))
        if page["at_end"]:
            return pages
        fields = {"cursor": page["next"]}


def pages_backwards(node, tags, cursor, limit):
    rows = []
    while True:
        page = node.ask("list", limit=limit, tags=tags, before=cursor)
        rows = (page.get("changes") or []) + rows
        if page["at_start"]:
            return rows
        cursor = page["prev"]


def ids(rows):
    return [row["id"] for row in rows]


def check_pages(nodes, tag, last_id):
    """The same on all nodes, the chain right, a walk back equal to the walk forwards."""
    expected = None
    for node in nodes:
        pages = pages_forwards(node, [], last_id, 500)
        rows = [row for page, _ in pages for row in page if row["id"] <= last_id]
        assert ids(rows) == list(range(rows[0]["id"], last_id + 1))
        seen = [(row["id"], row["hash"], row["data"]) for row in rows]
        assert expected in (None, seen), "nodes disagree"
        expected = seen
        previous = b"\0" * 32
        for row in rows if rows[0]["id"] == 1 else []:
            assert row["hash"] == change_hash(previous, row), "change hash of %d" % row["id"]
            previous = row["hash"]
        tagged = pages_forwards(node, [tag], last_id, 4)
        rows = [row for page, _ in tagged for row in page]
        assert len(tagged) > 2 and all(tag in row["tags"] for row in rows)
        assert ids(pages_backwards(node, [tag], tagged[-1][1], 3)) == \
            ids([row for page, _ in tagged[:-1] for row in page])


def check_linearizable(nodes, tag):
    """What was acknowledged at one node is seen at every other one, without min_id."""
    for i in range(10):
        done = put([nodes[i % len(nodes)]], [{"tags": [tag], "data": "linear %d" % i}])
        for node in nodes:
            assert node.ask("head", consistency="linearizable")["id"] >= done["id"]
            row = node.ask("get", id=done["id"], consistency="linearizable")["change"]
            assert row["data"] == b"linear %d" % i or row["data"] == "linear %d" % i
    refused = nodes[0].ask_once("get", id=1, consistency="roughly")
    assert refused["error"] == "E_BAD_REQUEST", refused


def check_queries(nodes, tag):
    """Tag expressions, paths, log time, ranges: compared with a filter of our own."""
    names = ["%s/%s" % (tag, name) for name in ("a", "b", "a/deep")] + [tag + "x"]
    first = nodes[0].ask("head")["id"]
    for i in range(24):
        done = put(nodes, [{"tags": [names[k] for k in range(4) if i >> k & 1], "data": "q%d" % i}])
    last = done["last_id"]
    rows = nodes[0].ask("list", since=first, min_id=last, limit=1000)["changes"]

    def fits(term, tags):
        return any(own.startswith(term[:-1]) if term.endswith("/*") else own == term for own in tags)

    def expected(any_of, all_of, none_of):
        return [row["id"] for row in rows if (not any_of or any(fits(t, row["tags"]) for t in any_of))
                and all(fits(t, row["tags"]) for t in all_of)
                and not any(fits(t, row["tags"]) for t in none_of)]

    for any_of, all_of, none_of in (
            ([tag + "/*"], [], []), ([names[0], names[1]], [], []), ([], [names[0], names[1]], []),
            ([], [], [tag + "/*"]), ([names[3]], [tag + "/a/*"], [names[1]]), ([], [names[0]], [names[3]])):
        for node in nodes:
            node.ask("head", min_id=last)
            got, fields = [], {"since": first}
            while True:
                page = node.ask("list", tags=any_of, all_tags=all_of, no_tags=none_of, until=last, limit=3, **fields)
                got += ids(page.get("changes") or [])
                if page["at_end"]:
                    break
                fields = {"cursor": page["next"]}
            assert got == expected(any_of, all_of, none_of), (any_of, all_of, none_of, got)
    node, middle = nodes[-1], rows[12]
    page = node.ask("list", since_time=middle["ts"], limit=1)
    assert ids(page["changes"]) == [middle["id"]] and "clock_error_ns" in page
    assert node.ask("list", since_time=middle["ts"] + 1, limit=1)["changes"][0]["id"] == middle["id"] + 1
    page = node.ask("list", since=first, until_time=middle["ts"], limit=1000)
    assert ids(page["changes"]) == ids(rows[:12]) and page["at_end"]
    assert node.ask("list", at_time=middle["ts"], limit=1)["changes"][0]["id"] == middle["id"]
    assert ids(node.ask("list", until=last, last=True, limit=5)["changes"]) == ids(rows[-5:])
    assert ids(node.ask("list", until=last, reverse=True, limit=5)["changes"]) == ids(rows[-5:])[::-1]
    bare = node.ask("list", since=last - 1, until=last, headers_only=True)["changes"][0]
    assert bare["size"] == 3 and "data" not in bare
    for wrong in ({"tags": [""]}, {"last": True, "block_ms": 5}, {"at_time": 5, "last": True}):
        assert node.ask_once("list", **wrong)["error"] == "E_BAD_REQUEST", wrong


def check_collection(nodes, tag):
    """R9 - R11: a key has its newest change, in order, page by page, until it is deleted."""
    first = nodes[0].ask("head")["id"]
    key = tag + "/one"
    for data in ("a", "b", "c"):
        done = put(nodes, [{"key": key, "tags": [tag], "data": data}])
    for node in nodes:
        row = node.ask("get", key=key, min_id=done["id"])["change"]
        assert row["id"] == done["id"] and row["data"] == b"c" and row["key"] == key
        rows = node.ask("list", since=first, tags=[tag], latest=True)["changes"]
        assert ids(rows) == [done["id"]]
    gone = put(nodes, [{"key": key, "tags": [tag], "delete": True}])
    for node in nodes:
        refused = node.ask_once("get", 5000, key=key, min_id=gone["id"])
        assert refused["error"] == "E_NOT_FOUND", refused
        rows = node.ask("list", since=first, tags=[tag], until=gone["id"])["changes"]
        assert len(rows) == 4 and rows[-1]["delete"] is True and rows[-1]["hash"] == gone["hash"]
    names = ["%s/%04d" % (tag, number) for number in range(1050)]
    for begin in range(0, 1050, 350):
        done = put(nodes, [{"key": name, "data": name} for name in reversed(names[begin:begin + 350])])
    for node in nodes:
        seen, pages, after = [], 0, ""
        while True:
            page = node.ask("scan", prefix=tag + "/", after=after, min_id=done["last_id"])
            seen += [row["key"] for row in page["changes"]]
            pages += 1
            assert all(row["data"].decode() == row["key"] for row in page["changes"])
            after = page["next"]
            if page["at_end"]:
                break
        assert seen == names and pages == 11, (len(seen), pages)
    for wrong in ({"id": 1, "key": "k"}, {}):
        assert nodes[0].ask_once("get", **wrong)["error"] == "E_BAD_REQUEST"
    refused = nodes[0].ask_once("put", txid=os.urandom(16), body=msgpack.packb({"changes": [{"delete": True}]}))
    assert refused["error"] == "E_BAD_REQUEST", refused


def check_estimate(nodes, tag):
    """R42: an estimate says how many changes a list would give and, with `exact`, how many bytes."""
    first = nodes[0].ask("head")["id"]
    for number in range(30):
        done = put(nodes, [{"tags": [tag, "%s/%d" % (tag, number % 3)], "data": b"x" * (number * 50)}] * 40)
    wholes = [({}, 1200), ({"tags": [tag]}, 1200), ({"tags": [tag + "/1"]}, 400), ({"tags": [tag + "/*"]}, 1200),
              ({"all_tags": [tag], "no_tags": [tag + "/0"]}, 800), ({"until": first + 7}, 7), ({"tags": [tag + "/9"]}, 0)]
    for node in nodes:
        node.ask("head", min_id=done["last_id"])
        for fields, known in wholes:
            fields = dict({"until": done["last_id"]}, **fields)
            page = node.ask("list", since=first, limit=10000, bytes=4 << 20, **fields)
            size = sum(len(msgpack.packb(row, use_bin_type=True)) for row in page["changes"])
            assert page["at_end"] and len(page["changes"]) == known
            for exact in (True, False):
                count = total = asks = 0
                since, end, known_exactly = first, False, True
                while not end:
                    part = node.ask("estimate", since=since, exact=exact, min_id=done["last_id"], **fields)
                    count, total, asks = count + part["count"], total + part["bytes"], asks + 1
                    since, end, known_exactly = part["scanned_to"], part["at_end"], known_exactly and part["exact"]
                assert count == known, (fields, count)
                assert known_exactly or not exact
                assert (total == size) if known_exactly else abs(total - size) < size * 0.1, (fields, total, size)
                assert asks <= 1 + known // 512 + size // (4 << 20) or not exact, asks
    for wrong, error in (({"tags": ["a"] * 65}, "E_BAD_REQUEST"), ({"tags": [""]}, "E_BAD_REQUEST"),
                         ({"consistency": "some"}, "E_BAD_REQUEST"), ({"since": done["last_id"] + 10 ** 6}, "E_AHEAD")):
        refused = nodes[0].ask_once("estimate", 5000, **wrong)
        assert refused["error"] == error, refused


def check_long_poll(context, nodes, tag):
    """A list that waits is answered by the put of somebody else, on another node."""
    head = nodes[-1].ask("head")["id"]
    poller = Node(context, nodes[-1].endpoint)
    result = {}

    def poll():
        result["page"] = poller.ask("list", 21000, since=head, tags=[tag], block_ms=20000)

    thread = threading.Thread(target=poll)
    thread.start()
    done = put(nodes, [{"tags": [tag], "data": "poll"}])
    thread.join()
    rows = result["page"]["changes"]
    assert rows and rows[0]["id"] == done["id"], result
    started = time.monotonic()
    page = poller.ask("list", 5000, since=done["id"], tags=[tag], block_ms=300)
    assert not page["changes"] and page["at_end"]
    assert 0.2 < time.monotonic() - started < 3


def check_follow(context, nodes, tag):
    head = nodes[0].ask("head")["id"]
    others = [Follower(context, node, head) for node in nodes]
    tagged = Follower(context, nodes[-1], head, tag)
    for follower in others + [tagged]:
        follower.join()
    written = []
    for i in range(200):
        done = put([nodes[i % len(nodes)]],
                   [{"tags": [tag] if i % 2 else ["other"], "data": "f%d" % i}])
        written.append(done["id"])
    assert written == sorted(written), "a later write got the smaller id"
    views = [[(row["id"], row["hash"]) for row in follower.until(written[-1])]
             for follower in others]
    for view in views:
        assert view == views[0] and set(written) <= {pair[0] for pair in view}
        assert [pair[0] for pair in view] == list(range(head + 1, written[-1] + 1))
    assert ids(tagged.until(written[-1])) == written[1::2], "the tag's follower missed something"


def check_late_follower(context, nodes, tag):
    """One that starts at 0 gets the whole past by the join rule, then the stream."""
    last = put(nodes, [{"tags": [tag], "data": "late"}])["id"]
    follower = Follower(context, nodes[0], 0)
    rows = follower.until(last)
    assert [row["id"] for row in rows] == list(range(rows[0]["id"], rows[-1]["id"] + 1))
    assert rows[0]["id"] == nodes[0].ask("list", since=0, limit=1)["first_id"]


def check_status(nodes):
    last = nodes[0].ask("head")["id"]
    chains = set()
    for node in nodes:
        node.ask("head", min_id=last)
        status = node.ask("status")
        assert status["role"] in ("leader", "follower", "candidate"), status["role"]
        if status["last_id"] == last:
            chains.add(status["chain"])
    assert len(chains) <= 1, "chains differ at id %d" % last


def main(endpoints):
    context = zmq.Context()
    nodes = [Node(context, endpoint) for endpoint in endpoints]
    tag = "interop-%s" % os.urandom(4).hex()
    check_vectors()
    check_hello(nodes)
    check_req_socket(context, endpoints[0])
    check_put_and_get(nodes, tag)
    check_at_most_once(nodes, tag)
    check_refusals(nodes)
    last_id = check_many_in_one(nodes, tag)
    check_pages(nodes, tag, last_id)
    check_linearizable(nodes, tag)
    check_queries(nodes, tag)
    check_collection(nodes, tag)
    check_estimate(nodes, tag + "-sum")
    check_long_poll(context, nodes, tag)
    check_follow(context, nodes, tag)
    check_late_follower(context, nodes, tag)
    check_status(nodes)
    context.destroy(linger=0)
    print("interop: ok")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        sys.exit(1)
    sys.exit(main(sys.argv[1:]))
