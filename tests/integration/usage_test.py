#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What was used, as reports tell it: equal to what is there and to what clients were told, also
where the server was killed in the middle of it."""
import contextlib
import csv
import functools
import http.client
import io
import random
import threading

import sluice_testlib as lib

KILLS = 3
ANSWERS = 25  # Of each kind, between two kills.


class Load:
    """Threads that make objects, put jobs and read, and count what they were told."""

    def __init__(self, client, bucket):
        self.client, self.bucket = client, bucket
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.told = {"object": 0, "job": 0, "read": 0}
        self.sent = dict(self.told)
        self.threads = [threading.Thread(target=self.run, args=(kind,)) for kind in self.told]

    def call(self, kind):
        if kind == "object":
            return self.client.post(f"/v1/buckets/{self.bucket}/objects",
                                    {"number": self.sent[kind], "content": "text"})
        if kind == "job":
            return self.client.post("/v1/queues/q/jobs", {"jobs": [{"payload": 1}, {"payload": 2}]})
        return self.client.get("/v1/namespaces")

    def run(self, kind):
        while not self.stopping.is_set():
            self.sent[kind] += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                reply = self.call(kind)
                if reply.status < 300:
                    with self.lock:
                        self.told[kind] += 1

    def wait_for_answers(self):
        """So many more of each kind: a kill then meets all of them."""
        before = dict(self.told)
        lib.wait_until("answers", lambda: all(self.told[k] >= n + ANSWERS
                                              for k, n in before.items()), 60)


def report(client, query=""):
    """Not of this month, which may end in the middle of a test."""
    path = "/v1/organizations/usage?period=last_30_days"
    return client.get(path + query.replace("?", "&", 1)).expect(200)


def amount(client, resource, query=""):
    groups = report(client, f"?resource_type={resource}{query}")["groups"]
    return sum(group["amount"] for group in groups)


def count_objects(client, bucket):
    reply = client.post(f"/v1/buckets/{bucket}/objects/list?include_total=true", {"limit": 1})
    return reply.expect(200)["pagination"]["total"]


def check_kills(server, client, bucket):
    load = Load(client, bucket)
    chance = random.Random(8)
    for thread in load.threads:
        thread.start()
    try:
        for _ in range(KILLS):
            load.wait_for_answers()
            threading.Event().wait(chance.random() * 0.2)  # Anywhere between two records.
            server.kill_all()
            server.start()
        load.wait_for_answers()
    finally:
        load.stopping.set()
        for thread in load.threads:
            thread.join()
    objects, jobs = count_objects(client, bucket), client.get("/v1/queues/q").expect(200)["depth"]
    with lib.check("after kills, as many writes are recorded as are there, none twice"):
        told, sent = load.told, load.sent
        assert told["object"] <= objects <= sent["object"], (told, sent, objects)
        assert 2 * told["job"] <= jobs <= 2 * sent["job"], (told, sent, jobs)
        lib.equal(amount(client, "jobs"), jobs, "the jobs of the ledger")
        lib.equal(amount(client, "requests", "&route=put_own_jobs&status=200"), jobs // 2)
        lib.equal(amount(client, "requests", "&route=create_object&status=200")
                  + amount(client, "requests", "&route=create_object&status=201"), objects)
    with lib.check("reads are never more than were sent"):
        reads = amount(client, "requests", "&route=list_namespaces&status=200")
        assert 0 < reads <= load.sent["read"], (reads, load.sent)


def check_tasks(server, client, bucket, collection):
    with lib.check("documents are recorded once each, though replicas and the server die"):
        objects = client.make_objects(bucket, [{"number": n, "content": "x"} for n in range(300)])
        _, task = client.submit(bucket, objects)
        lib.wait_until("documents", lambda: amount(client, "documents") > 0, 60)
        server.kill_all()
        server.start()
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
        documents = client.documents(collection)
        lib.equal(amount(client, "documents"), len(documents), "the documents of the ledger")
        lib.equal(amount(client, "tasks"), len(objects), "the tasks of the ledger")
        group, = report(client, "?resource_type=documents&group_by=collection,extractor")["groups"]
        lib.equal((group["key"]["collection"], group["key"]["extractor"], group["unit"]),
                  (collection, "passthrough_extractor_v1", "document"))


def check_room(server, client, bucket, collection):
    with lib.check("a batch writes no more documents than the tenant may have"):
        most = len(client.documents(collection)) + 1
        set_limits = functools.partial(server.operator().call, "PUT", "/v1/tenants/meter/quotas")
        set_limits({"limits": {"max_embeddings": most}}).expect(200)
        objects = client.make_objects(bucket, [{"number": n, "content": "y"} for n in range(3)])
        batch, task = client.submit(bucket, objects)
        lib.equal(client.wait_task(task)["status"], "COMPLETED_WITH_ERRORS")
        lib.equal(len(client.documents(collection)), most)
        failed = client.get(f"/v1/buckets/{bucket}/batches/{batch}/failed-documents").expect(200)
        assert "quota_exceeded" in str(failed), failed
        set_limits({"limits": {"max_embeddings": None}}).expect(200)


def check_report(server, client):
    with lib.check("the groups of a report add up to its sums, in whatever they are grouped by"):
        whole = report(client, "?group_by=day,route,status,key,namespace")
        lib.equal(sum(g["amount"] for g in whole["groups"]
                      if g["key"]["resource_type"] == "requests"), whole["total_requests"])
        lib.equal(sum(day["requests"] for day in whole["by_day"]), whole["total_requests"])
        lib.equal(sum(whole["by_status"].values()), whole["total_requests"])
        assert abs(sum(g["cost"] for g in whole["groups"]) - whole["total_cost"]) < 1e-9
    with lib.check("the same as comma-separated values, and on the command line"):
        reply = client.get("/v1/organizations/usage?group_by=status&resource_type=documents"
                           "&format=csv")
        lib.equal((reply.status, reply.headers["Content-Type"]), (200, "text/csv; charset=utf-8"))
        row, = csv.DictReader(io.StringIO(reply.text.decode()))
        lib.equal((row["resource_type"], int(row["amount"])),
                  ("documents", amount(client, "documents")))
        ran = server.run("usage", "--group-by", "status", "--csv", key=client.key)
        assert ran.returncode == 0 and ran.stdout.startswith("status,resource_type,amount"), ran
        ran = server.run("usage", key=client.key)
        assert ran.returncode == 0 and "documents" in ran.stdout, ran
        ran = server.run("usage", "--tenant", "meter", "--json", key=server.operator().key)
        assert ran.returncode == 0 and '"tenant_id":"meter"' in ran.stdout, ran
        lib.equal(server.run("usage", "--period", "never", key=client.key).returncode, 4)
    with lib.check("a budget is told of in percent"):
        made = server.operator().post("/v1/tenants", {
            "tenant_id": "budget", "name": "budget", "plan": "scale",
            "config": {"budget_limit": 0.0001}}).expect(201)
        other = lib.Client(server.port, made["api_key"])
        other.get("/v1/namespaces").expect(200)
        lib.equal(round(report(other)["quota_percentage"], 6), 1.0)
        lib.equal(report(client)["quota_percentage"], None)
        other.get("/v1/tenants/meter/usage").expect(404)


def main():
    server = lib.Server().start()
    client = server.tenant("meter")
    client.namespace = client.make("namespace", "meter", feature_extractors=lib.BOTH)
    client.call("PUT", "/v1/queues/q", {}).expect(200)
    killed = client.make("bucket", "killed", bucket_schema={"properties": {}})
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    collection = client.make(
        "collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
        feature_extractor={"feature_extractor_name": "passthrough_extractor", "version": "v1",
                           "input_mappings": {"content": "content"},
                           "field_passthrough": ["number"]})
    check_kills(server, client, killed)
    check_tasks(server, client, bucket, collection)
    check_room(server, client, bucket, collection)
    check_report(server, client)
    with lib.check("it stops when asked, and forgets nothing that it answered"):
        before = report(client)["total_requests"]
        lib.equal(server.stop(), 0, "the exit status")
        server.start()
        lib.equal(report(client)["total_requests"], before + 1)
    lib.finish()


if __name__ == "__main__":
    main()
