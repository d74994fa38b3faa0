#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A tenant's own queues over HTTP: put, lease, end, look and change; two tenants, and a kill."""
import base64
import json
import os
import socket
import tempfile
import threading
import time

import sluice_testlib as lib

ORDERS = "/v1/queues/orders"
IS_SPLIT = os.environ.get("SLUICE_SPLIT") == "1"


def put(client, *jobs, queue=ORDERS):
    """The results of jobs that are all taken."""
    reply = client.post(f"{queue}/jobs", {"jobs": list(jobs)}).expect(200)
    lib.equal(reply["refused"], 0, f"refused of {reply}")
    return [item["job_id"] for item in reply["results"]]


def lease(client, queue=ORDERS, **what):
    return client.post(f"{queue}/lease", what).expect(200)["jobs"]


def end(client, *ends, queue=ORDERS, **more):
    return client.post(f"{queue}/ends", {"ends": list(ends), **more}).expect(200)


def done(job, **more):
    return {"job_id": job["job_id"], "epoch": job["epoch"], "outcome": "done", **more}


def depth_of(client, queue=ORDERS):
    return client.get(queue).expect(200)["depth"]


def job_of(client, job_id, queue=ORDERS):
    return client.get(f"{queue}/jobs/{job_id}").expect(200)


def drain(client, queue=ORDERS):
    """Work off all that is ready; the payloads."""
    payloads = []
    while True:
        jobs = lease(client, queue, n=100)
        if not jobs:
            return payloads
        payloads += [job.get("payload") for job in jobs]
        for item in end(client, *(done(job) for job in jobs), queue=queue)["results"]:
            lib.equal(item["success"], True, str(item))


def test_jobs(acme, other):
    with lib.check("a queue is made once, and is its tenant's alone"):
        acme.get(ORDERS).expect(404)
        acme.post(f"{ORDERS}/jobs", {"jobs": [{"payload": 1}]}).expect(404)
        found = acme.call("PUT", ORDERS, {"running_max": 50}).expect(200)
        lib.equal((found["queue"], found["running_max"], found["mode"]), ("orders", 50, "open"))
        lib.equal(acme.call("PUT", ORDERS, {"running_max": 2}).expect(200)["running_max"], 50)
        for name in ("cpu", "-", ".x", "a%20b", "x" * 65):
            acme.call("PUT", f"/v1/queues/{name}", {}).expect(422)
        other.get(ORDERS).expect(404)
        other.call("PATCH", ORDERS, {"mode": "paused"}).expect(404)
        lib.equal(other.get("/v1/queues").expect(200)["results"], [])
        lib.equal([q["queue"] for q in acme.get("/v1/queues").expect(200)["results"]], ["orders"])
    with lib.check("a job is put, leased, ended with a result, and kept"):
        job_id, = put(acme, {"payload": {"n": 1.50}, "retain_ms": 60000, "priority": 3})
        found = job_of(acme, job_id)
        lib.equal((found["state"], found["priority"], found["payload"]), ("queued", 3, {"n": 1.5}))
        for path in (f"{ORDERS}/jobs/{job_id}", f"/v1/queues/-/jobs/{job_id}"):
            other.get(path).expect(404)
        job, = lease(acme, worker="w1")
        lib.equal((job["job_id"], job["payload"], job["attempts"]), (job_id, {"n": 1.5}, 0))
        lib.equal(job_of(acme, job_id)["lease"]["epoch"], job["epoch"])
        reply = end(acme, done(job, result=[1, "ä"]))
        lib.equal((reply["results"][0]["success"], reply["jobs"]), (True, []))
        found = acme.get(f"/v1/queues/-/jobs/{job_id}").expect(200)
        lib.equal((found["state"], found["result"]), ("succeeded", [1, "ä"]))
        again = end(acme, done(job))["results"][0]
        lib.equal((again["success"], again["error"]["type"]), (False, "StaleLeaseError"))
    with lib.check("bytes that are no JSON come back as base64"):
        text = base64.b64encode(b"\0\xff plain").decode()
        job_id, = put(acme, {"payload_base64": text})
        lib.equal(job_of(acme, job_id)["payload_base64"], text)
        job, = lease(acme)
        lib.equal(job["payload_base64"], text)
        end(acme, done(job))
        acme.get(f"{ORDERS}/jobs/{job_id}").expect(404)  # It was not to be kept.
    with lib.check("priorities come first, then the order of putting"):
        put(acme, *({"payload": n, "priority": p} for n, p in ((1, 0), (2, 9), (3, 9), (4, 5))))
        found = acme.get(f"{ORDERS}/peek?limit=3").expect(200)["results"]
        lib.equal([job["payload"] for job in found], [2, 3, 4])
        lib.equal(drain(acme), [2, 3, 4, 1])


