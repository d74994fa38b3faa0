#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The life of an own queue over HTTP: stopped, removed, told about, and put into in bulk."""
import json
import random
import time

import sluice_testlib as lib
from own_queues_test import (depth_of, done, drain, end, in_background, job_of, lease, put, say,
                             wait_waiting)


def test_stop(server, acme, operator):
    queue = "/v1/queues/stops"
    acme.call("PUT", queue, {}).expect(200)
    with lib.check("a queue that stops takes nothing, hands out the rest, and closes itself"):
        put(acme, {"payload": 1}, {"payload": 2, "delay_ms": 300}, queue=queue)
        lib.equal(acme.call("PATCH", queue, {"mode": "stopping"}).expect(200)["mode"], "stopping")
        reply = acme.post(f"{queue}/jobs", {"jobs": [{"payload": 3}]}).expect(200)
        lib.equal(reply["results"][0]["error"]["type"], "ServiceUnavailableError")
        job, = lease(acme, queue)
        end(acme, done(job), queue=queue)
        lib.equal(acme.get(queue).expect(200)["mode"], "stopping")
        job, = lease(acme, queue, wait_ms=5000)
        lib.equal(job["payload"], 2)
        end(acme, done(job), queue=queue)
        lib.equal(acme.get(queue).expect(200)["mode"], "closed")
        listed = acme.get("/v1/cluster/queues").expect(200)["results"]
        lib.equal([q["mode"] for q in listed if q["queue"] == "acme:stops"], ["closed"])
    with lib.check("an empty one closes at once; of batches' queues none stops"):
        acme.call("PATCH", queue, {"mode": "open"}).expect(200)
        lib.equal(say(server, acme, "queue", "stop", "acme:stops", "--json")["mode"], "closed")
        lib.equal(acme.get(queue).expect(200)["mode"], "closed")
        acme.post("/v1/cluster/queues/acme:cpu/stop").expect(409)
        acme.call("PATCH", queue, {"mode": "open"}).expect(200)


def test_remove(server, acme, other, operator):
    queue = "/v1/queues/goes"
    with lib.check("a queue with unfinished jobs is removed by force alone"):
        acme.call("DELETE", queue).expect(404)
        acme.call("PUT", queue, {"depth_max": 9}).expect(200)
        first, _ = put(acme, {"payload": 1, "key": "k", "retain_ms": 60000}, {"payload": 2},
                       queue=queue)
        held, = lease(acme, queue)
        reply = acme.call("DELETE", queue).expect(409)
        lib.equal(reply["error"]["details"]["reason"], "queue_has_jobs")
        other.call("DELETE", queue + "?force=true").expect(404)
        reply = acme.call("DELETE", queue + "?force=true").expect(200)
        lib.equal((reply["queue"], reply["jobs"], reply["success"]), ("goes", 2, True))
        acme.get(queue).expect(404)
        acme.get(f"/v1/queues/-/jobs/{first}").expect(404)
    with lib.check("its name is free at once, without what was set, and old epochs are refused"):
        made = acme.call("PUT", queue, {}).expect(200)
        lib.equal((made["depth_max"], made["counts"].get("queued")), (0, 0))
        again, = put(acme, {"payload": 3, "key": "k"}, queue=queue)
        assert again != first
        item, = end(acme, done(held), queue=queue)["results"]
        lib.equal(item["error"]["type"], "StaleLeaseError")
        lib.equal(drain(acme, queue), [3])
    with lib.check("who waits for its jobs is told that it is gone"):
        waiting, found = in_background(lambda: acme.post(
            "/v1/queues/goes/lease", {"wait_ms": 20000}))
        wait_waiting(server, 1)
        lib.equal(say(server, acme, "queue", "rm", "goes", "--json")["success"], True)
        waiting.join(60)
        found[0][0].expect(404)
    with lib.check("what an operator holds its tenant does not remove"):
        acme.call("PUT", queue, {}).expect(200)
        operator.post("/v1/cluster/queues/acme:goes/pause").expect(200)
        lib.equal(acme.call("DELETE", queue).expect(403)["error"]["details"]["reason"],
                  "held_by_operator")
        operator.post("/v1/cluster/queues/acme:goes/resume").expect(200)
        acme.call("DELETE", queue).expect(200)


