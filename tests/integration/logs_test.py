#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lines of processes: found by tenant and job, each tenant's its own alone, by pages and by
following; a replica that prints without end pushes out nobody's lines, and no key is told."""
import json
import os
import tempfile
import urllib.parse

import sluice_testlib as lib
from faults_test import compile_plugin

SCRIPT = "<script>window.pwned=1</script>"
KEY = "sk_0123456789abcdefghijABCDEFGHIJ0123456789"


def logs(client, **query):
    return client.get("/v1/cluster/logs?" + urllib.parse.urlencode(query)).expect(200)


def all_lines(client, **query):
    lines, cursor = [], {}
    while True:
        page = logs(client, limit=500, **query, **cursor)
        lines = page["results"] + lines
        if "next_cursor" not in page["pagination"]:
            return lines
        cursor = {"cursor": page["pagination"]["next_cursor"]}


class Tenant:
    def __init__(self, server, name):
        self.name, self.client = name, server.tenant(name)
        self.client.namespace = self.client.make("namespace", name, feature_extractors=lib.BOTH)
        self.buckets = {}

    def work(self, extractor, text):
        """Have an extractor process a text; return the job's id."""
        if extractor not in self.buckets:
            self.buckets[extractor] = self.client.make(
                "bucket", extractor.replace("_", "-"),
                bucket_schema={"properties": {"content": {"type": "text"}}})
            self.client.make("collection", extractor, source={
                "type": "bucket", "bucket_ids": [self.buckets[extractor]]}, feature_extractor={
                    "feature_extractor_name": extractor, "version": "v1",
                    "input_mappings": {"content": "content"}})
        bucket = self.buckets[extractor]
        ids = self.client.make_objects(bucket, [lib.text_object(text)])
        _, task = self.client.submit(bucket, ids)
        self.client.wait_task(task)
        return self.client.get("/v1/cluster/jobs").expect(200)["results"]


def has_line(client, part, **query):
    def found():
        return any(part in line["message"] for line in all_lines(client, q=part, **query))
    lib.wait_until(f"a line has {part}", found, 60)
    return [line for line in all_lines(client, q=part, **query) if part in line["message"]]


def check_ids(server, tenants):
    operator, (acme, other) = server.operator(), tenants
    acme.work("log_extractor", f"apricot {SCRIPT} {KEY}")
    other.work("log_extractor", "blueberry")
    line = has_line(operator, "said=\"apricot")[0]
    with lib.check("a replica's line says its tenant, job, node, extractor and severity"):
        lib.equal((line["tenant_id"], line["extractor"], line["severity"], line["event"]),
                  ("acme", "log_extractor", "warning", "extractor"), line)
        assert line["job_id"] and line["node_id"] and line["pid"] and line["role"] == "replica"
    with lib.check("the line is found by tenant and job"):
        found = all_lines(operator, tenant="acme", job_id=line["job_id"], extractor="log_extractor")
        assert line["log_id"] in [one["log_id"] for one in found], found
        assert not [one for one in found if "blueberry" in one["message"]], found
        job = acme.client.get(f"/v1/cluster/jobs/{line['job_id']}/trace").expect(200)
        lib.equal(job["job_id"], line["job_id"])
    with lib.check("a key is blanked, and script is text"):
        assert SCRIPT in line["message"] and KEY not in json.dumps(all_lines(operator)), line
    has_line(operator, "printed blueberry")
    with lib.check("a tenant sees lines about it alone"):
        for tenant, foreign in ((acme, "blueberry"), (other, "apricot")):
            seen = all_lines(tenant.client)
            assert seen and {one["tenant_id"] for one in seen} == {tenant.name}, seen
            assert foreign not in json.dumps(seen), seen
        tenant_id = urllib.parse.quote(other.name)
        acme.client.get(f"/v1/cluster/logs?tenant={tenant_id}").expect(404)
    return line


def check_pages(operator):
    with lib.check("pages have all lines once, and following has those that come"):
        place = logs(operator, limit=1)["pagination"]["follow_cursor"]
        whole, small, cursor = all_lines(operator), [], {}
        while True:
            page = logs(operator, limit=7, **cursor)
            small = page["results"] + small
            if "next_cursor" not in page["pagination"]:
                break
            cursor = {"cursor": page["pagination"]["next_cursor"]}
        ids = [line["log_id"] for line in small]
        lib.equal(len(ids), len(set(ids)))
        assert ids == sorted(ids) and {one["log_id"] for one in whole} <= set(ids)
        new = logs(operator, cursor=place)
        assert all(one["log_id"] > small[0]["log_id"] for one in new["results"])
    with lib.check("what is asked wrongly is refused"):
        for query in ("severity=loud", "cursor=x", "since=yesterday", "limit=0", "limit=501"):
            operator.get(f"/v1/cluster/logs?{query}").expect(422)


def check_cap(server, acme, quiet):
    operator = server.operator()
    acme.work("spam_extractor", "SPAM")
    has_line(operator, "spam number 1", extractor="spam_extractor")
    with lib.check("one that prints without end leaves others' lines, and has a bounded part"):
        has_line(operator, "said=\"apricot")
        lines = all_lines(operator, extractor="spam_extractor")
        assert sum(len(line["message"]) for line in lines) < 256 << 10, len(lines)
        lib.equal([one["log_id"] for one in all_lines(operator, q="said=\"apricot")],
                  [quiet["log_id"]])


def check_verb(server, acme):
    with lib.check("sluice logs prints them, as text and as JSON"):
        ran = server.run("logs", "--q", "apricot", "--severity", "warning", key=acme.client.key)
        assert ran.returncode == 0 and "apricot" in ran.stdout, ran
        ran = server.run("logs", "--json", "--tenant", "acme", key=server.operator().key)
        assert {json.loads(line)["tenant_id"] for line in ran.stdout.splitlines()} == {"acme"}, ran
    with lib.check("sluice logs --follow prints what comes"):
        process = server.begin("logs", "--follow", "--q", "cherry", key=acme.client.key)
        try:
            acme.work("log_extractor", "cherry")
            assert "cherry" in process.stdout.readline()
        finally:
            process.kill()
            process.communicate()


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name in ("log_extractor", "spam_extractor"):
            compile_plugin(folder, name, "log_plugin.c")
        config = os.path.join(folder, "sluice.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"plugins: {folder}\n")
        server = lib.Server(config, is_split=False)
        server.start()
        tenants = [Tenant(server, name) for name in ("acme", "other")]
        line = check_ids(server, tenants)
        check_pages(server.operator())
        check_cap(server, tenants[0], line)
        check_verb(server, tenants[0])
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