def test_wrong(acme, server):
    with lib.check("what cannot be is refused with its type, and changes nothing"):
        before = acme.get(ORDERS).expect(200)
        for job in ({"delay_ms": -1}, {"priority": 10}, {"expires_ms": -5},
                    {"retry": {"kind": "x"}}, {"eta": "soon"}, {"payload_base64": 5}):
            reply = acme.post(f"{ORDERS}/jobs", {"jobs": [{"payload": 1}, job]}).expect(422)
            lib.equal(reply["error"]["type"], "ValidationError")
        acme.post(f"{ORDERS}/jobs", {"jobs": []}).expect(422)
        acme.post(f"{ORDERS}/jobs", {}).expect(422)
        acme.call("PATCH", ORDERS, {"weight": 0}).expect(422)
        acme.call("PATCH", ORDERS, {"weight": 5}).expect(403)
        server.operator().call("PATCH", "/v1/cluster/queues/acme:orders", {"weight": 0}).expect(422)
        acme.call("PATCH", ORDERS, {"rate": 5}).expect(422)
        for what in ({"n": 0}, {"n": 1001}, {"wait_ms": 30001}, {"duration_ms": 5}):
            acme.post(f"{ORDERS}/lease", what).expect(422)
        acme.post("/v1/queues/none/lease", {}).expect(404)
        acme.post("/v1/queues/none/ends", {"ends": []}).expect(404)
        acme.post("/v1/queues/none/extend", {"leases": []}).expect(404)
        acme.get("/v1/queues/none/jobs").expect(404)
        acme.get(f"{ORDERS}/jobs?state=lost").expect(422)
        acme.get(f"{ORDERS}/jobs/job_123").expect(404)
        after = acme.get(ORDERS).expect(200)
        lib.equal(after, before, "the queue")
    with lib.check("in a bulk each stands or falls by itself"):
        reply = acme.post(f"{ORDERS}/jobs", {"jobs": [
            {"payload": "x" * 65534}, {"payload": "x" * 65535}, {"payload_base64": "=="},
            {"payload": 1, "payload_base64": "MQ=="},
            {"delay_ms": 5, "eta": "2030-01-01T00:00:00Z"},
            {"retry": {"base_ms": 500, "cap_ms": 100}}, {"payload": 7}]}).expect(200)
        lib.equal((reply["accepted"], reply["refused"]), (2, 5))
        lib.equal([item.get("error", {}).get("type") for item in reply["results"]],
                  [None, "PayloadTooLargeError"] + ["ValidationError"] * 4 + [None])
        lib.equal(drain(acme)[1:], [7])
    with lib.check("an end or an extension with another epoch is refused, and the lease goes on"):
        job_id, = put(acme, {"payload": "held"})
        job, = lease(acme, duration_ms=60000)
        wrong = [{**done(job), "epoch": epoch} for epoch in ("1", "zz", "", "f" * 16, "f" * 17)]
        wrong += [{**done(job), "job_id": "job_0"}, {**done(job), "job_id": "job_" + "f" * 16}]
        for item in end(acme, *wrong)["results"]:
            lib.equal(item["error"]["type"], "StaleLeaseError")
        reply = acme.post(f"{ORDERS}/extend", {"leases": [
            {"job_id": job_id, "epoch": "1"},
            {"job_id": job_id, "epoch": job["epoch"]}]}).expect(200)
        lib.equal([item["success"] for item in reply["results"]], [False, True])
        lib.equal(job_of(acme, job_id)["state"], "running")
        big = end(acme, done(job, result="x" * 65535))["results"][0]
        lib.equal(big["error"]["type"], "PayloadTooLargeError")
        lib.equal(end(acme, done(job), done(job))["results"][1]["error"]["type"], "StaleLeaseError")


