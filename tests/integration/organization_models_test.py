#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Models of an organization: uploaded once by a presigned address, enabled in namespaces."""
import concurrent.futures
import os

import archives
import sluice_testlib as lib
from upload_test import put


def announce(client, name, archive, **fields):
    return client.post("/v1/models/uploads", {
        "name": name, "version": "1.0.0", "model_format": "safetensors",
        "file_size_bytes": len(archive), "task_type": "classification", **fields}).expect(200)


def upload(client, name, archive):
    made = announce(client, name, archive)
    status, headers, _ = put(made["presigned_url"], archive)
    lib.equal(status, 200)
    return made, f"/v1/models/uploads/{made['upload_id']}/confirm", headers["ETag"]


def own(listed):
    """The ids of the models that can be used here."""
    return [item["id"] for item in listed["data"] if item.get("available", True)]


def check_upload(client):
    with lib.check("an archive that comes by its address becomes a model of the organization"):
        made, confirm, etag = upload(client, "probe", archives.GOOD)
        client.post(confirm, {"etag": "0" * 64}).expect(400)
        client.post(confirm, {"file_size_bytes": 1}).expect(400)
        done = client.post(confirm, {"etag": etag, "file_size_bytes": len(archives.GOOD)}
                           ).expect(200)
        lib.equal((done["success"], done["validation_status"], done["model_id"]),
                  (True, "passed", "probe_1_0_0"))
        lib.equal(client.post(confirm).expect(200), done, "the same answer once more")
        listed = client.get("/v1/models").expect(200)
        lib.equal([item["model_id"] for item in listed["models"]], ["probe_1_0_0"])
        lib.equal(own(listed), ["text_hash_v1", "probe_1_0_0"])
        shown = client.get("/v1/models/probe_1_0_0").expect(200)["model"]
        lib.equal((shown["name"], shown["organization_id"]), ("probe", made["organization_id"]))
    with lib.check("a name that is taken, and a body that says nothing, are refused"):
        client.post("/v1/models/uploads", {"name": "probe", "version": "1.0.0",
                                           "model_format": "safetensors"}).expect(409)
        client.post("/v1/models/uploads", {}).expect(422)
        client.post("/v1/models/uploads", {"name": "1", "version": "x",
                                           "model_format": "safetensors"}).expect(422)
        client.post("/v1/models/uploads/upl_none/confirm").expect(404)
    with lib.check("what is no model is told, and nothing of it is kept"):
        _, confirm, _ = upload(client, "bad", b"no archive")
        told = client.post(confirm).expect(200)
        lib.equal((told["success"], told["validation_status"], told.get("model_id")),
                  (False, "failed", None))
        assert told["validation_errors"], told
        client.get("/v1/models/bad_1_0_0").expect(404)
        empty = announce(client, "later", archives.GOOD)
        client.post(f"/v1/models/uploads/{empty['upload_id']}/confirm").expect(400)


def check_confirms(server, client):
    with lib.check("an archive that was refused three times is refused without another look"):
        made, confirm, _ = upload(client, "worse", b"no archive either")
        told = [client.post(confirm).expect(200) for _ in range(3)]
        found = [os.path.join(parent, name) for parent, _, names in os.walk(server.data)
                 for name in names if name.startswith(made["upload_id"])]
        assert found, "nothing came"
        for path in found:
            os.rename(path, path + ".away")
        told += [client.post(confirm).expect(200) for _ in range(3)]
        assert not told[0]["success"] and all(each == told[0] for each in told), told
        for path in found:
            os.rename(path + ".away", path)
    with lib.check("two confirms of one upload at once have the same answer"):
        _, confirm, _ = upload(client, "both", archives.GOOD)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            told = list(pool.map(lambda _: client.post(confirm).expect(200), range(2)))
        assert told[0]["success"] and told[0] == told[1], told
        client.call("DELETE", "/v1/models/both_1_0_0").expect(200)


def check_namespaces(client):
    spaces = [client.make("namespace", name, feature_extractors=lib.BOTH)
              for name in ("first", "second")]
    path = "/v1/namespaces/{}/models"
    with lib.check("a namespace has it once it is enabled there, and only there"):
        available = client.get(path.format(spaces[0]) + "/available").expect(200)["models"]
        lib.equal([(item["model_id"], item["enabled_in_namespace"]) for item in available],
                  [("probe_1_0_0", False)])
        client.get(path.format(spaces[0]) + "/probe_1_0_0").expect(404)
        verb = path.format(spaces[0]) + "/org/{}/{}"
        done = client.post(verb.format("probe_1_0_0", "enable")).expect(200)
        lib.equal(done["deployment_status"], "skipped")
        done = client.post(verb.format("probe_1_0_0", "enable"), {"deploy": True}).expect(200)
        lib.equal(done["deployment_status"], "deployed")
        shown = client.get(path.format(spaces[0]) + "/probe_1_0_0").expect(200)["model"]
        lib.equal((shown["namespace_id"], shown["deployed"]), (spaces[0], True))
        lib.equal(client.get(path.format(spaces[1])).expect(200)["models"], [])
        lib.equal(len(own(client.get("/v1/models").expect(200))), 2)
        client.post(verb.format("none", "enable")).expect(404)
    with lib.check("it cannot be deleted while it is enabled, and can afterwards"):
        client.call("DELETE", "/v1/models/probe_1_0_0").expect(409)
        verb = path.format(spaces[0]) + "/org/probe_1_0_0/disable"
        client.post(verb).expect(200)
        client.post(verb).expect(404)
        # Its files are still there: another namespace may have it.
        client.post(path.format(spaces[1]) + "/org/probe_1_0_0/enable",
                    {"deploy": True}).expect(200)
        client.call("DELETE", path.format(spaces[1]) + "/probe_1_0_0").expect(200)
        client.call("DELETE", "/v1/models/probe_1_0_0").expect(200)
        client.get("/v1/models/probe_1_0_0").expect(404)
        client.call("DELETE", "/v1/models/probe_1_0_0").expect(404)
    with lib.check("its name is free again"):
        _, confirm, _ = upload(client, "probe", archives.GOOD)
        lib.equal(client.post(confirm).expect(200)["success"], True)


def main():
    server = lib.Server().start()
    client = server.tenant("models-test")
    check_upload(client)
    check_confirms(server, client)
    check_namespaces(client)
    with lib.check("another organization sees none of it, a small plan may not upload"):
        other = server.tenant("other", plan="free")
        lib.equal(other.get("/v1/models").expect(200)["models"], [])
        other.get("/v1/models/probe_1_0_0").expect(404)
        other.post("/v1/models/uploads", {"name": "probe", "version": "1.0.0",
                                          "model_format": "safetensors"}).expect(403)
    with lib.check("a restart sweeps what is nobody's and keeps what is somebody's"):
        lib.equal(server.stop(), 0, "the exit status")
        server.start()
        space = client.make("namespace", "third", feature_extractors=lib.BOTH)
        client.post(f"/v1/namespaces/{space}/models/org/probe_1_0_0/enable",
                    {"deploy": True}).expect(200)
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
