#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Objects whose content is behind an address: files below a root, and HTTP within limits."""
import contextlib
import http.client
import http.server
import json
import os
import shutil
import signal
import tempfile
import threading
import time

import sluice_testlib as lib

TEXT = "red bicycle with a basket"
SIZE_MAX = 100000
WAIT_S = 3  # For a host that is slow.
HELD_S = 60  # For one that answers when it is let go: no test waits for that long.
held, let_go = [], threading.Event()


class Files(http.server.BaseHTTPRequestHandler):
    """What the paths say."""

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    def do_GET(self):
        name = self.path.strip("/")
        if name == "text":
            self.answer(200, TEXT.encode(), Content_Type="text/plain; charset=utf-8")
        elif name == "moved":
            self.answer(302, Location="/text")
        elif name == "loop":
            self.answer(302, Location="/loop")
        elif name == "out":
            self.answer(302, Location="file:///etc/passwd")
        elif name == "large":
            self.answer(200, b"x" * (SIZE_MAX + 1))
        elif name == "held":
            held.append(self)
            let_go.wait(2 * HELD_S)
            self.answer(200, b"late")
        elif name == "slow":
            time.sleep(2 * WAIT_S)
            self.answer(200, b"late")
        else:
            self.answer(int(name))


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def start(directory, **options):
    """A server with these options of `sources`, and a client in a namespace with a bucket."""
    config = os.path.join(directory, "config.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write("sources:\n" + "".join(f"  {name}: {value}\n"
                                          for name, value in options.items()))
    server = lib.Server(config).start()
    client = server.tenant("sources")
    client.namespace = client.make("namespace", "sources", feature_extractors=lib.BOTH)
    client.make("bucket", "things", bucket_schema={"properties": {"content": {"type": "text"}}})
    return server, client


OBJECTS = "/v1/buckets/things/objects"


def blob_of(address, **fields):
    return {"blobs": [{"property": "content", "type": "text", "data": address, **fields}]}


def check_served(client, files, base):
    with lib.check("content behind a file or an HTTP address is extracted"):
        made = [client.post(OBJECTS, body).expect(200) for body in (
            blob_of(f"file://{files}/a%20b.txt"), blob_of(base + "/text"),
            blob_of(base + "/moved"), {"blob": {"url": base + "/text"}})]
        for one in made:
            blob = one["blobs"][0]
            lib.equal(blob["details"]["size_bytes"], len(TEXT))
            lib.equal((blob["property"], blob["type"]), ("content", "text"))
        lib.equal(made[1]["blobs"][0]["details"]["mime_type"], "text/plain")
        lib.equal(made[1]["blobs"][0]["properties"]["url"], base + "/text")
        bucket = client.get("/v1/buckets/things").expect(200)["bucket_id"]
        client.make("collection", "texts", feature_extractor={
            "feature_extractor_name": "text_extractor", "version": "v1",
            "input_mappings": {"text": "content"}},
            source={"type": "bucket", "bucket_ids": [bucket]})
        task = client.submit("things", [one["object_id"] for one in made])[1]
        lib.equal(client.wait_task(task)["status"], "COMPLETED")
        lib.equal([one["text"] for one in client.documents("texts")], [TEXT] * 4)
    with lib.check("a replaced blob is fetched as well"):
        one = made[0]["object_id"]
        changed = client.call("PUT", f"{OBJECTS}/{one}", blob_of(base + "/moved")).expect(200)
        lib.equal(changed["blobs"][0]["properties"]["url"], base + "/moved")


def wanted(addresses, bad):
    names = {422: "ValidationError", 503: "ServiceUnavailableError"}
    return {addresses.index(one): names[status] for status, more in bad.items() for one in more
            if one in addresses}