def test_ends(acme):
    with lib.check("failed, snoozed, released and crashed are counted apart; the last try is dead"):
        job_id, = put(acme, {"payload": 1, "retry": {"kind": "fixed", "base_ms": 1, "cap_ms": 1,
                                                     "attempts_max": 2}})
        for outcome in ("released", "snoozed", "failed"):
            job, = lease(acme, wait_ms=5000)
            end(acme, {**done(job), "outcome": outcome, "after_ms": 1, "error": f"{outcome} ä"})
        job, = lease(acme, wait_ms=5000)
        lib.equal((job["attempts"], job["crashes"], job["snoozes"]), (1, 0, 1))
        end(acme, {**done(job), "outcome": "failed", "error": "boots do not fit"})
        found = job_of(acme, job_id)
        lib.equal((found["state"], found["attempts"]), ("dead", 2))
        assert "boots do not fit" in found["error"], found
        acme.post(f"{ORDERS}/jobs/{job_id}/cancel").expect(409)
        acme.call("PATCH", f"{ORDERS}/jobs/{job_id}", {"priority": 1}).expect(409)
    with lib.check("a dead job is found, and begins again edited"):
        found = acme.get(f"{ORDERS}/jobs?state=dead&include_payload=true").expect(200)["results"]
        lib.equal([(job["job_id"], job["payload"]) for job in found], [(job_id, 1)])
        acme.post(f"{ORDERS}/jobs/{job_id}/retry", {"payload": {"fits": True}}).expect(200)
        job, = lease(acme)
        lib.equal(job["payload"], {"fits": True})
        reply = end(acme, done(job), next=1)
        lib.equal(reply["jobs"], [])
    with lib.check("an end brings the next job, also where only one may run"):
        acme.call("PATCH", ORDERS, {"running_max": 1}).expect(200)
        put(acme, {"payload": 1}, {"payload": 2})
        job, = lease(acme, n=5)
        lib.equal(lease(acme), [])
        job, = end(acme, done(job), next=5)["jobs"]
        lib.equal(job["payload"], 2)
        end(acme, done(job))
        acme.call("PATCH", ORDERS, {"running_max": 0}).expect(200)


def test_lost(acme):
    queue = "/v1/queues/lost"
    acme.call("PUT", queue, {}).expect(200)
    held = {"worker": "ann", "prefetched": True}
    with lib.check("only what a worker had begun is counted when it dies, and why it died is kept"):
        put(acme, *({"payload": n} for n in range(3)), queue=queue)
        jobs = lease(acme, queue, n=3, **held)
        item = {"job_id": jobs[1]["job_id"], "epoch": jobs[1]["epoch"], "begun": True}
        reply = acme.post(f"{queue}/extend", {"leases": [item]}).expect(200)
        lib.equal(reply["results"][0]["success"], True)
        why = {"signal": 9, "peak_bytes": 1 << 30, "error": "loading\nout of memory"}
        acme.post(f"{queue}/ends", {"ends": [], "lost": why}).expect(422)
        lib.equal(end(acme, queue=queue, worker="eve", lost=why)["lost"], 0)
        lib.equal(end(acme, queue=queue, worker="ann", lost=why)["lost"], 3)
        again = lease(acme, queue, n=3)
        lib.equal([(job["payload"], job["crashes"]) for job in again], [(0, 0), (2, 0), (1, 1)])
        lib.equal(job_of(acme, jobs[1]["job_id"], queue)["error"],
                  "its process died of signal 9 SIGKILL, peak memory 1073741824 bytes\n"
                  "loading\nout of memory")
        lib.equal(end(acme, done(jobs[0]), queue=queue)["results"][0]["success"], False)
        end(acme, *(done(job) for job in again), queue=queue)
    with lib.check("three such deaths set the culprit apart, and the reason is shown"):
        job_id, = put(acme, {"payload": 1}, queue=queue)
        for _ in range(3):
            lease(acme, queue, n=1, **held)
            end(acme, queue=queue, worker="ann", lost=why)
        found = job_of(acme, job_id, queue)
        lib.equal((found["state"], found["crashes"]), ("quarantined", 3))
        assert found["error"].endswith("out of memory"), found
        acme.call("DELETE", f"{queue}/jobs/{job_id}").expect(200)


def put_results(client, *jobs):
    return client.post(f"{ORDERS}/jobs", {"jobs": list(jobs)}).expect(200)["results"]


