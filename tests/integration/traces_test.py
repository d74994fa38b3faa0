#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Traces: a collector of OTLP in JSON that answers, refuses, is slow, or is not there."""
import contextlib
import http.server
import json
import os
import re
import tempfile
import threading
import time
import urllib.request

import sluice_testlib as lib

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONFIG = """traces:
  endpoint: "http://127.0.0.1:{port}/v1/traces"
  ratio: {ratio}
  headers: {{X-Collector-Key: secret}}
"""
SPANS_MAX = 2048


class Collector:
    """Keeps every span; answers with the statuses it was given, then 200, once it may."""

    def __init__(self, port=0):
        self.spans, self.headers, self.statuses = [], [], []
        self.lock, self.may_answer = threading.Lock(), threading.Event()
        self.may_answer.set()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.may_answer.wait(60)
                with owner.lock:
                    status = owner.statuses.pop(0) if owner.statuses else 200
                    owner.headers.append((self.path, dict(self.headers)))
                    if status == 200:
                        owner.take(body)
                with contextlib.suppress(ConnectionError):
                    self.send_response(status)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")

            def log_message(self, *arguments):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, body):
        for group in body["resourceSpans"]:
            resource = attributes(group["resource"])
            lib.equal(resource["service.name"], "sluice")
            for name in ("service.version", "service.instance.id", "host.name"):
                assert resource[name], resource
            for scope in group["scopeSpans"]:
                self.spans += scope["spans"]

    def of(self, trace):
        with self.lock:
            return [span for span in self.spans if span["traceId"] == trace]

    def count(self):
        with self.lock:
            return len(self.spans)

    def close(self):
        self.may_answer.set()
        self.server.shutdown()
        self.server.server_close()


def attributes(what):
    return {a["key"]: list(a["value"].values())[0] for a in what["attributes"]}


def start(port, ratio):
    handle, path = tempfile.mkstemp(suffix=".yaml")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(CONFIG.format(port=port, ratio=ratio))
    server = lib.Server(config=path)
    server.start()
    os.unlink(path)
    return server


