#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Webhooks and a receiver that fails first: signatures, kill -9, the dead, redrives."""
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import socket
import tempfile
import threading
import time

import sluice_testlib as lib

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CONFIG = """webhooks:
  attempts: {attempts}
  base: 40ms
  cap: 100ms
  dead: 3
  timeout: 60s
  private: {private}
"""


class Receiver:
    """Keeps every request; answers with the statuses it was given, then 204."""

    def __init__(self):
        self.seen, self.statuses, self.lock = [], [], threading.Lock()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with owner.lock:
                    owner.seen.append((dict(self.headers), body, self.path))
                    status = owner.statuses.pop(0) if owner.statuses else 204
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait(self, count, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self.lock:
                if len(self.seen) >= count:
                    return list(self.seen)
            time.sleep(0.02)
        raise AssertionError(f"{len(self.seen)} requests, not {count}, after {seconds} s")

    def forget(self, statuses=()):
        with self.lock:
            self.seen, self.statuses = [], list(statuses)


def write_config(**values):
    handle, path = tempfile.mkstemp(suffix=".yaml")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(CONFIG.format(**values))
    return path


def verify(secret, headers, body):
    parts = dict(part.split("=", 1) for part in headers["Sluice-Signature"].split(","))
    wanted = hmac.new(secret.encode(), parts["t"].encode() + b"." + body, hashlib.sha256)
    lib.equal(parts["v1"], wanted.hexdigest(), "signature")
    assert abs(time.time() - int(parts["t"])) < 60, parts
    lib.equal(headers["Sluice-Timestamp"], parts["t"])


def make_hook(client, url, events, **configs):
    return client.post("/v1/organizations/webhooks/", {
        "webhook_name": "test", "event_types": events,
        "channels": [{"channel": "webhook", "configs": {"url": url, **configs}}]}).expect(201)


def deliveries(client, hook, status):
    path = f"/v1/organizations/webhooks/{hook}/deliveries?status={status}&limit=1000"
    return client.get(path).expect(200)["results"]


def wait_deliveries(client, hook, status, count, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = deliveries(client, hook, status)
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} {status}, not {count}")


def tenant_of(server, name):
    client = server.tenant(name)
    client.namespace = client.make("namespace", name, feature_extractors=lib.BOTH)
    return client, client.make("bucket", "b", bucket_schema={"properties": {}})


def check_shape(server, receiver):
    client, _ = tenant_of(server, "shape")
    hook = make_hook(client, receiver.url, ["object.created"])
    assert len(hook["webhook_id"]) == 19 and int(hook["webhook_id"][3:], 16) >= 0, hook
    path = f"/v1/organizations/webhooks/{hook['webhook_id']}"
    shown = client.get(path).expect(200)
    assert "secret" not in shown and "organization_id" not in shown, shown
    lib.equal(shown["is_active"], True)
    changed = client.call("PUT", path, {"webhook_name": "other", "is_active": False}).expect(200)
    lib.equal((changed["webhook_name"], changed["is_active"]), ("other", False))
    listed = client.post("/v1/organizations/webhooks/list", {"is_active": False}).expect(200)
    lib.equal((listed["total"], len(listed["results"])), (1, 1))
    lib.equal(client.post("/v1/organizations/webhooks/list",
                          {"event_type": "object.deleted"}).expect(200)["total"], 0)
    for bad in ({"event_types": ["no.such"]}, {"channels": []},
                {"channels": [{"channel": "webhook", "configs": {"url": "file:///etc/passwd"}}]},
                {"channels": [{"channel": "email", "configs": {"to_addresses": ["a@b"]}}]},
                {"channels": [{"channel": "webhook", "configs": {
                    "url": receiver.url, "headers": {"Sluice-Signature": "x"}}}]},
                {"channels": [{"channel": "webhook", "configs": {
                    "url": receiver.url, "headers": {"X-A": "b\r\nHost: c"}}}]}):
        client.call("PUT", path, bad).expect(422)
    client.get(path + "/deliveries?status=lost").expect(422)
    other = server.tenant("stranger")
    other.get(path).expect(404)
    other.call("DELETE", path).expect(204)
    client.get(path).expect(200)
    for _ in range(2):
        client.call("DELETE", path).expect(204)
    client.get(path).expect(404)


def submit_traced(client, bucket, objects):
    """As Client.submit, as a span of somebody's trace."""
    batches = f"/v1/buckets/{bucket}/batches"
    batch = client.post(batches, {"object_ids": objects}).expect(200)["batch_id"]
    reply = client.post(f"{batches}/{batch}/submit", {},
                        headers={"traceparent": TRACE, "tracestate": "mine=1"})
    return batch, reply.expect(200)["task_id"]


def check_events(server, receiver):
    client, bucket = tenant_of(server, "events")
    events = ["object.created", "objects.created.batch", "object.updated", "object.deleted",
              "collection.created", "collection.deleted", "collection.documents.written"]
    receiver.forget([500, 503])
    hook = make_hook(client, receiver.url, events, headers={"X-Mine": "yes"})
    objects = client.make_objects(bucket, [lib.text_object("one"), lib.text_object("two")])
    seen = receiver.wait(3)
    lib.equal([json.loads(body)["event_type"] for _, body, _ in seen],
              ["objects.created.batch"] * 3)
    lib.equal(len({body for _, body, _ in seen}), 1, "bodies of one event")
    lib.equal([headers["Sluice-Attempt"] for headers, _, _ in seen], ["1", "2", "3"])
    for headers, body, _ in seen:
        verify(hook["secret"], headers, body)
        lib.equal(headers["X-Mine"], "yes")
        lib.equal(headers["Sluice-Event-Id"], json.loads(body)["event_id"])
    event = json.loads(seen[0][1])
    lib.equal(sorted(event["data"]["object_ids"]), sorted(objects))
    lib.equal(event["namespace_id"], client.namespace)
    receiver.forget()
    collection = client.make(
        "collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
        feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                           "input_mappings": {"text": "content"}})
    batch, task = submit_traced(client, bucket, objects)
    done = client.wait_task(task)
    lib.equal(done["status"], "COMPLETED")
    told = done["additional_data"]
    with lib.check("a task keeps the trace of its request"):
        lib.equal((told["traceparent"][:36], told["traceparent"][-3:], told["tracestate"]),
                  (TRACE[:36], "-01", "mine=1"))
        assert told["traceparent"] != TRACE, "the span is the caller's"
    client.call("DELETE", f"/v1/buckets/{bucket}/objects/{objects[0]}").expect(204)
    client.call("DELETE", f"/v1/collections/{collection}").expect(200)
    found = [json.loads(body) for _, body, _ in receiver.wait(4)]
    lib.equal({event["event_type"] for event in found},
              {"collection.created", "collection.documents.written", "object.deleted",
               "collection.deleted"})
    ended = [e for e in found if e["event_type"] == "collection.documents.written"][0]
    lib.equal((ended["data"]["batch_id"], ended["data"]["status"]), (batch, "COMPLETED"))
    lib.equal(ended["data"]["traceparent"], told["traceparent"])
    lib.equal(len(wait_deliveries(client, hook["webhook_id"], "delivered", 5)), 5)
    client.call("DELETE", f"/v1/organizations/webhooks/{hook['webhook_id']}").expect(204)


