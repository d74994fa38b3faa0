#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Online requests: what is past its deadline or has lost its client is not computed, and whatever
happens to replicas, each request is answered or refused."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading

import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))
URI = "sluice://serving_extractor@v1/serving"


def build_plugin(folder):
    runs, release = os.path.join(folder, "runs"), os.path.join(folder, "release")
    subprocess.run(["cc", "-std=gnu17", "-shared", "-fPIC", "-D_GNU_SOURCE", f'-DRUNS="{runs}"',
                    f'-DRELEASE="{release}"', "-I", os.path.join(lib.ROOT, "extractors/include"),
                    "-I", HERE, os.path.join(HERE, "serving_plugin.c"),
                    "-o", os.path.join(folder, "serving_extractor.so")], check=True)
    return runs, release


def read_runs(path):
    with contextlib.suppress(FileNotFoundError):
        with open(path, encoding="ascii") as file:
            return file.read().split("\n")[:-1]
    return []


def infer(client, text, **headers):
    return client.post("/v1/inference", {"feature_uri": URI, "inputs": {"text": text}},
                       headers={name.replace("_", "-"): value for name, value in headers.items()})


def replicas(operator):
    page = operator.get("/v1/cluster/nodes").expect(200)
    return [replica for node in page["results"] for replica in node["replicas"]]


def start_call(client, text, replies):
    thread = threading.Thread(target=lambda: replies.append(infer(client, text)))
    thread.start()
    return thread


def hang_up(client, text, then):
    """Ask, and close the connection once then() says so."""
    body = json.dumps({"feature_uri": URI, "inputs": {"text": text}}).encode()
    head = (f"POST /v1/inference HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {client.key}"
            f"\r\nX-Namespace: {client.namespace}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", client.port)) as peer:
        peer.sendall(head.encode() + body)
        then()


def check_unwanted(operator, client, runs, release):
    """One replica is held; what comes meanwhile is refused in time, or given up, and never runs."""
    replies = []
    held = start_call(client, "HOLD", replies)
    lib.wait_until("the replica is held", lambda: "HOLD" in read_runs(runs), 60)
    late = infer(client, "late", X_Timeout_Ms="200")
    late.expect(503)
    lib.equal(late.json["error"]["details"]["reason"], "deadline")
    assert "Retry-After" in late.headers, late.headers
    ongoing = replicas(operator)[0]["ongoing"] + replicas(operator)[0]["waiting"]
    hang_up(client, "gone", lambda: lib.wait_until(
        "it has arrived", lambda: sum(replicas(operator)[0][name]
                                      for name in ("ongoing", "waiting")) > ongoing, 60))
    lib.wait_until("it is cancelled", lambda: replicas(operator)[0]["cancelled"] == 1, 60)
    with open(release, "w", encoding="ascii"):
        pass
    held.join()
    replies[0].expect(200)
    infer(client, "after", X_Session_Id="a").expect(200)
    lib.equal([text for text in read_runs(runs) if text != "warm"], ["HOLD", "after"], "what ran")


def load(client, stop, statuses):
    while not stop.is_set():
        statuses.append(infer(client, "work").status)


def check_killed(operator, client):
    """Whatever replicas there are is killed under load, again and again."""
    stop, statuses = threading.Event(), []
    threads = [threading.Thread(target=load, args=(client, stop, statuses)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            lib.wait_until("a replica is ready", lambda: any(
                replica["state"] == "ready" for replica in replicas(operator)), 60)
            before = len(statuses)
            for pid in {replica["pid"] for replica in replicas(operator)} - {0}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            lib.wait_until("requests go on", lambda: len(statuses) > before + 20, 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    lib.equal(set(statuses) - {200, 503}, set(), "what requests were answered with")
    assert statuses.count(200) > 20, statuses
    infer(client, "work").expect(200)


def main():
    with tempfile.TemporaryDirectory() as folder:
        runs, release = build_plugin(folder)
        config = os.path.join(folder, "sluice.yaml")
        with open(config, "w", encoding="ascii") as file:
            # The plugin writes down what it runs.
            file.write(f"plugins: {folder}\nreplicas: {{max: 1, sandbox: false}}\n")
        server = lib.Server(config).start()
        try:
            operator, client = server.operator(), server.tenant("served")
            client.namespace = client.make("namespace", "ns", feature_extractors=[
                {"feature_extractor_name": "serving_extractor", "version": "v1"}])
            bucket = client.make("bucket", "texts")
            client.make("collection", "notes", feature_extractor={
                "feature_extractor_name": "serving_extractor", "version": "v1",
                "input_mappings": {"text": "content"}},
                source={"type": "bucket", "bucket_ids": [bucket]})
            infer(client, "warm").expect(200)
            lib.wait_until("the replica is told of", lambda: replicas(operator), 60)
            with lib.check("a replica tells of its memory and its batches"):
                lib.wait_until("it has told", lambda: any(
                    replica["memory"]["private_bytes"] > 0 and replica["batches"]["items"] > 0
                    for replica in replicas(operator)), 60)
            with lib.check("what states a time that is none is refused"):
                for text in ("0", "x", "-1", "600001", "1.5", "9999999999"):
                    infer(client, "never", X_Timeout_Ms=text).expect(400)
            with lib.check("what nobody waits for is not computed"):
                check_unwanted(operator, client, runs, release)
            with lib.check("with replicas killed each request is answered or refused"):
                check_killed(operator, client)
        finally:
            server.stop()
            server.remove()
    lib.finish()


if __name__ == "__main__":
    main()
