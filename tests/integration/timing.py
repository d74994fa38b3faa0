#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does an answer, or how long it takes, tell that another tenant has something of this id?

  scripts/timing [--pairs 10000] [--seed N] [--lenient]

Of each kind of thing a tenant has eight. Another one asks for one of these and for an id of the
same shape that nobody has: a pair, in either order by the toss of a coin, over one connection that
is kept, the kinds in turn. Of each pair

  the answers  are the same: status, headers and body, but for the ids and the time of day;
  the times    are compared: in how many pairs was what exists the slower one?

Without a difference that number is of a binomial distribution with p = 1/2. A kind fails where it
is further from the half than in one of 4,000 runs of all kinds (|z| beyond 4.5: two-sided p <
7e-6, of some 30 kinds). With 10,000 pairs that finds a shift of a fortieth of the spread. With
--lenient, for few pairs on a loaded machine, the median difference must be more than a quarter of
the median time as well. So that the test is known to see what is there, it must find (but not
with --lenient) that one's own thing, which is read, takes longer than nothing does.
"""
import argparse
import json
import random
import re
import socket
import statistics
import time

import archives
import sluice_testlib as lib

EACH = 8
EMPTY = ("GET key",)  # Answered for whatever id: nothing was used.
URI = "mixpeek://text_extractor@v1/text_hash_v1"
Z_MAX, LENIENT_PART = 4.5, 0.25
PASSING = re.compile(r'"request_id":"[^"]*"')
HEADERS = re.compile(rb"^(date|x-request-id): .*\r\n", re.I | re.M)


class Wire:
    """One connection with one key; how long each call takes."""

    def __init__(self, port, key, namespace):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.common = (f"Host: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
                       "Content-Type: application/json\r\n")
        self.namespace = namespace

    def call(self, request):
        """Status line and headers, body, ns."""
        began = time.perf_counter_ns()
        self.socket.sendall(request)
        got = self.socket.recv(65536)
        while b"\r\n\r\n" not in got:
            got += self.socket.recv(65536)
        head, _, body = got.partition(b"\r\n\r\n")
        size = int(re.search(rb"\r\nContent-Length: (\d+)", head, re.I)[1])
        while len(body) < size:
            body += self.socket.recv(65536)
        return head, body, time.perf_counter_ns() - began

    def request(self, method, path, body=None, namespace=None):
        data = b"" if body is None else json.dumps(body).encode()
        return (f"{method} {path} HTTP/1.1\r\n{self.common}X-Namespace: "
                f"{namespace or self.namespace}\r\nContent-Length: {len(data)}\r\n\r\n"
                ).encode() + data


class Owner:
    """A tenant that has eight of everything: their ids by kind."""

    def __init__(self, server, name, count):
        self.client = client = server.tenant(name)
        self.ids = {}

        def many(kind, make):
            self.ids[kind] = [make(i) for i in range(count)]
        many("namespace", lambda i: client.make("namespace", f"{name}-ns-{i}",
                                                feature_extractors=lib.BOTH))
        client.namespace = self.ids["namespace"][0]
        many("bucket", lambda i: client.make("bucket", f"{name}-bucket-{i}",
                                             bucket_schema={"properties": {}}))
        self.ids["bucket name"] = [f"{name}-bucket-{i}" for i in range(count)]
        bucket = self.ids["bucket"][0]
        many("collection", lambda i: client.make(
            "collection", f"{name}-texts-{i}", source={"type": "bucket", "bucket_ids": [bucket]},
            feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                               "input_mappings": {"text": "content"}}))
        self.ids["object"] = client.make_objects(bucket, [lib.text_object("x")] * count)
        pairs = [client.submit(bucket, self.ids["object"]) for _ in range(count)]
        for _, task in pairs:
            client.wait_task(task)
        self.ids["batch"], self.ids["task"] = map(list, zip(*pairs))
        found = client.documents(self.ids["collection"][0])
        self.ids["document"] = [each["document_id"] for each in found][:count]
        many("retriever", lambda i: client.make(
            "retriever", f"{name}-find-{i}", collection_identifiers=[self.ids["collection"][0]],
            input_schema={}, stages=[{"stage_name": "s", "stage_type": "filter", "config": {
                "stage_id": "feature_search", "parameters": {"searches": [{
                    "feature_uri": URI, "top_k": 1,
                    "query": {"input_mode": "text", "value": "x"}}]}}}]))
        many("execution", lambda i: client.post(
            f"/v1/retrievers/{self.ids['retriever'][0]}/execute", {"inputs": {}}).expect(200)
            ["execution_id"])
        many("webhook", lambda i: client.post("/v1/organizations/webhooks/", {
            "webhook_name": f"{name}-{i}", "event_types": ["object.deleted"], "channels": [
                {"channel": "webhook", "configs": {"url": "http://127.0.0.1:9/"}}]
        }).expect(201)["webhook_id"])
        many("model", lambda i: client.upload(
            f"/v1/namespaces/{client.namespace}/models", archives.GOOD, name=f"{name}-m{i}",
            version="1.0.0", model_format="safetensors").expect(200)["model_id"])
        many("upload", lambda i: client.post(f"/v1/buckets/{bucket}/uploads", {
            "filename": "a.txt", "content_type": "text/plain",
            "create_object_on_confirm": False}).expect(200)["upload_id"])
        many("queue", lambda i: client.call("PUT", f"/v1/queues/{name}-q{i}", {}).expect(200)
             and f"{name}-q{i}")
        jobs = client.post(f"/v1/queues/{name}-q0/jobs", {"jobs": [{"payload": 1}] * count})
        self.ids["job"] = [each["job_id"] for each in jobs.expect(200)["results"]]
        users = "/v1/organizations/users"
        many("user", lambda i: client.post(users, {
            "email": f"{name}{i}@timing.local", "user_name": "One"}).expect(200)["email"])
        many("key name", lambda i: client.post(f"{users}/owner%40{name}.local/api-keys", {
            "name": f"{name}-key-{i}", "permissions": ["read"]}).expect(200)["name"])
        shown = client.get(f"{users}/owner%40{name}.local/api-keys").expect(200)
        self.ids["key"] = [each["key_id"] for each in shown["results"]][:count]

    def note_events(self):
        """Their ids are numbers of a tenant's own: the last, which the other has not come to."""
        for i in range(2 * EACH):
            self.client.call("PATCH", "/v1/organizations",
                             {"organization_name": f"Owner {i}"}).expect(200)
        self.ids["audit event"] = [each["audit_id"] for each in self.client.get(
            "/v1/organizations/audit/logs").expect(200)["results"]][:EACH]