def test_keys(server, acme, other):
    with lib.check("a job put again under its key is the one that holds it, over a kill too"):
        first, again, third = put_results(acme, *({"payload": n, "key": "k"} for n in (1, 2, 3)))
        lib.equal(first.get("existing"), None)
        lib.equal([(r["job_id"], r["existing"], r["state"]) for r in (again, third)],
                  [(first["job_id"], True, "queued")] * 2)
        other.call("PUT", ORDERS, {}).expect(200)
        theirs, = put_results(other, {"payload": 1, "key": "k"})
        lib.equal(theirs.get("existing"), None, "another tenant's key")
        lib.equal(drain(other), [1])
        server.kill_all()
        server.start()
        found, = put_results(acme, {"payload": 4, "key": "k"})
        lib.equal((found["job_id"], found["existing"]), (first["job_id"], True))
        lib.equal(drain(acme), [1])
        free, = put_results(acme, {"payload": 5, "key": "k"})
        assert free["job_id"] != first["job_id"] and "existing" not in free, free
        lib.equal(drain(acme), [5])
    with lib.check("who repeats a submit gets the result of the first"):
        job = {"payload": 1, "key": "paid", "mode": "ttl", "window_ms": 600000, "retain_ms": 600000}
        first, = put_results(acme, job)
        leased, = lease(acme)
        end(acme, done(leased, result={"receipt": 7}))
        again, = put_results(acme, {**job, "payload": 2})
        lib.equal((again["job_id"], again["state"], again["result"]),
                  (first["job_id"], "succeeded", {"receipt": 7}))
        acme.call("DELETE", f"{ORDERS}/jobs/{first['job_id']}").expect(200)
    with lib.check("a debounced job takes the newest payload, and is put off"):
        job = {"payload": 1, "key": "typed", "mode": "debounce", "window_ms": 200}
        first, = put_results(acme, job)
        again, = put_results(acme, {**job, "payload": 2})
        lib.equal((again["job_id"], again["existing"], again["replaced"]),
                  (first["job_id"], True, True))
        leased, = lease(acme, wait_ms=5000)
        lib.equal(leased["payload"], 2)
        end(acme, done(leased))
    with lib.check("many who submit a key at once make one job"):
        found = []

        def submit():
            for _ in range(20):
                found.extend(put_results(acme, *({"payload": 1, "key": f"k{n}"} for n in range(5))))

        threads = [threading.Thread(target=submit) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        lib.equal(len(found), 500)
        lib.equal(len({r["job_id"] for r in found}), 5)
        lib.equal(len(drain(acme)), 5)
    with lib.check("of a concurrency key so many run at once, and its policy holds"):
        limit = {"key": "gpu-1", "limit": 1}
        put(acme, {"payload": 1, "limits": [limit]}, {"payload": 2, "limits": [limit]},
            {"payload": 3})
        jobs = lease(acme, n=9)
        lib.equal(sorted(job["payload"] for job in jobs), [1, 3])
        refused, = put_results(acme, {"limits": [{**limit, "policy": "cancel_newest"}]})
        lib.equal((refused["error"]["type"], refused["code"]), ("RateLimitError", "limit_reached"))
        reply = end(acme, *(done(job) for job in jobs), next=5)
        lib.equal([job["payload"] for job in reply["jobs"]], [2])
        end(acme, done(reply["jobs"][0]))
    with lib.check("keys and limits that cannot be are refused by themselves"):
        wrong = [{"key": "k", "mode": "ttl"}, {"key": "k", "window_ms": 5},
                 {"limits": [{"key": "a", "policy": "cancel_newest"}]},
                 {"limits": [{"key": "a", "limit": 1}, {"key": "a", "limit": 2}]},
                 {"limits": [{"key": "a", "rate": 5}]}, {"delay_ms": 5000, "expires_ms": 100}]
        for result in put_results(acme, *wrong):
            lib.equal(result["error"]["type"], "ValidationError", str(result))
        acme.post(f"{ORDERS}/jobs", {"jobs": [{"key": ""}]}).expect(422)
        acme.post(f"{ORDERS}/jobs", {"jobs": [{"key": "x" * 257}]}).expect(422)
        lib.equal(drain(acme), [])


def in_background(call):
    found = []
    thread = threading.Thread(target=lambda: found.append((call(), time.monotonic())))
    thread.start()
    return thread, found


def wait_waiting(server, count):
    """Until the head has so many calls that wait."""
    page = lib.Client(server.dashboard_port)
    lib.wait_until(f"{count} calls wait",
                   lambda: page.get("/status.json").expect(200)["requests"]["waiting"] == count)


def test_waiting(server, acme):
    with lib.check("a lease waits for a job, and holds up nobody"):
        thread, found = in_background(lambda: lease(acme, wait_ms=30000))
        wait_waiting(server, 1)
        acme.get(ORDERS).expect(200)
        lib.equal(found, [])
        put_at = time.monotonic()
        put(acme, {"payload": "late"})
        thread.join(60)
        job, = found[0][0]
        lib.equal(job["payload"], "late")
        assert found[0][1] - put_at < 15, found[0][1] - put_at  # Not at the end of its time.
        end(acme, done(job))
    with lib.check("it waits for a delayed job, for one given back, and for an opened queue"):
        put(acme, {"payload": "delayed", "delay_ms": 300})
        job, = lease(acme, wait_ms=30000, duration_ms=300)
        lib.equal(job["payload"], "delayed")
        again, = lease(acme, wait_ms=30000)  # The lease lapsed.
        lib.equal((again["payload"], again["epoch"] != job["epoch"]), ("delayed", True))
        lib.equal(end(acme, done(job))["results"][0]["error"]["type"], "StaleLeaseError")
        acme.call("PATCH", ORDERS, {"mode": "paused"}).expect(200)
        end(acme, {**done(again), "outcome": "released"})
        thread, found = in_background(lambda: lease(acme, wait_ms=30000))
        wait_waiting(server, 1)
        lib.equal(found, [])
        acme.call("PATCH", ORDERS, {"mode": "open"}).expect(200)
        thread.join(60)
        job, = found[0][0]
        end(acme, done(job))
    with lib.check("a rate holds jobs back, and lets a waiting lease go on"):
        acme.call("PATCH", ORDERS, {"rate": 1, "rate_period_ms": 400}).expect(200)
        put(acme, {"payload": 1}, {"payload": 2})
        began = time.monotonic()
        jobs = lease(acme, n=2) + lease(acme, n=2, wait_ms=30000)
        lib.equal([job["payload"] for job in jobs], [1, 2])
        took = time.monotonic() - began
        assert 0.3 < took < 15, took
        end(acme, *(done(job) for job in jobs))
        acme.call("PATCH", ORDERS, {"rate": 0, "rate_period_ms": 0}).expect(200)
    test_gone(server, acme)
    with lib.check("with nothing to lease the reply is empty after the time"):
        began = time.monotonic()
        lib.equal(lease(acme, wait_ms=200), [])
        assert 0.15 < time.monotonic() - began < 30


def test_gone(server, acme):
    if IS_SPLIT:  # A gateway does not tell its head.
        lib.skip("a client that goes away while it waits is given nothing")
        return
    with lib.check("a client that goes away while it waits is given nothing"):
        gone = socket.create_connection(("127.0.0.1", acme.port))
        body = b'{"wait_ms": 30000, "worker": "gone"}'
        gone.sendall(b"POST /v1/queues/orders/lease HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                     b"%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                     % (acme.key.encode(), len(body), body))
        wait_waiting(server, 1)
        thread, found = in_background(lambda: lease(acme, wait_ms=30000))
        wait_waiting(server, 2)
        gone.close()
        time.sleep(5)  # Nothing tells when it was seen: only that it is, within two seconds.
        put(acme, {"payload": "whose"})
        thread.join(60)
        job, = found[0][0]
        lib.equal((job["payload"], job["crashes"]), ("whose", 0))
        end(acme, done(job))


def events_of(reply):
    """The frames of a stream: (id, event, data)."""
    found = []
    for frame in reply.text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.split("\n") if ": " in line)
        if "data" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


