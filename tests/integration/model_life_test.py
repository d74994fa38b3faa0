#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A model's life: pending, deployed, evicted, wanted again, failed, deleted; and several versions
of one at a time."""
import contextlib
import os
import shutil
import signal
import tempfile
import threading

import archives
import sluice_testlib as lib
import upload_test


def memory_holders(server):
    """Models' memory files, as (process, file) for each descriptor of the server's processes."""
    found = set()
    for pid in server.pids():
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    path = f"/proc/{pid}/fd/{fd}"
                    if os.readlink(path).startswith("/memfd:sluice-model"):
                        found.add((int(pid), os.stat(path).st_ino))
    return found


def memory_files(server):
    """How many of them there are, each counted once: the head and a node may both have it."""
    return len({file for _, file in memory_holders(server)})


class Case:
    def __init__(self, server, name, plan="scale"):
        self.server, self.client = server, server.tenant(name, plan)
        self.space = self.client.make("namespace", name, feature_extractors=lib.BOTH)
        self.client.namespace = self.space
        self.path = f"/v1/namespaces/{self.space}/models"

    def upload(self, archive=archives.GOOD, **fields):
        return self.client.upload(self.path, archive, **{
            "name": "probe", "version": "1.0.0", "model_format": "safetensors",
            "task_type": "classification", **fields})

    def upload_encoder(self, version, seed, name="encoder"):
        return self.upload(archives.encoder(seed), name=name, version=version,
                           model_format="huggingface", task_type="embedding").expect(200)

    def show(self, model):
        return self.client.get(f"{self.path}/{model}").expect(200)["model"]

    def verb(self, model, verb, body=None):
        return self.client.post(f"{self.path}/{model}/{verb}", body)

    def embed(self, model, text="abc"):
        return self.client.post("/v1/inference", {"inference_name": model,
                                                  "inputs": {"text": text}})

    def directory(self, model):
        """Where the server keeps its files."""
        for folder, names, _ in os.walk(os.path.join(self.server.data, "models")):
            for name in names:
                if name.startswith(f"{model}.") and os.path.basename(folder) == self.space:
                    return os.path.join(folder, name)
        raise AssertionError(f"no files of {model}")


def states(model):
    return [change["status"] for change in model["status_history"]]


def check_names(case):
    with lib.check("an upload answers with id, endpoint and archive; details have the rest"):
        assert case.space.startswith("ns_") and case.client.key.startswith("sk_")
        done = case.upload(name="my-embedding-model", framework="pytorch",
                           task_type="classification").expect(200)
        model = "my-embedding-model_1_0_0"
        lib.equal(done, {"success": True, "model_id": model, "deployment_status": "pending",
                         "endpoint": f"/models/{case.space}/{model}",
                         "model_archive_url": f"s3://sluice-models/{case.space}/{model}.tar.gz"})
        shown = case.show(model)
        lib.equal((shown["framework"], shown["task_type"], shown["model_format"],
                   shown["namespace_id"]),
                  ("pytorch", "classification", "safetensors", case.space))
        lib.equal(len(shown["model_hash"]), 64)
        done = case.verb(model, "deploy").expect(200)
        lib.equal((done["success"], done["namespace_id"]), (True, case.space))
        assert model in done["message"], done
        listed = case.client.get(case.path).expect(200)
        lib.equal((listed["success"], listed["total"], listed["namespace_id"]),
                  (True, 1, case.space))
        item = listed["models"][0]
        lib.equal((item["model_id"], item["name"], item["version"], item["deployed"]),
                  (model, "my-embedding-model", "1.0.0", True))
        assert item["created_at"].endswith("Z"), item
        gone = case.client.call("DELETE", f"{case.path}/{model}").expect(200)
        lib.equal((gone["success"], gone["model_id"]), (True, model))
        lib.wait_until("its memory is free", lambda: memory_files(case.server) == 0)


def check_states(case):
    with lib.check("an uploaded model is pending, with the time"):
        lib.equal(case.upload().expect(200)["deployment_status"], "pending")
        shown = case.show("probe_1_0_0")
        lib.equal((shown["status"], shown["deployed"], shown["deployment_error"]),
                  ("pending", False, None))
        lib.equal(shown["status_at"], shown["created_at"])
        lib.equal(states(shown), ["pending"])
    with lib.check("deployed it has been pending, deploying and deployed, in this order of times"):
        done = case.verb("probe_1_0_0", "deploy").expect(200)
        lib.equal((done["deployment_status"], done["cached"]), ("deployed", False))
        shown = case.show("probe_1_0_0")
        lib.equal((shown["status"], shown["deployed"]), ("deployed", True))
        lib.equal(states(shown), ["pending", "deploying", "deployed"])
        times = [change["at"] for change in shown["status_history"]]
        lib.equal(times, sorted(times))
        lib.equal(memory_files(case.server), 1)
    with lib.check("deployed once more it is cached, and nothing has changed"):
        lib.equal(case.verb("probe_1_0_0", "deploy").expect(200)["cached"], True)
        lib.equal(case.show("probe_1_0_0"), shown)


def check_evict(case):
    with lib.check("evicted its memory is gone, it stays uploaded, and the row says when and why"):
        done = case.verb("probe_1_0_0", "evict", {"reason": "room for others"}).expect(200)
        lib.equal(done["deployment_status"], "not_deployed")
        lib.wait_until("its memory is free", lambda: memory_files(case.server) == 0)
        shown = case.show("probe_1_0_0")
        lib.equal((shown["status"], shown["deployed"]), ("evicted", False))
        last = shown["status_history"][-1]
        lib.equal((last["reason"], last["message"], last["at"]),
                  ("requested", "room for others", shown["status_at"]))
        assert "deployment_info" not in shown, shown
    with lib.check("evicted once more is no change; an unknown one is not found"):
        case.verb("probe_1_0_0", "evict").expect(200)
        lib.equal(case.show("probe_1_0_0"), shown)
        case.verb("none_1_0_0", "evict").expect(404)
        case.verb("probe_1_0_0", "evict", {"reason": "x" * 201}).expect(422)
    with lib.check("deploy brings it back, not from a cache"):
        lib.equal(case.verb("probe_1_0_0", "deploy").expect(200)["cached"], False)
        lib.equal(memory_files(case.server), 1)
        lib.equal(states(case.show("probe_1_0_0"))[-3:], ["evicted", "deploying", "deployed"])
    with lib.check("the history keeps the latest 16 changes"):
        for _ in range(5):
            case.verb("probe_1_0_0", "evict").expect(200)
            case.verb("probe_1_0_0", "deploy").expect(200)
        shown = case.show("probe_1_0_0")
        lib.equal(len(shown["status_history"]), 16)
        lib.equal(states(shown)[-1], "deployed")
        case.verb("probe_1_0_0", "evict").expect(200)
        lib.wait_until("its memory is free", lambda: memory_files(case.server) == 0)


def check_evict_in_use(case):
    with lib.check("a replica keeps what it has of an evicted model, and answers with it"):
        case.upload_encoder("1.0.0", 1)
        case.verb("encoder_1_0_0", "deploy").expect(200)
        before = case.embed("encoder_1_0_0").expect(200)["data"]
        case.verb("encoder_1_0_0", "evict").expect(200)
        lib.equal(case.embed("encoder_1_0_0").expect(200)["data"], before)
        assert memory_files(case.server) >= 1, "the replica has lost its model"
    with lib.check("once the replica is idle and gone, so is the memory"):
        lib.wait_until("the memory is free", lambda: memory_files(case.server) == 0, 30)
    with lib.check("who uses an evicted model has it loaded again, on demand"):
        lib.equal(case.embed("encoder_1_0_0").expect(200)["data"], before)
        lib.equal(case.show("encoder_1_0_0")["status"], "evicted")


def check_failed(case):
    with lib.check("a deploy that fails says why, and the model remembers it"):
        case.upload(name="lost").expect(200)
        shutil.rmtree(case.directory("lost_1_0_0"))
        for _ in range(2):
            error = case.verb("lost_1_0_0", "deploy").expect(500)["error"]
            lib.equal((error["type"], error["details"]["reason"]),
                      ("InternalServerError", "load_failed"))
        assert "lost_1_0_0" in error["message"], error
        shown = case.show("lost_1_0_0")
        lib.equal((shown["status"], shown["deployed"]), ("failed", False))
        lib.equal((shown["deployment_error"]["reason"], shown["deployment_error"]["message"]),
                  ("load_failed", error["message"]))
        lib.equal(shown["deployment_error"]["at"], shown["status_at"])
        lib.equal(states(shown), ["pending", "deploying", "failed", "deploying", "failed"])
        listed = case.client.get(case.path).expect(200)["models"]
        lib.equal({item["model_id"]: item["status"] for item in listed}["lost_1_0_0"], "failed")
        case.client.call("DELETE", f"{case.path}/lost_1_0_0").expect(200)


def check_delete(case):
    with lib.check("a model that replicas use is deleted: its calls end well, or are told so"):
        case.upload_encoder("9.0.0", 9)
        case.verb("encoder_9_0_0", "deploy").expect(200)
        wanted = case.embed("encoder_9_0_0").expect(200)["data"]
        before, after, gone, stop = [], [], threading.Event(), threading.Event()

        def use():
            while not stop.is_set():
                (after if gone.is_set() else before).append(case.embed("encoder_9_0_0"))
        users = [threading.Thread(target=use) for _ in range(4)]
        for user in users:
            user.start()
        lib.wait_until("each has had answers", lambda: len(before) >= 12)
        case.client.call("DELETE", f"{case.path}/encoder_9_0_0").expect(200)
        gone.set()
        lib.wait_until("each has called after it", lambda: len(after) >= 12)
        stop.set()
        for user in users:
            user.join()
        lib.equal({reply.status for reply in after}, {404}, "calls begun after it")
        # One that was under way may have come to a node that knows it no more.
        assert {reply.status for reply in before} <= {200, 404, 503}, before
        answers = [reply.json["data"] for reply in before if reply.status == 200]
        assert answers and all(answer == wanted for answer in answers), "a wrong answer"
        lib.wait_until("its memory is free", lambda: memory_files(case.server) <= 1)


def collection(case, name, model):
    return case.client.post("/v1/collections", {
        "collection_name": name, "source": {"type": "bucket", "bucket_ids": [case.bucket]},
        "feature_extractor": {"feature_extractor_name": "text_extractor", "version": "v1",
                              "input_mappings": {"text": "content"},
                              "parameters": {"embedding_model": model}}})


def check_namespace(case):
    with lib.check("a namespace takes its models' files and memory with it"):
        other = Case(case.server, "leaving")
        before = memory_files(case.server)
        other.upload().expect(200)
        other.verb("probe_1_0_0", "deploy").expect(200)
        files = other.directory("probe_1_0_0")
        assert memory_files(case.server) > before, "the weights are in memory"
        other.client.call("DELETE", f"/v1/namespaces/{other.space}?force=true").expect(200)
        lib.wait_until("its files and its memory are gone", lambda: (
            os.path.exists(files), memory_files(case.server)) == (False, before))


def check_rollout(case):
    versions = {"1_0_0": 10, "1_1_0": 11, "2_0_0": 20}
    with lib.check("three versions of a model are live at once, each with its own vectors"):
        case.bucket = case.client.make("bucket", "texts", bucket_schema={"properties": {
            "content": {"type": "text"}}})
        vectors = {}
        for version, seed in versions.items():
            case.upload_encoder(version.replace("_", "."), seed, name="ranker")
            case.verb(f"ranker_{version}", "deploy").expect(200)
            vectors[version] = case.embed(f"ranker_{version}").expect(200)["data"]["embedding"]
        lib.equal(len({tuple(vector) for vector in vectors.values()}), 3, "different vectors")
        listed = case.client.get(case.path).expect(200)["models"]
        live = sorted(item["model_id"] for item in listed
                      if item["deployed"] and item["name"] == "ranker")
        lib.equal(live, ["ranker_1_0_0", "ranker_1_1_0", "ranker_2_0_0"])
    with lib.check("the same version once more is refused, a new one is not"):
        error = case.upload(archives.encoder(10), name="ranker", version="1.0.0",
                            model_format="huggingface").expect(409)["error"]
        lib.equal(error["type"], "ConflictError")
    with lib.check("what production uses is not deleted; a rollout moves it, then the old goes"):
        for name, version in (("production", "1_0_0"), ("staging", "1_1_0")):
            collection(case, name, f"ranker_{version}").expect(200)
        error = case.client.call("DELETE", f"{case.path}/ranker_1_0_0").expect(409)["error"]
        assert "ranker_1_0_0" in error["message"], error
        objects = case.client.make_objects("texts", [lib.text_object("abc")])
        _, task = case.client.submit("texts", objects)
        lib.equal(case.client.wait_task(task)["status"], "COMPLETED")
        case.client.call("DELETE", "/v1/collections/production").expect(200)
        case.client.call("DELETE", f"{case.path}/ranker_1_0_0").expect(200)
        case.embed("ranker_1_0_0").expect(404)
    with lib.check("the other versions are as they were"):
        for version in ("1_1_0", "2_0_0"):
            found = case.embed(f"ranker_{version}").expect(200)["data"]["embedding"]
            lib.equal(found, vectors[version], version)
    with lib.check("the name and version of what was deleted are free again"):
        case.upload_encoder("1.0.0", 99, name="ranker")
        found = case.embed("ranker_1_0_0").expect(200)["data"]["embedding"]
        assert found != vectors["1_0_0"], "the old weights are still there"


def check_shared(case):
    first, second = case.space, case.client.make("namespace", "other", feature_extractors=lib.BOTH)
    with lib.check("evicted in one namespace, it stays for another that has it deployed"):
        made = case.client.post("/v1/models/uploads", {
            "name": "shared", "version": "1.0.0", "model_format": "safetensors"}).expect(200)
        lib.equal(upload_test.put(made["presigned_url"], archives.GOOD)[0], 200)
        case.client.post(f"/v1/models/uploads/{made['upload_id']}/confirm").expect(200)
        before = memory_files(case.server)
        path = "/v1/namespaces/{}/models/{}shared_1_0_0/{}"
        for space in (first, second):
            case.client.post(path.format(space, "org/", "enable"), {"deploy": True}).expect(200)
        lib.equal(memory_files(case.server), before + 1, "one copy for both")
        done = case.client.post(path.format(first, "", "evict")).expect(200)
        assert "another namespace" in done["message"], done
        # What the node was told in that turn it has done once a later eviction is.
        case.upload(name="fence").expect(200)
        case.verb("fence_1_0_0", "deploy").expect(200)
        case.verb("fence_1_0_0", "evict").expect(200)
        lib.wait_until("the later one is gone",
                       lambda: memory_files(case.server) <= before + 1)
        again = case.client.post(path.format(second, "", "deploy")).expect(200)
        assert again["cached"], "it was let go though the other namespace has it deployed"
        lib.equal(memory_files(case.server), before + 1)
        case.client.post(path.format(second, "", "evict")).expect(200)
        lib.wait_until("its memory is free", lambda: memory_files(case.server) == before)


def check_kept(case):
    """The head has the file that a node has built, and gives it to the next one."""
    def node():
        return [n for n in case.server.operator().get("/v1/cluster/nodes").expect(200)["results"]
                if n["state"] == "alive"]

    def replace_node():
        old = node()[0]
        os.kill(old["pid"], signal.SIGKILL)
        lib.wait_until("another node is there",
                       lambda: any(n["node"] != old["node"] for n in node()), 60)

    def times(event):
        return case.server.log().count(event + " directory=models/")

    with lib.check("a node that died leaves the model in memory to the next one"):
        case.verb("probe_1_0_0", "deploy").expect(200)
        lib.wait_until("the head has its file", lambda: times("model-kept") > 0)
        there, built = times("model-there"), times("model-built")
        replace_node()
        lib.equal(case.verb("probe_1_0_0", "deploy").expect(200)["cached"], True)
        lib.equal((times("model-there"), times("model-built")), (there + 1, built))
    with lib.check("what was evicted no node keeps, nor the head"):
        before = memory_files(case.server)
        case.verb("probe_1_0_0", "evict").expect(200)
        lib.wait_until("its memory is free", lambda: memory_files(case.server) == before - 1)
        replace_node()
        lib.equal(case.verb("probe_1_0_0", "deploy").expect(200)["cached"], False)


def check_restart(case):
    with lib.check("after a restart it is deployed still, but not cached: the memory is new"):
        case.verb("probe_1_0_0", "deploy").expect(200)
        case.server.kill_all()
        case.server.start()
        lib.equal(case.show("probe_1_0_0")["status"], "deployed")
        lib.equal(case.verb("probe_1_0_0", "deploy").expect(200)["cached"], False)
        lib.equal(case.verb("probe_1_0_0", "deploy").expect(200)["cached"], True)


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("replicas: {idle: 3s}\n")
        file.flush()
        server = lib.Server(config=file.name).start()
        case = Case(server, "life")
        check_names(case)
        check_states(case)
        check_evict(case)
        check_evict_in_use(case)
        check_failed(case)
        check_delete(case)
        check_namespace(case)
        check_rollout(case)
        check_shared(case)
        check_kept(case)
        check_restart(case)
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