def check_dead(server, receiver):
    client, bucket = tenant_of(server, "dead")
    receiver.forget([302, 500, 410])
    hook = make_hook(client, receiver.url, ["object.created"])["webhook_id"]
    path = f"/v1/organizations/webhooks/{hook}"
    objects = f"/v1/buckets/{bucket}/objects"
    client.post(objects, lib.text_object("x")).expect(200)
    dead = wait_deliveries(client, hook, "dead", 1)[0]
    lib.equal((dead["attempts"], dead["response_status"]), (3, 410))
    lib.equal({path for _, _, path in receiver.seen}, {"/hook"}, "no redirect is followed")
    receiver.forget()
    client.post(f"{path}/deliveries/{dead['delivery_id']}/redrive").expect(200)
    lib.equal(json.loads(receiver.wait(1)[0][1])["event_id"], dead["event_id"])
    lib.equal(len(wait_deliveries(client, hook, "delivered", 1)), 1)
    receiver.forget([410] * 3)
    for _ in range(3):
        client.post(objects, lib.text_object("x")).expect(200)
    wait_deliveries(client, hook, "dead", 3)
    stopped = client.get(path).expect(200)
    lib.equal(stopped["is_active"], False)
    assert stopped["inactive_reason"], stopped
    client.post(f"{path}/deliveries/{dead['delivery_id']}/redrive").expect(409)
    client.post(objects, lib.text_object("x")).expect(200)
    lib.equal(client.call("PUT", path, {"is_active": True}).expect(200)["inactive_reason"], None)
    lib.equal(len(deliveries(client, hook, "pending")), 0, "nothing is kept for an inactive one")