class Follower(threading.Thread):
    """Follows a job as an EventSource does, until there is no more."""

    def __init__(self, client, job_id, last=None):
        super().__init__()
        self.client, self.path, self.last = client, f"{ORDERS}/jobs/{job_id}/events", last
        self.found, self.status = [], None

    def run(self):
        while self.status in (None, 200):
            headers = {"Last-Event-ID": self.last} if self.last else {}
            reply = self.client.get(self.path, headers=headers)
            self.status = reply.status
            if reply.status != 200:
                return
            for number, name, data in events_of(reply):
                self.found.append((name, data))
                self.last = number

    def names(self):
        return [name for name, _ in self.found]


def test_events(acme, other):
    with lib.check("what happens to a job is followed, to its end"):
        job_id, = put(acme, {"payload": 1})
        other.get(f"{ORDERS}/jobs/{job_id}/events").expect(404)
        acme.get(f"{ORDERS}/jobs/job_{'f' * 16}/events").expect(404)
        followers = [Follower(acme, job_id), Follower(acme, job_id)]
        for follower in followers:
            follower.start()
        lib.wait_until("they follow", lambda: all(f.found for f in followers))
        job, = lease(acme)
        reply = acme.post(f"{ORDERS}/extend", {"leases": [
            {"job_id": job_id, "epoch": job["epoch"], "progress": {"part": 0.5}},
            {"job_id": job_id, "epoch": job["epoch"], "progress": "x" * 2000}]}).expect(200)
        lib.equal([item["success"] for item in reply["results"]], [True, False])
        end(acme, {**done(job), "outcome": "snoozed", "after_ms": 1})
        job, = lease(acme, wait_ms=5000)
        end(acme, done(job))
        for follower in followers:
            follower.join(60)
            names = [name for name in follower.names() if name not in ("ripen", "retry")]
            lib.equal(names, ["state", "lease", "progress", "snooze", "lease", "done"])
            lib.equal(follower.status, 204)
            lib.equal(follower.found[2][1]["progress"], {"part": 0.5})
        other.get(f"{ORDERS}/jobs/{job_id}/events").expect(404)
    with lib.check("who comes again gets what it missed, once"):
        job_id, = put(acme, {"payload": 1, "retain_ms": 60000})
        path = f"{ORDERS}/jobs/{job_id}/events?wait_ms=0"
        (last, name, data), = events_of(acme.get(path))
        lib.equal((name, data["state"]), ("state", "queued"))
        lib.equal(events_of(acme.get(path, headers={"Last-Event-ID": last})), [])
        job, = lease(acme)
        end(acme, done(job))
        missed = events_of(acme.get(path, headers={"Last-Event-ID": last}))
        lib.equal([name for _, name, _ in missed], ["lease", "done"])
        rest = events_of(acme.get(path, headers={"Last-Event-ID": missed[0][0]}))
        lib.equal(rest, missed[1:])
        acme.get(path, headers={"Last-Event-ID": missed[1][0]}).expect(204)
        for strange in ("12", "soon", "9" * 30):
            found = events_of(acme.get(path, headers={"Last-Event-ID": strange}))
            lib.equal([(name, data["state"]) for _, name, data in found], [("state", "succeeded")])
        acme.call("DELETE", f"{ORDERS}/jobs/{job_id}").expect(200)


