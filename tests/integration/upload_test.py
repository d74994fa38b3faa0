#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Presigned uploads: whole, in pieces, over a kill, refused; then as an object's content."""
import contextlib
import hashlib
import http.client
import socket
import time
import urllib.parse

import sluice_testlib as lib

MIB = 1 << 20


def put(url, body, headers=None, timeout=60):
    """PUT without a key; (status, headers, body)."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        # A refusal may come before the whole body is sent: read it all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("PUT", f"{parts.path}?{parts.query}", body, headers or {})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


def announce(client, bucket, **fields):
    return client.post(f"/v1/buckets/{bucket}/uploads", {
        "filename": "big.txt", "content_type": "text/plain", "create_object_on_confirm": False,
        **fields}).expect(200)


def check_whole(client, bucket):
    text = b"words that travel. " * 20000
    with lib.check("an upload becomes the content of an object"):
        upload = announce(client, bucket, file_size_bytes=len(text))
        path = f"/v1/buckets/{bucket}/uploads/{upload['upload_id']}"
        object_of = {"blobs": [{"property": "content", "type": "text",
                                "upload_id": upload["upload_id"]}]}
        client.post(f"/v1/buckets/{bucket}/objects", object_of).expect(422)
        client.post(f"{path}/confirm", {}).expect(400)
        status, headers, _ = put(upload["presigned_url"], text)
        lib.equal(status, 200)
        lib.equal(headers["ETag"], f'"{hashlib.sha256(text).hexdigest()}"')
        client.post(f"{path}/confirm", {"etag": "0" * 64}).expect(400)
        client.post(f"{path}/confirm", {"file_size_bytes": 1}).expect(400)
        done = client.post(f"{path}/confirm", {"etag": headers["ETag"],
                                               "file_size_bytes": len(text)}).expect(200)
        lib.equal(done["status"], "COMPLETED")
        lib.equal(client.post(f"{path}/confirm", {}).expect(200)["file_size_bytes"], len(text))
        lib.equal(put(upload["presigned_url"], text)[0], 404, "PUT after confirm")
        client.post(f"/v1/buckets/{bucket}/objects", object_of).expect(200)
        lib.equal(client.get(path).expect(200)["status"], "COMPLETED")
        lib.equal(len(client.post(f"/v1/buckets/{bucket}/uploads/list").expect(200)["results"]), 1)


def check_refused(client, bucket):
    with lib.check("an address that is changed or too small is refused"):
        upload = announce(client, bucket, file_size_bytes=100)
        url, path = upload["presigned_url"], f"/v1/buckets/{bucket}/uploads/{upload['upload_id']}"
        changed = url[:-1] + ("0" if url[-1] != "0" else "1")
        for bad in (changed, url.replace("size=100", "size=101"), url.split("?")[0],
                    url.replace("expires=", "expires=9")):
            lib.equal(put(bad, b"x")[0], 401)
        lib.equal(put(url, b"x" * 101)[0], 413)
        for text in ("bytes 5-9/100", "bytes 0-9/5", "bytes 9-0/100", "0-9/100", "bytes 0-9/100x",
                     "bytes 0-99999999999999999999/100"):
            status = put(url, b"x" * 10 if text != "bytes 5-9/100" else b"x" * 5,
                         {"Content-Range": text})[0]
            lib.equal(status, 409 if text == "bytes 5-9/100" else 400, text)
        lib.equal(put(url, b"x" * 9, {"Content-Range": "bytes 0-9/100"})[0], 400)
        lib.equal(put(url, b"x" * 50)[0], 200)
        client.post(f"{path}/confirm", {}).expect(400)  # 100 were announced.
        client.call("DELETE", path).expect(204)
        lib.equal(put(url, b"x")[0], 404)
        client.get(path).expect(404)
        client.post(f"/v1/buckets/{bucket}/uploads",
                    {"filename": "../x", "content_type": "a/b"}).expect(422)


def check_streams(client, bucket):
    data = hashlib.shake_256(b"stream").digest(MIB)
    with lib.check("a body of unknown size is taken as it comes"):
        upload = announce(client, bucket)
        pieces = (data[at:at + 70000] for at in range(0, len(data), 70000))
        status, headers, _ = put(upload["presigned_url"], pieces)  # Chunked.
        lib.equal(status, 200)
        lib.equal(headers["ETag"], f'"{hashlib.sha256(data).hexdigest()}"')
        small = announce(client, bucket, file_size_bytes=len(data) - 1)
        lib.equal(put(small["presigned_url"], iter([data]))[0], 413)
    with lib.check("who writes an upload has it alone; what a client sent before it hung up stays"):
        upload = announce(client, bucket, file_size_bytes=len(data))
        url, half = upload["presigned_url"], len(data) // 2
        path = f"/v1/buckets/{bucket}/uploads/{upload['upload_id']}"
        parts = urllib.parse.urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port)) as first:
            first.sendall(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: x\r\n"
                          f"Content-Length: {len(data)}\r\n\r\n".encode() + data[:half])
            wait_offset(url, half)
            lib.equal(put(url, data)[0], 409)
        wait_free(url)
        status, headers, _ = put(url, data[half:], {
            "Content-Range": f"bytes {half}-{len(data) - 1}/{len(data)}"})
        lib.equal(headers["ETag"], f'"{hashlib.sha256(data).hexdigest()}"')
        client.post(f"{path}/confirm", {}).expect(200)


def wait_offset(url, offset):
    """Until so much has come."""
    for _ in range(500):
        if put(url, b"", {"Content-Range": "bytes */*"})[1]["Upload-Offset"] == str(offset):
            return
        time.sleep(0.01)
    raise AssertionError("the first half never came")


def wait_free(url):
    """Until the server saw that the writer is gone. This piece begins where there is nothing yet,
    so it is refused either way."""
    for _ in range(500):
        status, _, text = put(url, b"x", {"Content-Range": f"bytes {MIB - 1}-{MIB - 1}/*"})
        lib.equal(status, 409)
        if b"another request" not in text:
            return
        time.sleep(0.01)
    raise AssertionError("the writer never went")


def check_pieces(server, client, bucket):
    with lib.check("pieces that were answered are there after a kill, and the rest follows"):
        data = hashlib.shake_256(b"seed").digest(3 * MIB)
        upload = announce(client, bucket)
        url, path = upload["presigned_url"], f"/v1/buckets/{bucket}/uploads/{upload['upload_id']}"
        status, headers, _ = put(url, data[:MIB], {"Content-Range": f"bytes 0-{MIB - 1}/*"})
        lib.equal((status, headers["Upload-Offset"]), (202, str(MIB)))
        server.kill_all()
        server.start()
        client.port = server.port
        url = url.replace(urllib.parse.urlsplit(url).netloc, f"127.0.0.1:{server.port}")
        status, headers, _ = put(url, b"", {"Content-Range": "bytes */*"})
        lib.equal((status, headers["Upload-Offset"]), (202, str(MIB)))
        lib.equal(client.get(path).expect(200)["received_bytes"], MIB)
        # The same piece again is the same piece; then the last one, which overlaps nothing.
        for first, last in ((MIB // 2, 2 * MIB), (2 * MIB, 3 * MIB)):
            status, headers, _ = put(url, data[first:last], {
                "Content-Range": f"bytes {first}-{last - 1}/{3 * MIB}"})
        lib.equal(status, 200)
        lib.equal(headers["ETag"], f'"{hashlib.sha256(data).hexdigest()}"')
        lib.equal(client.post(f"{path}/confirm", {"etag": headers["ETag"]}).expect(200)
                  ["file_size_bytes"], 3 * MIB)


def main():
    server = lib.Server().start()
    client = server.tenant("uploads")
    client.namespace = client.make("namespace", "files", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "files", bucket_schema={"properties": {}})
    check_whole(client, bucket)
    check_refused(client, bucket)
    check_streams(client, bucket)
    check_pieces(server, client, bucket)
    lib.finish()


if __name__ == "__main__":
    main()
