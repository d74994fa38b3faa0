#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Texts of unusual sizes through the text extractor: none, 10 MB in one chunk, unknown characters,
and a document so large that it is worked on part by part, with bounded memory, over a kill.

SLUICE_TEST_LARGE_MB: how large (default 12, so that every run of the tests has some parts).
"""
import hashlib
import http.client
import os
import threading
import time
import urllib.parse

import sluice_testlib as lib

MB = 1000000
LARGE_MB = int(os.environ.get("SLUICE_TEST_LARGE_MB", "12"))
# What the whole of sluice may add to its own memory; a replica holds a few MiB for each part, the
# main process some parts' rows until they are in its catalogue.
GROWTH_MIB_MAX = 2048 if "asan" in lib.BINARY else 128  # It keeps what was freed.
CHUNK = 1000


def words(size):
    """`size` bytes of ASCII words, no two places alike."""
    line = hashlib.shake_256(b"words").hexdigest(50000)
    text, parts = 0, []
    for number in range(size // len(line) + 1):
        part = f"{number:09} " + " ".join(line[at:at + 7] for at in range(number % 7, len(line), 7))
        parts.append(part)
        text += len(part) + 1
        if text > size:
            break
    return "\n".join(parts)[:size].encode()


def anonymous_mib(pids):
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/status", encoding="ascii") as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
        except OSError:
            pass
    return total / 1024


class Memory(threading.Thread):
    """The most that a server's processes have together for themselves."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.first, self.most = server, anonymous_mib(server.pids()), 0
        self.is_done = threading.Event()
        self.start()

    def run(self):
        while not self.is_done.wait(0.2):
            self.most = max(self.most, anonymous_mib(self.server.pids()))

    def growth(self):
        self.is_done.set()
        return self.most - self.first


def upload(client, bucket, text):
    """An object of one text that is too large for a request's body."""
    made = client.post(f"/v1/buckets/{bucket}/uploads", {
        "filename": "large.txt", "content_type": "text/plain",
        "create_object_on_confirm": False}).expect(200)
    parts = urllib.parse.urlsplit(made["presigned_url"])
    connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=300)
    connection.request("PUT", f"{parts.path}?{parts.query}", text)
    lib.equal(connection.getresponse().status, 200)
    connection.close()
    client.post(f"/v1/buckets/{bucket}/uploads/{made['upload_id']}/confirm", {},
                timeout=300).expect(200)
    return client.post(f"/v1/buckets/{bucket}/objects", {"blobs": [{
        "property": "content", "type": "text", "upload_id": made["upload_id"]}]}).expect(200)


def extract(client, name, objects, seconds=300, **parameters):
    """A collection of these parameters over the objects; its documents and the ended task."""
    bucket = client.get("/v1/buckets/texts").expect(200)["bucket_id"]
    client.make("collection", name, source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"},
                                   "parameters": parameters})
    batch = client.post("/v1/buckets/texts/batches", {"object_ids": objects}).expect(200)
    task = client.post(f"/v1/buckets/texts/batches/{batch['batch_id']}/submit", {
        "collection_ids": [name]}).expect(200)["task_id"]
    return task, seconds


def check_small(client):
    def run(name, text, **parameters):
        made = client.post("/v1/buckets/texts/objects", lib.text_object(text)).expect(200)
        task, seconds = extract(client, name, [made["object_id"]], **parameters)
        return client.wait_task(task, seconds)["status"], client.documents(name)

    with lib.check("a text without anything in it makes no documents"):
        for name, text in (("empty", ""), ("blank", " \n\t ")):
            lib.equal(run(name, text), ("COMPLETED", []))
    with lib.check("a text of characters that no embedder knows makes one document"):
        status, found = run("unknown", "\ue000\ue001 \U000f0000 \ufffd" * 100)
        lib.equal((status, len(found)), ("COMPLETED", 1))
    with lib.check("10 MB are one document where nothing splits them, and many where it does"):
        text = words(10 * MB).decode()
        status, found = run("whole", text)
        lib.equal((status, len(found)), ("COMPLETED", 1))
        lib.equal(found[0]["text"], text.strip())
        status, found = run("split", text, split_by="words", chunk_size=5000)
        lib.equal(status, "COMPLETED")
        lib.equal(" ".join(" ".join(one["text"] for one in in_order(found)).split()),
                  " ".join(text.split()))


def in_order(documents):
    return sorted(documents, key=lambda one: one["chunk_index"])


def check_large(server, client):
    text = words(LARGE_MB * MB)
    count = -(-len(text) // CHUNK)
    with lib.check("a document larger than any message is worked on in parts, over a kill"):
        memory = Memory(server)
        made = upload(client, "texts", text)
        lib.equal(made["blobs"][0]["details"]["size_bytes"], len(text))
        began = time.monotonic()
        task, _ = extract(client, "large", [made["object_id"]], split_by="characters",
                          chunk_size=CHUNK)
        written = wait_some(client, count // 4)
        server.kill_all()
        growth = memory.growth()
        server.start()
        client.port = server.port
        memory = Memory(server)
        lib.equal(client.wait_task(task, 600)["status"], "COMPLETED")
        growth = max(growth, memory.growth())
        took = time.monotonic() - began
        print(f"{LARGE_MB} MB in {took:.1f} s, {growth:.0f} MiB more memory, killed after "
              f"{written} of {count} documents", flush=True)
        lib.equal(growth <= GROWTH_MIB_MAX, True, f"{growth:.0f} MiB at most {GROWTH_MIB_MAX}")
    with lib.check("each of its chunks is one document"):
        found = in_order(client.documents("large"))
        lib.equal([one["chunk_index"] for one in found], list(range(count)))
        lib.equal({one["total_chunks"] for one in found}, {count})
        digest = hashlib.sha256()
        for one in found:
            digest.update("".join(one["text"].split()).encode())
        lib.equal(digest.digest(), hashlib.sha256(b"".join(text.split())).digest())


def wait_some(client, count):
    """Until some documents of the large text are there, but not all."""
    for _ in range(6000):
        found = client.get("/v1/collections/large").expect(200).get("document_count") or 0
        if found >= count:
            return found
        time.sleep(0.01)
    raise AssertionError("no part was stored within a minute")


def main():
    server = lib.Server().start()
    client = server.tenant("large")
    client.namespace = client.make("namespace", "large", feature_extractors=lib.BOTH)
    client.make("bucket", "texts", bucket_schema={"properties": {"content": {"type": "text"}}})
    check_small(client)
    check_large(server, client)
    lib.finish()


if __name__ == "__main__":
    main()