def test_filters(acme):
    with lib.check("jobs are cancelled, driven again and removed by a filter, in steps"):
        put(acme, *({"payload": n} for n in range(25)))
        held, = lease(acme)
        cursor, changed = None, []
        while True:
            reply = acme.post(f"{ORDERS}/jobs/cancel", {
                "limit": 10, **({"cursor": cursor} if cursor else {})}).expect(200)
            changed.append(reply["changed"])
            cursor = reply["next_cursor"]
            if cursor is None:
                break
        lib.equal(sum(changed), 25)
        assert max(changed) <= 10, changed
        lib.equal(end(acme, done(held))["results"][0]["error"]["type"], "StaleLeaseError")
        lib.equal(acme.post(f"{ORDERS}/jobs/retry", {}).expect(200)["changed"], 0)
        old = {"state": "canceled", "older_ms": 3600000}
        lib.equal(acme.post(f"{ORDERS}/jobs/retry", {"where": old}).expect(200)["changed"], 0)
        where = {"where": {"state": "canceled", "newer_ms": 3600000}, "limit": 5}
        lib.equal(acme.post(f"{ORDERS}/jobs/retry", where).expect(200)["changed"], 5)
        lib.equal(len(drain(acme)), 5)
        acme.post(f"{ORDERS}/jobs/delete", {"where": {"state": "running"}}).expect(422)
        acme.post(f"{ORDERS}/jobs/delete", {"cursor": "nonsense"}).expect(422)
        lib.equal(acme.post(f"{ORDERS}/jobs/delete", {}).expect(200)["changed"], 20 + 1)
        lib.equal(acme.get(f"{ORDERS}/jobs").expect(200)["results"], [])
    with lib.check("a list goes on by its cursor, and a waiting job is edited"):
        ids = put(acme, *({"payload": n} for n in range(7)))
        found, cursor = [], ""
        while cursor is not None:
            page = acme.get(f"{ORDERS}/jobs?state=queued&limit=3{cursor}").expect(200)
            found += [job["job_id"] for job in page["results"]]
            cursor = page["pagination"]["next_cursor"]
            cursor = cursor and f"&cursor={cursor}"
        lib.equal(sorted(found), ids)
        acme.call("PATCH", f"{ORDERS}/jobs/{ids[3]}",
                  {"priority": 9, "payload": "first"}).expect(200)
        acme.call("PATCH", f"{ORDERS}/jobs/{ids[4]}", {"eta": "2090-01-01T00:00:00Z"}).expect(200)
        acme.call("PATCH", f"{ORDERS}/jobs/{ids[4]}", {"priority": 1}).expect(200)
        found = job_of(acme, ids[4])
        lib.equal((found["state"], found["not_before"][:4]), ("scheduled", "2090"))
        acme.call("DELETE", f"{ORDERS}/jobs/{ids[4]}").expect(409)
        lib.equal(drain(acme), ["first", 0, 1, 2, 5, 6])
        acme.post(f"{ORDERS}/jobs/{ids[4]}/cancel").expect(200)
        acme.call("DELETE", f"{ORDERS}/jobs/{ids[4]}").expect(200)


def say(server, client, *arguments, code=0):
    """What a verb prints."""
    ran = server.run(*arguments, key=client.key)
    lib.equal(ran.returncode, code, f"exit of {arguments}: {ran.stdout}{ran.stderr}; it")
    return json.loads(ran.stdout) if "--json" in arguments and code == 0 else ran.stdout