def test_log(server, acme):
    queue = "/v1/queues/logs"
    acme.call("PUT", queue, {}).expect(200)
    kept = {"retry": {"attempts_max": 1}, "retain_ms": 600000}
    with lib.check("what a worker says is kept with its job, over a kill, and with dead letters"):
        job_id, other_id = put(acme, {"payload": 1, **kept}, {"payload": 2}, queue=queue)
        job, = lease(acme, queue)
        held = {"job_id": job["job_id"], "epoch": job["epoch"]}
        acme.post(f"{queue}/extend", {"leases": [{**held, "log": "one\ntwo"}]}).expect(200)
        lib.equal(job_of(acme, job_id, queue)["log"], "one\ntwo\n")
        server.kill_all()
        server.start()
        lib.equal(job_of(acme, job_id, queue)["log"], "one\ntwo\n")
        reply = acme.post(f"{queue}/extend", {"leases": [{**held, "log": "stale"}]}).expect(200)
        lib.equal(reply["results"][0]["error"]["type"], "StaleLeaseError")
        job, = lease(acme, queue)
        lib.equal(job["job_id"], job_id)
        end(acme, {**held, "outcome": "failed", "log": "stale"}, queue=queue)
        end(acme, {"job_id": job_id, "epoch": job["epoch"], "outcome": "failed", "error": "no",
                   "log": "three\nit broke"}, queue=queue)
        found = job_of(acme, job_id, queue)
        lib.equal((found["state"], found["log"]), ("dead", "one\ntwo\nthree\nit broke\n"))
        shown = say(server, acme, "dead", "show", job_id)
        assert "it broke" in shown, shown
        assert "log" not in job_of(acme, other_id, queue)
    with lib.check("the last 4 KiB are kept, in whole lines, and one that is not kept leaves none"):
        job, = lease(acme, queue)
        held = {"job_id": job["job_id"], "epoch": job["epoch"]}
        for turn in range(3):
            text = "".join(f"{turn} {n:04d}\n" for n in range(500))
            acme.post(f"{queue}/extend", {"leases": [{**held, "log": text}]}).expect(200)
        log = job_of(acme, other_id, queue)["log"]
        assert 4000 < len(log) <= 4096 and log.endswith("2 0499\n"), log
        assert all(len(line) == 6 for line in log.splitlines()), log
        acme.post(f"{queue}/extend", {"leases": [{**held, "log": "x" * 4097}]}).expect(422)
        end(acme, {**held, "outcome": "done", "log": "gone"}, queue=queue)
        acme.get(f"{queue}/jobs/{other_id}").expect(404)
    with lib.check("who follows the job is told"):
        job_id, = put(acme, {"payload": 3}, queue=queue)
        job, = lease(acme, queue)
        path = f"{queue}/jobs/{job_id}/events"
        told = frames(acme.get(path).text.decode())
        acme.post(f"{queue}/extend", {"leases": [
            {"job_id": job_id, "epoch": job["epoch"], "log": "half way"}]}).expect(200)
        told = frames(acme.get(path, headers={"Last-Event-ID": told[-1][0]}).text.decode())
        lib.equal(told[0][2]["progress"], {"log": "half way"})
    acme.call("DELETE", queue + "?force=true").expect(200)


def test_bulk(server, acme):
    """With so many keys a call commits in parts: sent again after a kill it goes on."""
    queue, rounds, size = "/v1/queues/bulk", 4, 2000
    acme.call("PUT", queue, {}).expect(200)
    with lib.check("a large put that is cut off by a kill is put once, however often it is sent"):
        cut, began = 0, time.monotonic()
        put(acme, *({"payload": "x" * 3000, "key": f"first-{n}"} for n in range(size)),
            queue=queue)
        took = time.monotonic() - began
        acme.call("DELETE", queue + "?force=true").expect(200)
        acme.call("PUT", queue, {}).expect(200)
        for turn in range(rounds):
            jobs = [{"payload": "x" * 3000, **({"key": f"{turn}-{n}"} if n % 2 else {})}
                    for n in range(size)]

            def send(jobs=jobs, turn=turn):
                return acme.call("POST", f"{queue}/jobs", {"jobs": jobs},
                                 headers={"Idempotency-Key": f"bulk-{turn}"})

            def try_to_send():
                try:
                    return send()
                except OSError:
                    return None

            thread, _ = in_background(try_to_send)
            time.sleep(random.uniform(0.2, 1) * took)
            server.kill_all()
            thread.join(60)
            server.start()
            before = depth_of(acme, queue)
            cut += turn * size < before < (turn + 1) * size
            reply = send().expect(200)
            lib.equal((reply["accepted"], reply["refused"]), (size, 0))
            lib.equal([r["index"] for r in reply["results"]], list(range(size)))
            lib.equal(len({r["job_id"] for r in reply["results"]}), size)
            lib.equal(depth_of(acme, queue), (turn + 1) * size)
            lib.equal(send().expect(200)["results"], reply["results"])
        print(f"# {cut} of {rounds} were cut off in their midst")
    acme.call("DELETE", queue + "?force=true").expect(200)