def counted(server):
    """Spans sent and dropped, as /metrics says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.dashboard_port}/metrics",
                                timeout=60) as reply:
        found = dict(re.findall(r'^sluice_trace_spans_total\{state="(\w+)"\} (\d+)',
                                reply.read().decode(), re.M))
    return int(found["sent"]), int(found["dropped"])


def parent_of(flag, trace=TRACE):
    return {"traceparent": f"00-{trace}-{CALLER}-{flag}"}


def tenant_of(server, name):
    client = server.tenant(name)
    client.namespace = client.make("namespace", name, feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "b", bucket_schema={"properties": {}})
    client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"}})
    return client, bucket


def check_nested(spans, whole, names):
    """The parts of a span are these, one after the other, within it."""
    parts = sorted((s for s in spans if s.get("parentSpanId") == whole["spanId"]),
                   key=lambda s: (int(s["startTimeUnixNano"]), names.index(s["name"])))
    lib.equal([s["name"] for s in parts], names, f"parts of {whole['name']}")
    at = int(whole["startTimeUnixNano"])
    for part in parts:
        begin, end = int(part["startTimeUnixNano"]), int(part["endTimeUnixNano"])
        assert at <= begin <= end, (whole, part)
        at = end
    assert at <= int(whole["endTimeUnixNano"]), (whole, parts)


def check_batch(server, collector):
    client, bucket = tenant_of(server, "acme")
    objects = client.make_objects(bucket, [lib.text_object("one"), lib.text_object("two")])
    path = f"/v1/buckets/{bucket}/batches"
    batch = client.post(path, {"object_ids": objects}).expect(200)["batch_id"]
    began = time.time_ns()
    task = client.post(f"{path}/{batch}/submit", {}, headers=parent_of("01")).expect(200)["task_id"]
    told = client.wait_task(task)["additional_data"]["traceparent"]
    lib.wait_until("a batch's trace", lambda: any(s["name"] == "job" for s in collector.of(TRACE)))
    spans = collector.of(TRACE)
    lib.equal(len({s["spanId"] for s in spans}), len(spans), "ids of spans")
    with lib.check("the request is a span of the caller's trace, below the caller's span"):
        call = [s for s in spans if s.get("parentSpanId") == CALLER]
        lib.equal(len(call), 1, "spans below the caller's")
        lib.equal((call[0]["spanId"], call[0]["kind"]), (told[36:52], 2))
        lib.equal(call[0]["name"], "POST /v1/buckets/{bucket_identifier}/batches/{batch_id}/submit")
        about = attributes(call[0])
        lib.equal((about["http.response.status_code"], about["sluice.tenant"]), ("200", "acme"))
    with lib.check("the job is a span of its request"):
        job = [s for s in spans if s["name"] == "job"][0]
        lib.equal(job["parentSpanId"], call[0]["spanId"])
        about = attributes(job)
        lib.equal([about[f"sluice.{name}"] for name in ("job.id", "tenant", "state", "tasks",
                                                        "tasks.done", "tasks.dead")],
                  [task, "acme", "succeeded", "2", "2", "0"])
        parts = [s for s in spans if s.get("parentSpanId") == job["spanId"]]
        check_nested([s for s in parts if s["name"] != "task"], job, ["wait", "work"])
    with lib.check("each task has its phases, in order, within the job"):
        tasks = [s for s in parts if s["name"] == "task"]
        lib.equal(len(tasks), 2, "tasks")
        for one in tasks:
            check_nested(spans, one,
                         ["wait", "lease", "node wait", "batch wait", "compute", "record"])
            about = attributes(one)
            lib.equal([about[f"sluice.{name}"] for name in
                       ("job.id", "tenant", "queue", "extractor", "outcome", "attempt")],
                      [task, "acme", "acme:cpu", "text_extractor", "done", "1"])
            assert int(job["startTimeUnixNano"]) <= int(one["startTimeUnixNano"]), (job, one)
            assert int(one["endTimeUnixNano"]) <= int(job["endTimeUnixNano"]), (job, one)
    with lib.check("times are of the wall clock, in nanoseconds"):
        second = 10 ** 9
        assert began - second <= int(job["startTimeUnixNano"]), (began, job)
        assert int(job["endTimeUnixNano"]) <= time.time_ns() + second, job
    with lib.check("the collector gets the configuration's headers"):
        where, headers = collector.headers[0]
        lib.equal((where, headers["X-Collector-Key"], headers["Content-Type"]),
                  ("/v1/traces", "secret", "application/json"))
    return client


def check_flag(client, collector):
    with lib.check("a request whose caller does not sample is not traced, nor one without a trace"):
        before = counted_traces(collector)
        silent, loud = "1" * 32, "2" * 32
        client.get("/v1/buckets?limit=1")
        client.call("GET", "/v1/namespaces", headers=parent_of("00", silent))
        client.call("GET", "/v1/namespaces", headers=parent_of("01", loud))
        lib.wait_until("a sampled request", lambda: collector.of(loud))
        lib.equal(counted_traces(collector) - before, {loud}, "new traces")


def counted_traces(collector):
    with collector.lock:
        return {span["traceId"] for span in collector.spans}


def check_refusals(server, client, collector):
    with lib.check("what a busy collector does not take is sent again"):
        sent, dropped = counted(server)
        trace = "3" * 32
        with collector.lock:
            collector.statuses = [503, 429]
        client.call("GET", "/v1/namespaces", headers=parent_of("01", trace))
        lib.wait_until("a trace after two refusals", lambda: collector.of(trace))
        lib.wait_until("its count", lambda: counted(server)[0] > sent)
        lib.equal(counted(server)[1], dropped, "dropped")
    with lib.check("what a collector refuses for good is dropped and counted"):
        with collector.lock:
            collector.statuses = [400]
        client.call("GET", "/v1/namespaces", headers=parent_of("01", "4" * 32))
        lib.wait_until("a drop", lambda: counted(server)[1] > dropped)
        lib.equal(collector.of("4" * 32), [])


def many(client, count):
    """Seconds of the slowest and of all of so many traced requests."""
    slowest, began = 0, time.monotonic()
    for number in range(count):
        one = time.monotonic()
        client.call("GET", "/v1/namespaces", headers=parent_of("01", f"{number + 1:032x}"))
        slowest = max(slowest, time.monotonic() - one)
    return slowest, time.monotonic() - began


def check_slow(server, client, collector):
    with lib.check("a collector that does not answer holds up nothing but traces"):
        collector.may_answer.clear()
        client.call("GET", "/v1/namespaces", headers=parent_of("01", "5" * 32))
        slowest, _ = many(client, 100)
        assert slowest < 9, f"a request took {slowest} s"
    with lib.check("a stop waits no longer than two seconds for it"):
        began = time.monotonic()
        lib.equal(server.stop(), 0, "exit status")
        assert time.monotonic() - began < 30, f"{time.monotonic() - began} s"


def check_down():
    port = lib.free_port()
    server = start(port, 1)
    client = server.operator()
    with lib.check("without a collector spans are kept up to a limit, and then counted as dropped"):
        slowest, _ = many(client, 700)
        assert slowest < 9, f"a request took {slowest} s"
        lib.wait_until("drops", lambda: counted(server)[1] > 0)
        lib.equal(counted(server)[0], 0, "sent")
    with lib.check("those that were kept are sent once it is there"):
        collector = Collector(port)
        lib.wait_until("spans", lambda: collector.count() >= SPANS_MAX, 120)
        lib.wait_until("their count", lambda: counted(server)[0] >= SPANS_MAX)
    with lib.check("a stop sends what there is"):
        client.call("GET", "/v1/namespaces", headers=parent_of("01", "6" * 32))
        lib.equal(server.stop(), 0, "exit status")
        assert collector.of("6" * 32), "the last request's spans"
    collector.close()


def check_config():
    with lib.check("an address that is none is refused at the start"):
        handle, path = tempfile.mkstemp(suffix=".yaml")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write("traces: {endpoint: \"ftp://host/x\"}\n")
        server = lib.Server(config=path)
        try:
            server.start()
            raise AssertionError("it started")
        except AssertionError as error:
            assert "traces.endpoint" in str(error), error
        os.unlink(path)


def main():
    collector = Collector()
    server = start(collector.port, 0)
    client = check_batch(server, collector)
    check_flag(client, collector)
    check_refusals(server, client, collector)
    check_slow(server, client, collector)
    collector.close()
    check_down()
    check_config()
    lib.finish()


if __name__ == "__main__":
    main()