def test_commands(server, acme, other):
    once = {"kind": "fixed", "base_ms": 1, "cap_ms": 1, "attempts_max": 1}
    with lib.check("sluice queue inspect and peek show what is where"):
        ids = put(acme, {"payload": "a", "retry": once}, {"payload": "b", "retry": once},
                  {"payload": "c", "delay_ms": 3600000}, {"payload": {"d": 1}, "priority": 5})
        kinds = {kind: [job["job_id"] for job in say(
            server, acme, "queue", "inspect", kind, "--json")["results"]]
                 for kind in ("active", "scheduled", "leased", "dead")}
        lib.equal(kinds, {"active": [ids[0], ids[1], ids[3]], "scheduled": [ids[2]],
                          "leased": [], "dead": []})
        lib.equal(say(server, acme, "queue", "peek", "orders", "--limit", "1",
                      "--json")["results"][0]["payload"], {"d": 1})
        assert "orders" in say(server, acme, "queue", "inspect", "stats")
        assert ids[0] not in say(server, other, "queue", "inspect", "active")
        assert ids[1] in say(server, acme, "queue", "inspect", "active", "orders", "--limit", "2")
    with lib.check("sluice jobs shows and changes one"):
        assert '{"d": 1}' in say(server, acme, "jobs", "show", ids[3])
        say(server, other, "jobs", "show", ids[3], code=4)
        say(server, acme, "jobs", "rm", ids[3], code=4)
        say(server, acme, "jobs", "cancel", ids[3])
        say(server, acme, "jobs", "retry", ids[3])
        say(server, acme, "jobs", "cancel", ids[3])
        say(server, acme, "jobs", "rm", ids[3])
        say(server, acme, "jobs", "show", ids[3], code=4)
        lib.equal(len(lease(acme, n=9)), 2)
        for job in say(server, acme, "queue", "inspect", "leased", "--json")["results"]:
            end(acme, {"job_id": job["job_id"], "epoch": job["lease"]["epoch"],
                       "outcome": "failed", "error": f"no {job['job_id']}"})
    with lib.check("sluice jobs trace tells what happens to the end"):
        say(server, other, "jobs", "trace", ids[2], code=4)
        tracer = server.begin("jobs", "trace", ids[2], key=acme.key)
        told = [tracer.stdout.readline()]  # It follows now.
        acme.call("PATCH", f"{ORDERS}/jobs/{ids[2]}", {"delay_ms": 0}).expect(200)
        job, = lease(acme)
        end(acme, {**done(job), "outcome": "released"})
        acme.call("PATCH", f"{ORDERS}/jobs/{ids[2]}", {"delay_ms": 3600000}).expect(200)
        acme.post(f"{ORDERS}/jobs/{ids[2]}/cancel").expect(200)
        told += tracer.communicate(timeout=60)[0].splitlines()
        lib.equal(tracer.returncode, 0)
        told = [line.split("  ")[1].strip() for line in told]
        lib.equal(told, ["state", "edit", "lease", "release", "edit", "cancel"])
        acme.post(f"{ORDERS}/jobs/{ids[2]}/retry", {"delay_ms": 3600000}).expect(200)
    with lib.check("sluice dead lists, shows and drives again, edited, and at a rate"):
        dead = say(server, acme, "dead", "ls", "--json")["results"]
        lib.equal([job["job_id"] for job in dead], ids[:2])
        assert f"no {ids[0]}" in say(server, acme, "dead", "show", ids[0])
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write('{"edited": true}\n')
            file.flush()
            say(server, acme, "dead", "redrive", ids[0], "--edit", file.name)
        lib.equal(job_of(acme, ids[0])["payload"], {"edited": True})
        say(server, acme, "dead", "redrive", ids[0], code=4)
        say(server, acme, "dead", "redrive", ids[1], "--edit", "/nowhere", code=1)
        lib.equal(say(server, acme, "dead", "redrive", "--queue", "orders", "--where",
                      f"error=no {ids[1]}", "--json"), {"changed": 1})
        lib.equal(drain(acme), [{"edited": True}, "b"])
        put(acme, *({"payload": n, "retry": once} for n in range(30)))
        for job in lease(acme, n=30):
            end(acme, {**done(job), "outcome": "failed"})
        began = time.monotonic()
        lib.equal(say(server, acme, "dead", "redrive", "--queue", "orders", "--rate", "40/s",
                      "--json"), {"changed": 30})
        assert 0.5 < time.monotonic() - began < 60
        lib.equal(len(drain(acme)), 30)
    with lib.check("sluice jobs takes a filter, and needs one"):
        for wrong in (("rm",), ("rm", "--queue", "orders"), ("rm", "--where", "state=dead"),
                      ("cancel", "--queue", "orders", "--where", "age=5"),
                      ("cancel", "--queue", "orders", "--where", "older=5x"),
                      ("cancel", ids[2], "--where", "state=dead"), ("show", "job_1", "job_2")):
            say(server, acme, "jobs", *wrong, code=2)
        say(server, acme, "jobs", "rm", "--queue", "none", "--where", "state=dead", code=4)
        where = ("--queue", "orders", "--where", "state=scheduled+queued,newer=1h", "--json")
        lib.equal(say(server, acme, "jobs", "cancel", *where), {"changed": 1})
        lib.equal(say(server, acme, "jobs", "rm", "--queue", "orders", "--where",
                      "state=canceled", "--json"), {"changed": 1})