def check_kill(server, receiver):
    """What was acknowledged while the receiver was away arrives after kill -9 and a restart."""
    client, bucket = tenant_of(server, "kill")
    receiver.forget([503] * 4)
    hook = make_hook(client, receiver.url, ["object.created"])
    wanted = {client.post(f"/v1/buckets/{bucket}/objects", lib.text_object(str(i))).expect(200)
              ["object_id"] for i in range(40)}
    server.kill_all()
    server.start()
    deadline, got = time.monotonic() + 120, set()
    while time.monotonic() < deadline and got != wanted:
        got = {json.loads(body)["data"]["object_id"] for _, body, _ in receiver.wait(1)}
        time.sleep(0.05)
    lib.equal(got, wanted, "objects told of")
    for headers, body, _ in receiver.seen:
        verify(hook["secret"], headers, body)


def check_stop(server):
    """A receiver that takes the request and never answers; what it holds up does not hold stop."""
    client, bucket = tenant_of(server, "stop")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        hook = make_hook(client, url, ["object.created"], timeout=60)["webhook_id"]
        for _ in range(3):
            client.post(f"/v1/buckets/{bucket}/objects", lib.text_object("x")).expect(200)
        with silent.accept()[0]:
            path = f"/v1/organizations/webhooks/{hook}"
            found = client.get(path).expect(200)
            lib.equal((found["waiting_count"], found["dropped_count"]), (3, 0))
            began = time.monotonic()
            lib.equal(server.stop(), 0, "exit status")
            assert time.monotonic() - began < 25, "stop waited for a receiver"
            assert "how=at-once" not in server.log(), server.log()


def check_private(receiver):
    config = write_config(attempts=2, private="false")
    try:
        server = lib.Server(config).start()
        client, bucket = tenant_of(server, "private")
        receiver.forget()
        port = receiver.server.server_port
        for host in ("127.0.0.1", "localhost", "[::1]", "0x7f000001"):
            make_hook(client, f"http://{host}:{port}/", ["object.created"])
        client.post(f"/v1/buckets/{bucket}/objects", lib.text_object("x")).expect(200)
        hooks = client.post("/v1/organizations/webhooks/list").expect(200)["results"]
        lib.equal(len(hooks), 4)
        for hook in hooks:
            dead = wait_deliveries(client, hook["webhook_id"], "dead", 1)[0]
            assert "private" in dead["error"] or "esolve" in dead["error"], dead
        lib.equal(receiver.seen, [])
        server.remove()
    finally:
        os.remove(config)


def main():
    receiver = Receiver()
    config = write_config(attempts=6, private="true")
    try:
        server = lib.Server(config).start()
        for name, run in (("a webhook has the shape that clients check", check_shape),
                          ("events are signed, retried and told once to those who want them",
                           check_events),
                          ("the dead are listed, driven again, and stop their webhook", check_dead),
                          ("kill -9 loses no event", check_kill)):
            with lib.check(name):
                run(server, receiver)
        with lib.check("a private address is refused by default"):
            check_private(receiver)
        with lib.check("a receiver that hangs does not hold up a stop"):
            check_stop(server)
    finally:
        os.remove(config)
    lib.finish()


if __name__ == "__main__":
    main()