def events(client, queue, after="", **query):
    """A page: its events in short, where the next begins, and the gap."""
    path = f"{queue}/events?after={after}" + "".join(f"&{k}={v}" for k, v in query.items())
    page = client.get(path).expect(200)
    return [e["event"] for e in page["results"]], page["next"], page.get("gap")


def frames(text):
    """Server-sent events: id, name and data of each."""
    found = []
    for frame in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line)
        if "event" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


def test_trail(server, acme, other):
    queue = "/v1/queues/trail"
    acme.call("PUT", queue, {}).expect(200)
    with lib.check("a queue tells what happened in it, in order and by pages"):
        job_id, = put(acme, {"payload": 1, "retry": {"attempts_max": 1}}, queue=queue)
        job, = lease(acme, queue)
        end(acme, {"job_id": job["job_id"], "epoch": job["epoch"], "outcome": "failed",
                   "error": "no such table"}, queue=queue)
        page = acme.get(f"{queue}/events").expect(200)
        lib.equal([e["event"] for e in page["results"]], ["queue", "put", "lease", "dead"])
        dead = page["results"][-1]
        lib.equal((dead["job_id"], dead["state"], dead["tenant_id"], dead["epoch"], dead["seq"]),
                  (job_id, "dead", "acme", job["epoch"], 3))
        assert "no such table" in dead["reason"], dead
        names, last, gap = events(acme, queue, limit=2)
        lib.equal((names, last, gap), (["queue", "put"], "2", None))
        lib.equal(events(acme, queue, last), (["lease", "dead"], "3", None))
        lib.equal(events(acme, queue, "3"), ([], "3", None))
        other.get(f"{queue}/events").expect(404)
        for wrong in ("x", "1.", ".1", "-1", "1.2.3", "9" * 30):
            acme.get(f"{queue}/events?after={wrong}").expect(422)
    with lib.check("a page waits for the next event, and a stream goes on by Last-Event-ID"):
        thread, found = in_background(lambda: events(acme, queue, "3", wait_ms=20000))
        wait_waiting(server, 1)
        acme.call("PATCH", queue, {"mode": "paused"}).expect(200)
        thread.join(60)
        lib.equal(found[0][0], (["queue"], "4", None))
        reply = acme.get(f"{queue}/events/stream", headers={"Last-Event-ID": "2"})
        lib.equal(reply.status, 200)
        told = frames(reply.text.decode())
        lib.equal([(name, data["event"]) for _, name, data in told],
                  [("lease", "lease"), ("dead", "dead"), ("queue", "queue")])
        lib.equal(told[-1][2]["mode"], "paused")
        thread, found = in_background(lambda: acme.get(
            f"{queue}/events/stream?after={told[-1][0]}&wait_ms=20000"))
        wait_waiting(server, 1)
        again, = put(acme, {"payload": 2}, queue=queue)
        thread.join(60)
        told = frames(found[0][0].text.decode())
        lib.equal([(number, name, data["job_id"]) for number, name, data in told],
                  [("5", "put", again)])
    with lib.check("after a kill it goes on where it was, and says that leases are void"):
        acme.call("PATCH", queue, {"mode": "open"}).expect(200)
        lease(acme, queue)
        names, last, _ = events(acme, queue, "5")
        lib.equal(names, ["queue", "lease"])
        server.kill_all()
        server.start()
        names, last, gap = events(acme, queue, last)
        lib.equal((names, gap), (["restart"], None))
        job, = lease(acme, queue)
        end(acme, done(job), queue=queue)
        lib.equal(events(acme, queue, last)[0], ["lease", "done"])
        lib.equal(events(acme, queue)[0][:5], ["queue", "put", "dead", "queue", "put"])
    with lib.check("what is not kept any more is told as a gap"):
        for _ in range(3):
            put(acme, *({"payload": 0} for _ in range(4000)), queue=queue)
        names, _, gap = events(acme, queue, "5", limit=1)
        lib.equal((names, gap["after"]), (["put"], "5"))
        assert 1000 < int(gap["until"]) < 5000, gap
        told = frames(acme.get(f"{queue}/events/stream?after=5&limit=2").text.decode())
        lib.equal([name for _, name, _ in told], ["gap", "put"])
        lib.equal(told[0][0], gap["until"])
    lines = say(server, acme, "queue", "events", "trail", "--after", gap["until"], "--json")
    with lib.check("sluice queue events prints them"):
        lib.equal(len(lines["results"]), 100)
    acme.call("DELETE", queue + "?force=true").expect(200)


def main():
    server = lib.Server().start()
    acme, other = server.tenant("acme"), server.tenant("other")
    test_trail(server, acme, other)  # Before any is removed: numbers begin with 1.
    test_stop(server, acme, server.operator())
    test_remove(server, acme, other, server.operator())
    test_log(server, acme)
    test_bulk(server, acme)
    lib.finish()


if __name__ == "__main__":
    main()