def check_refused(client, files, base):
    os.symlink("/etc/passwd", os.path.join(files, "link"))
    bad = {422: [f"file://{files}/../{os.path.basename(files)}.yaml", f"file://{files}/link",
                 f"file://{files}/none", f"file://{files}", "file:///etc/passwd",
                 "s3://bucket/key", "gs://bucket/key", base + "/404", base + "/loop",
                 base + "/out", base + "/large", "http://user:pw@127.0.0.1/"],
           503: [base + "/500", base + "/429", base + "/slow", "http://127.0.0.1:1/"]}
    with lib.check("an address that cannot be read is refused, with the reason"):
        for status, addresses in bad.items():
            for address in addresses:
                reply = client.post(OBJECTS, blob_of(address))
                reply.expect(status)
                lib.equal("blobs.data" in reply.text.decode(), True, reply.text)
        client.post(OBJECTS, {"blob": {"url": "no address"}}).expect(422)
    with lib.check("it fails its own object only"):
        addresses = [base + "/text", *(one for more in bad.values() for one in more
                                       if not one.endswith("/slow")), base + "/moved"]
        reply = client.post(OBJECTS + "/batch", {
            "objects": [blob_of(one) for one in addresses]}).expect(200)
        lib.equal(reply["succeeded_count"], 2)
        failed = {item["object_index"]: item["error_type"] for item in reply["failed"]}
        lib.equal(failed, wanted(addresses, bad))
    with lib.check("the addresses of a request share one time limit"):
        began = time.monotonic()
        reply = client.post(OBJECTS + "/batch", {
            "objects": [blob_of(base + "/slow")] * 5 + [lib.text_object("pears")]}).expect(200)
        lib.equal((reply["succeeded_count"], reply["failed_count"]), (1, 5))
        lib.equal(time.monotonic() - began < 4 * WAIT_S, True, "in time")


def check_closed(directory, files, base):
    _, client = start(directory, timeout="2s")
    with lib.check("without the options neither files nor private hosts are read"):
        for address in (f"file://{files}/a%20b.txt", base + "/text", "http://localhost/",
                        "http://[::1]/", "http://0x7f000001/", "http://169.254.169.254/"):
            client.post(OBJECTS, blob_of(address)).expect(422)


def check_stop(server, client, base):
    with lib.check("a slow host does not hold up a stop"):
        let_go.clear()
        held.clear()
        connection = http.client.HTTPConnection("127.0.0.1", client.port)
        connection.request("POST", OBJECTS, json.dumps(blob_of(base + "/held")), {
            "Content-Type": "application/json", "X-Namespace": client.namespace,
            "Authorization": f"Bearer {client.key}"})
        lib.wait_until("it waits", lambda: held)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        lib.wait_until("it drains", lambda: "how=drain" in server.log())
        server.process.send_signal(signal.SIGTERM)  # At once.
        server.process.wait(60)
        lib.equal(time.monotonic() - began < 20, True, "in time")
        connection.close()
        let_go.set()


def check_many(client, base):
    with lib.check("requests that wait for slow hosts hold nobody else up"):
        replies = []
        waiting = [threading.Thread(target=lambda: replies.append(
            client.post(OBJECTS, blob_of(base + "/held")).status)) for _ in range(8)]
        for thread in waiting:
            thread.start()
        lib.wait_until("four wait, and four are told to come back",
                       lambda: (len(held), len(replies)) == (4, 4))
        large = lib.text_object("pears " * 20000)  # A blob: it needs an I/O thread too.
        client.post(OBJECTS, large).expect(200)
        lib.equal(replies, [503] * 4, "answers before the host's")
        let_go.set()
        for thread in waiting:
            thread.join()
        lib.equal(replies, [503] * 4 + [200] * 4)
        client.post(OBJECTS, blob_of(base + "/text")).expect(200)


def main():
    directory = tempfile.mkdtemp(prefix="sluice-sources-")
    try:
        files = os.path.join(directory, "files")
        os.mkdir(files)
        with open(os.path.join(files, "a b.txt"), "w", encoding="ascii") as file:
            file.write(TEXT)
        base = serve()
        server, client = start(directory, file_root=files, private="true", size_max=SIZE_MAX,
                               timeout=f"{WAIT_S}s")
        check_served(client, files, base)
        check_refused(client, files, base)
        lib.equal(server.stop(), 0, "the exit status")
        server, client = start(directory, private="true", timeout=f"{HELD_S}s")
        check_many(client, base)
        check_stop(server, client, base)
        check_closed(directory, files, base)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    lib.finish()


if __name__ == "__main__":
    main()