def test_operator(acme, operator):
    path = "/v1/cluster/queues/acme:orders"
    with lib.check("what the operator has set its tenant does not undo"):
        operator.post(f"{path}/pause").expect(200)
        lib.equal(acme.get(ORDERS).expect(200)["held"], ["mode"])
        for reply in (acme.call("PATCH", ORDERS, {"mode": "open"}), acme.post(f"{path}/resume")):
            lib.equal(reply.expect(403)["error"]["details"]["reason"], "held_by_operator")
        put(acme, {"payload": 1})
        lib.equal(lease(acme), [])
        acme.call("PATCH", ORDERS, {"aging_ms": 5}).expect(200)
        operator.call("PATCH", path, {"depth_max": 1}).expect(200)
        lib.equal(acme.get(ORDERS).expect(200)["held"], ["mode", "depth_max"])
        acme.call("PATCH", ORDERS, {"depth_max": 0}).expect(403)
        reply = acme.post(f"{ORDERS}/jobs", {"jobs": [{"payload": 2}]}).expect(200)
        lib.equal(reply["results"][0]["error"]["type"], "RateLimitError")
        operator.post(f"{path}/resume").expect(200)
        operator.call("PATCH", path, {"depth_max": 0}).expect(200)
        lib.equal(acme.get(ORDERS).expect(200)["held"], [])
        lib.equal(drain(acme), [1])
    with lib.check("a tenant's own pause is its own to end; a draining queue takes nothing"):
        acme.call("PATCH", ORDERS, {"mode": "draining"}).expect(200)
        reply = acme.post(f"{ORDERS}/jobs", {"jobs": [{"payload": 2}]}).expect(200)
        lib.equal(reply["results"][0]["error"]["type"], "ServiceUnavailableError")
        acme.call("PATCH", ORDERS, {"mode": "open"}).expect(200)


def test_kill(server, acme):
    with lib.check("after a kill what was acknowledged is there, and old epochs are stale"):
        acknowledged, ended, is_over = [], set(), threading.Event()

        def produce():
            while not is_over.is_set():
                try:
                    acknowledged.extend(put(acme, *({"payload": n, "retain_ms": 600000}
                                                    for n in range(20))))
                except (OSError, AssertionError):
                    return

        def consume():
            while not is_over.is_set():
                try:
                    jobs = lease(acme, n=5, wait_ms=1000)
                    for item in end(acme, *(done(job, result=1) for job in jobs))["results"]:
                        if item["success"]:
                            ended.add(item["job_id"])
                except (OSError, AssertionError):
                    return

        threads = [threading.Thread(target=work) for work in (produce, consume, consume)]
        put(acme, {"payload": "held"})
        held, = lease(acme, duration_ms=600000)
        for thread in threads:
            thread.start()
        lib.wait_until("some were ended", lambda: len(ended) > 100)
        server.kill_all()
        is_over.set()
        for thread in threads:
            thread.join(60)
        server.start()
        lib.equal(end(acme, done(held))["results"][0]["error"]["type"], "StaleLeaseError")
        lib.equal(job_of(acme, held["job_id"])["state"], "queued")
        for job_id in acknowledged:
            state = job_of(acme, job_id)["state"]
            assert state in (("succeeded",) if job_id in ended else ("queued", "succeeded")), state
        rest = len(drain(acme))
        assert rest >= len(acknowledged) - len(ended) - 20, (rest, len(acknowledged), len(ended))
        lib.equal(acme.get(ORDERS).expect(200)["depth"], 0)


def main():
    server = lib.Server().start()
    acme, other = server.tenant("acme"), server.tenant("other")
    test_jobs(acme, other)
    test_wrong(acme, server)
    test_ends(acme)
    test_lost(acme)
    test_waiting(server, acme)
    test_keys(server, acme, other)
    test_events(acme, other)
    test_filters(acme)
    test_commands(server, acme, other)
    test_operator(acme, server.operator())
    test_kill(server, acme)
    with lib.check("a lease that waits does not hold up a stop"):
        thread, found = in_background(lambda: acme.post(
            f"{ORDERS}/lease", {"wait_ms": 3000 if IS_SPLIT else 30000}))  # A gateway waits for it.
        wait_waiting(server, 1)
        began = time.monotonic()
        lib.equal(server.stop(), 0)
        assert time.monotonic() - began < 20
        thread.join(60)
        lib.equal(found[0][0].expect(200)["jobs"], [])
    lib.finish()


if __name__ == "__main__":
    main()
