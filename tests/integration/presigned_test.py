#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An object's content by an address that needs no key: inline, stored, and refused."""
import urllib.parse

import sluice_testlib as lib

BIG = "a line of words. " * 20000


def fetch(client, url, **changes):
    """Without a key; `changes`: other values in the query."""
    parts = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(parts.query))
    query.update(changes)
    return lib.Client(client.port).get(f"{parts.path}?{urllib.parse.urlencode(query)}")


def main():
    server = lib.Server().start()
    client = server.tenant("presigned-test")
    client.namespace = client.make("namespace", "presigned", feature_extractors=lib.BOTH)
    client.make("bucket", "things", bucket_schema={"properties": {
        "content": {"type": "text"}, "more": {"type": "text"}}})
    path = "/v1/buckets/things/objects"
    made = client.post(path, {"blobs": [
        {"property": "content", "type": "text", "data": "Grün & blue"},
        {"property": "more", "type": "text", "data": BIG}]}).expect(200)
    one = f"{path}/{made['object_id']}"
    shown = client.get(one + "?return_presigned_urls=true").expect(200)["blobs"]
    urls = [blob["properties"]["presigned_url"] for blob in shown]
    with lib.check("a blob's bytes are read without a key, whether inline or stored"):
        for url, text in zip(urls, ("Grün & blue", BIG)):
            reply = fetch(client, url)
            reply.expect(200)
            lib.equal(reply.text.decode(), text)
            lib.equal(reply.headers["Content-Type"], "text/plain")
            lib.equal(reply.headers["X-Content-Type-Options"], "nosniff")
    with lib.check("a document shows the blobs of its object when asked"):
        client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [
            made["bucket_id"]]}, feature_extractor={
                "feature_extractor_name": "text_extractor", "version": "v1",
                "input_mappings": {"text": "content"}})
        _, task = client.submit("things", [made["object_id"]])
        client.wait_task(task)
        listed = client.post("/v1/collections/texts/documents/list",
                             {"return_presigned_urls": True}).expect(200)["results"]
        blobs = {blob["field"]: blob for blob in listed[0]["document_blobs"]}
        lib.equal(sorted(blobs), ["content", "more"])
        lib.equal(fetch(client, blobs["more"]["presigned_url"]).text.decode(), BIG)
        lib.equal((blobs["content"]["role"], blobs["content"]["type"]), ("source", "text"))
    with lib.check("addresses are there only when asked for"):
        plain = client.get(one).expect(200)["blobs"]
        assert not any("presigned_url" in blob["properties"] for blob in plain), plain
    with lib.check("a changed address is refused"):
        fetch(client, urls[0], expires="9999999999").expect(401)
        fetch(client, urls[0], scope="1").expect(401)
        fetch(client, urls[0], signature="0" * 64).expect(401)
        fetch(client, urls[0].replace(shown[0]["blob_id"], shown[1]["blob_id"])).expect(401)
        lib.Client(client.port).get(urllib.parse.urlsplit(urls[0]).path).expect(401)
    with lib.check("what is deleted is no longer there"):
        client.call("DELETE", one).expect(204)
        fetch(client, urls[0]).expect(404)
    with lib.check("sluice stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
