#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a head keeps of traces by itself: slow requests with their phases, and runs of a job."""
import json

import sluice_testlib as lib

PATH = "/v1/cluster/slow_requests"
RUN = ["wait", "lease", "node wait", "batch wait", "compute", "record"]


def make(server, name):
    client = server.tenant(name)
    client.namespace = client.make("namespace", name, feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "b", bucket_schema={"properties": {}})
    client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"}})
    return client, bucket


def check_phases(what, names=None):
    """One after the other, within the whole; those within another after it has begun."""
    at, whole = 0, None
    outer = [p for p in what["phases"] if "within" not in p]
    if names:
        lib.equal([p["phase"] for p in outer], names, what)
    for phase in what["phases"]:
        end = phase["start_us"] + phase["duration_us"]
        if "within" in phase:
            lib.equal(phase["within"], whole["phase"])
            assert whole["start_us"] <= phase["start_us"], what
            assert end <= whole["start_us"] + whole["duration_us"] + 1, what
        else:
            assert at <= phase["start_us"] + 1, what
            at, whole = end, phase
    assert at <= what["duration_us"] + 1, what


def check_batch(server, client, bucket):
    objects = client.make_objects(bucket, [lib.text_object(f"text {i}") for i in range(40)])
    _, job = client.submit(bucket, objects)
    client.wait_task(job)
    with lib.check("of a job the runs that took longest are kept, with their phases"):
        trace = client.get(f"/v1/cluster/jobs/{job}/trace").expect(200)
        lib.equal(trace["leases_seen"], 40)
        lib.equal(len(trace["leases"]), 24)
        for lease in trace["leases"]:
            lib.equal((lease["outcome"], lease["attempt"], lease["extractor"]),
                      ("done", 1, "text_extractor"))
            check_phases(lease, RUN)
    with lib.check("an operator sees them of a tenant that it names, others none"):
        path = f"/v1/cluster/jobs/{job}/trace?tenant_id=acme"
        lib.equal(len(server.operator().get(path).expect(200)["leases"]), 24)
        lib.equal(server.tenant("other").get(path).status, 404)


def check_requests(server, client):
    page = client.get(PATH + "?limit=200").expect(200)["results"]
    with lib.check("requests are kept with their phases, the slowest first"):
        assert page, "none is kept"
        for one in page:
            lib.equal(one["tenant_id"], "acme")
            check_phases(one)
        took = [one["duration_us"] for one in page]
        lib.equal(took, sorted(took, reverse=True))
        makes = [one for one in page if one["operation"] == "POST /v1/collections"]
        lib.equal([p["phase"] for p in makes[0]["phases"]][-2:], ["run", "commit"])
    with lib.check("pages follow each other, and have each once"):
        found, cursor = [], ""
        while cursor is not None:
            part = client.get(f"{PATH}?limit=3&sort=-started_at{cursor}").expect(200)
            found += [one["request_id"] for one in part["results"]]
            following = part["pagination"].get("next_cursor")
            cursor = f"&cursor={following}" if following else None
            assert len(found) < 2000, "it does not end"
        lib.equal(len(set(found)), len(found), "each once")
        assert len(found) >= len(page), "one makes room for a slower one alone"
    with lib.check("another tenant's are not seen, and the operator sees all"):
        third = server.tenant("third")
        other = third.get(PATH).expect(200)["results"]
        assert all(one["tenant_id"] == "third" for one in other), other
        lib.equal(third.get(PATH + "?tenant_id=acme").status, 404)
        seen = server.operator().get(PATH + "?limit=200&tenant_id=acme").expect(200)["results"]
        assert seen and all(one["tenant_id"] == "acme" for one in seen), seen
    with lib.check("they are found by operation and by how long they took"):
        named = client.get(PATH + "?q=/v1/collections").expect(200)["results"]
        assert named and all("/v1/collections" in one["operation"] for one in named), named
        lib.equal(client.get(PATH + "?min_ms=3600000").expect(200)["results"], [])
        for bad in ("sort=duration", "min_ms=-1", "cursor=xyz", "limit=0"):
            lib.equal(client.get(f"{PATH}?{bad}").status, 422, bad)


def check_wait(client):
    with lib.check("a request that waits for what may come is not slow"):
        client.get("/v1/cluster/events?follow=true&wait_ms=1500")
        page = client.get(PATH + "?q=/v1/cluster/events").expect(200)["results"]
        lib.equal(page, [])


def check_cli(server):
    with lib.check("sluice slow says where the time of each went"):
        ran = server.run("slow", "--limit", "200", key=server.operator().key)
        lib.equal(ran.returncode, 0, ran.stderr)
        assert "/v1/" in ran.stdout and ", commit" in ran.stdout, ran.stdout
        ran = server.run("slow", "--json", "--latest", "--min-ms", "0", "--tenant", "acme",
                         key=server.operator().key)
        assert len(json.loads(ran.stdout)["results"]) > 0, ran.stdout
        lib.equal(server.run("slow", "fast", key=server.operator().key).returncode, 2)


def main():
    server = lib.Server()
    server.start()
    client, bucket = make(server, "acme")
    check_batch(server, client, bucket)
    check_requests(server, client)
    check_wait(client)
    check_cli(server)
    lib.finish()


if __name__ == "__main__":
    main()