def absent_like(ident, chance):
    """One of the same shape that nobody has: its last characters are others."""
    tail = 8 if len(ident) > 16 else 3
    letters = {str.isdigit: "0123456789", str.islower: "abcdefghijklmnopqrstuvwxyz",
               str.isupper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    is_hex = re.fullmatch("[0-9a-f]+", ident[-tail:]) is not None
    out = ident[:-tail]
    for each in ident[-tail:]:
        of = "0123456789abcdef" if is_hex else next(
            (chars for test, chars in letters.items() if test(each)), each)
        out += chance.choice(of)
    return out


def kinds(own):
    """Name, ids of the owner's that are asked for, and the call: method, path, body. `own` is what
    the asking tenant has."""
    bucket, collection = own["bucket"][0], own["collection"][0]
    users, owner = "/v1/organizations/users", "owner%40other.local"
    queue = own["queue"][0]
    read = {
        "namespace": "/v1/namespaces/{}", "bucket": "/v1/buckets/{}",
        "bucket name": "/v1/buckets/{}", "object": f"/v1/buckets/{bucket}/objects/{{}}",
        "collection": "/v1/collections/{}", "document": "/v1/documents/{}",
        "batch": f"/v1/buckets/{bucket}/batches/{{}}", "task": "/v1/tasks/{}",
        "retriever": "/v1/retrievers/{}", "webhook": "/v1/organizations/webhooks/{}",
        "execution": "/v1/retrievers/executions/{}", "model": "/v1/models/{}",
        "upload": f"/v1/buckets/{bucket}/uploads/{{}}",
        "queue": "/v1/queues/{}", "job": f"/v1/queues/{queue}/jobs/{{}}", "user": users + "/{}",
        "key": "/v1/organizations/api-keys/{}/usage", "audit event":
            "/v1/organizations/audit/logs/{}"}
    for kind, path in read.items():
        yield f"GET {kind}", kind, "GET", path, None
    yield "GET tenant", "tenant", "GET", "/v1/tenants/{}", None
    yield "GET a tenant's queue", "tenant", "GET", "/v1/cluster/queues/{}:cpu", None
    yield "GET a bucket's objects", "bucket", "GET", "/v1/buckets/{}/objects", None
    yield ("GET a document of a collection", "document", "GET",
           f"/v1/collections/{collection}/documents/{{}}", None)
    yield "PATCH bucket", "bucket", "PATCH", "/v1/buckets/{}", {"description": "mine"}
    yield "DELETE bucket", "bucket", "DELETE", "/v1/buckets/{}", None
    yield "DELETE collection", "collection", "DELETE", "/v1/collections/{}", None
    yield "PATCH document", "document", "PATCH", "/v1/documents/{}", {"x": 1}
    yield "DELETE object", "object", "DELETE", f"/v1/buckets/{bucket}/objects/{{}}", None
    yield ("POST a batch's submit", "batch", "POST", f"/v1/buckets/{bucket}/batches/{{}}/submit",
           {})
    yield "DELETE key", "key name", "DELETE", f"{users}/{owner}/api-keys/{{}}", None
    yield "POST a key's rotation", "key name", "POST", f"{users}/{owner}/api-keys/{{}}/rotate", None
    yield "POST a retriever's run", "retriever", "POST", "/v1/retrievers/{}/execute", {}
    yield "GET under a namespace", "namespace", "GET", "/v1/buckets", None


class Kind:
    """One kind of call: its pairs so far."""

    def __init__(self, wire, row, ids, chance):
        self.name, self.kind, self.method, self.path, self.body = row
        absent = set()
        while len(absent) < len(ids):
            absent |= {absent_like(chance.choice(ids), chance)} - set(ids)
        self.asked = [[(each, self.request(wire, each)) for each in side]
                      for side in (ids, sorted(absent))]
        self.gaps, self.times, self.answers = [], [], {}

    def request(self, wire, ident):
        namespace = ident if self.name == "GET under a namespace" else None
        return wire.request(self.method, self.path.format(ident), self.body, namespace)

    def pair(self, wire, chance):
        took = [0, 0]
        for side in chance.choice(((0, 1), (1, 0))):
            ident, request = chance.choice(self.asked[side])
            head, body, took[side] = wire.call(request)
            text = PASSING.sub("", body.decode()).replace(ident, "ID")
            head = HEADERS.sub(b"", head + b"\r\n").replace(ident.encode(), b"ID")
            head = re.sub(rb"(?i)(content-length): \d+", rb"\1", head)
            self.answers.setdefault((head, text), set()).add(side)
        self.gaps.append(took[0] - took[1])
        self.times += took

    def z(self):
        """Of how often what is there was slower: normal without a difference."""
        slower = sum(gap > 0 for gap in self.gaps)
        ties = sum(gap == 0 for gap in self.gaps)
        count = len(self.gaps) - ties
        return (slower - count / 2) / (count / 4) ** 0.5 if count else 0.0

    def told(self):
        gap, middle = statistics.median(self.gaps), statistics.median(self.times)
        return (f"{self.name}: {len(self.gaps)} pairs, median {middle / 1e3:.1f} us, what exists "
                f"{gap / 1e3:+.2f} us ({gap / middle:+.2%}), z {self.z():+.1f}")

    def differs(self, is_lenient):
        part = abs(statistics.median(self.gaps)) / statistics.median(self.times)
        return abs(self.z()) > Z_MAX and (not is_lenient or part > LENIENT_PART)


def check_answers(found):
    for each in found:
        statuses = {head.split(b" ", 2)[1] for head, _ in each.answers}
        lib.equal(statuses, {b"404" if each.name not in EMPTY else b"200"}, each.name)
        for (head, text), sides in each.answers.items():
            lib.equal(sides, {0, 1}, f"{each.name}: who gets {head!r} {text!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=10000, help="of each kind")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--lenient", action="store_true")
    parser.add_argument("--only", default="", help="kinds that have this in their name")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    server = lib.Server().start()
    owner, other = Owner(server, "owner", EACH), Owner(server, "other", EACH)
    owner.ids["tenant"] = ["owner"]
    owner.note_events()
    wire = Wire(server.port, other.client.key, other.client.namespace)
    found = [Kind(wire, row, owner.ids[row[1]], chance) for row in kinds(other.ids)
             if options.only in row[0]]
    known = Kind(wire, ("GET one's own object", "object", "GET", f"/v1/buckets/"
                        f"{other.ids['bucket'][0]}/objects/{{}}", None),
                 other.ids["object"], chance)
    for _ in range(20):  # Files, caches and the interpreter are warm.
        for each in (*found, known):
            each.pair(wire, chance)
    for each in (*found, known):
        each.gaps.clear()
        each.times.clear()
    began = time.monotonic()
    for _ in range(options.pairs):
        for each in (*found, known):
            each.pair(wire, chance)
    print(f"{len(found)} kinds, {time.monotonic() - began:.0f} s", flush=True)
    for each in (*found, known):
        print(each.told(), flush=True)
    with lib.check("another tenant's id is answered as one that is not there"):
        check_answers(found)
    if not options.lenient:
        with lib.check("the test sees a difference where there is one"):
            assert known.z() > Z_MAX, known.told()
    with lib.check(f"no difference of time is found over {options.pairs} pairs of each kind"):
        lib.equal([each.told() for each in found if each.differs(options.lenient)], [])
    with lib.check("nothing of the owner's has changed"):
        for kind, path in (("bucket", "/v1/buckets/{}"), ("collection", "/v1/collections/{}"),
                           ("document", "/v1/documents/{}")):
            for each in owner.ids[kind]:
                owner.client.get(path.format(each)).expect(200)
    server.stop()
    lib.finish()


if __name__ == "__main__":
    main()
