#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""skip_duplicates: content that is in the bucket already makes no second object."""
import sluice_testlib as lib

BIG = "a line of words. " * 20000


def main():
    server = lib.Server().start()
    client = server.tenant("duplicates-test")
    client.namespace = client.make("namespace", "duplicates", feature_extractors=lib.BOTH)
    for name in ("things", "others"):
        client.make("bucket", name, bucket_schema={"properties": {"content": {"type": "text"}}})
    path = "/v1/buckets/things/objects"

    def make(text, **fields):
        return client.post(path, {**lib.text_object(text), "skip_duplicates": True, **fields}
                           ).expect(200)

    def count():
        return client.get("/v1/buckets/things").expect(200)["object_count"]

    for what, text in (("inline", "green tea"), ("stored", BIG)):
        with lib.check(f"the same content, {what}, is the object that is there"):
            before = count()
            one, two = make(text, n=1), make(text, n=2)
            lib.equal((two["object_id"], two["n"], count()), (one["object_id"], 1, before + 1))
    with lib.check("without the wish, and in another bucket, it is a new one"):
        again = client.post(path, lib.text_object("green tea")).expect(200)
        assert again["object_id"] != make("green tea")["object_id"], again
        other = client.post("/v1/buckets/others/objects", {
            **lib.text_object("green tea"), "skip_duplicates": True}).expect(200)
        assert other["object_id"] != make("green tea")["object_id"], other
    with lib.check("many at once, the same ones among themselves too"):
        before = count()
        reply = client.post(path + "/batch", {"objects": [
            {**lib.text_object(text), "skip_duplicates": True}
            for text in ("green tea", "black tea", "black tea")]}).expect(200)
        ids = [item["object_id"] for item in reply["succeeded"]]
        lib.equal((ids[0], ids[1], count()), (make("green tea")["object_id"], ids[2], before + 1))
        reply = client.post(path + "/batch", {"objects": [
            {**lib.text_object("green tea"), "skip_duplicates": True}]}).expect(200)
        lib.equal(reply["succeeded_count"], 1)
    with lib.check("what has changed or gone is no duplicate any more"):
        one = make("white tea")
        client.call("PUT", f"{path}/{one['object_id']}", lib.text_object("red tea")).expect(200)
        two = make("white tea")
        assert two["object_id"] != one["object_id"], two
        client.call("DELETE", f"{path}/{two['object_id']}").expect(204)
        assert make("white tea")["object_id"] not in (one["object_id"], two["object_id"])
    with lib.check("objects of fields alone have no content to compare"):
        ids = [client.post(path, {"n": 1, "skip_duplicates": True}).expect(200)["object_id"]
               for _ in range(2)]
        assert ids[0] != ids[1], ids
    with lib.check("sluice stops when asked"):
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
