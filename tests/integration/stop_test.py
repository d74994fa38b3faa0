#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM twice: the second ends the server, whatever its threads wait for."""
import glob
import os
import signal
import threading
import time

import archives
import sluice_testlib as lib

UNPACKS = 4  # More than run at a time: some wait for others.


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def children(server, verb):
    found = set()
    for path in glob.glob(f"/proc/{server.process.pid}/task/*/children"):
        found.update(int(pid) for pid in read(path).split()
                     if verb in read(f"/proc/{pid}/cmdline"))
    return found


def has_written(pid):
    for line in read(f"/proc/{pid}/io").splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1]) > 1 << 20
    return False


def stop_unpacking(server, count, seconds=60):
    """Children that unpack stand still, so that the threads that wait for them do."""
    stopped = set()
    deadline = time.monotonic() + seconds
    while len(stopped) < count and time.monotonic() < deadline:
        for pid in children(server, "unpack-model") - stopped:
            if has_written(pid):
                os.kill(pid, signal.SIGSTOP)
                stopped.add(pid)
    lib.equal(len(stopped), count, "children that stand still")
    return stopped


def upload(client, archive, number):
    try:
        client.upload(f"/v1/namespaces/{client.namespace}/models", archive, name=f"model_{number}",
                      version="1.0.0", model_format="safetensors", task_type="classification")
    except Exception:  # The server goes, and its connections with it. pylint: disable=W0718
        pass


def main():
    server = lib.Server().start()
    client = server.tenant("stop-test")
    client.namespace = client.make("namespace", "stopped", feature_extractors=lib.BOTH)
    client.make("bucket", "kept", bucket_schema={"properties": {"content": {"type": "text"}}})
    archive = archives.weights({"zeros": ("U8", [1 << 27], 0, 1 << 27)})
    uploads = [threading.Thread(target=upload, args=(client, archive, n), daemon=True)
               for n in range(UNPACKS)]
    for thread in uploads:
        thread.start()
    stopped = stop_unpacking(server, 2)
    with lib.check("two archives are unpacked at a time"):
        time.sleep(0.5)  # For a third, if there were one.
        lib.equal(children(server, "unpack-model"), stopped)
    with lib.check("while they are, blobs are stored"):
        client.make_objects("kept", [lib.text_object("pears " * 20000)])
    with lib.check("a second SIGTERM ends the server at once, and what it started"):
        server.process.send_signal(signal.SIGTERM)
        lib.wait_until("it drains", lambda: "how=drain" in server.log())
        lib.equal(server.process.poll(), None, "while it drains")
        server.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        lib.equal(server.process.wait(60), 0, "the exit status")
        lib.equal(time.monotonic() - began < 20, True, "in time")
        assert "how=at-once why=signal" in server.log(), server.log()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and any(os.path.exists(f"/proc/{p}") for p in stopped):
            time.sleep(0.01)
        lib.equal([pid for pid in stopped if read(f"/proc/{pid}/cmdline")], [], "children left")
    with lib.check("what was acknowledged is there at the next start, no model among it"):
        server.kill_all()
        server.start()
        lib.equal(len(client.post("/v1/buckets/kept/objects/list").expect(200)["results"]), 1)
        lib.equal(client.get(f"/v1/namespaces/{client.namespace}/models").expect(200)["models"], [])
    lib.finish()


if __name__ == "__main__":
    main()
