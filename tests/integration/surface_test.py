#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every operation of /openapi.json, answered with its success at least once.

Each reply is checked against the document by the client itself (openapi_check.py); here is only
what makes every operation succeed. A route that is added and not called here fails the last check.
"""
import pathlib
import re
import shutil
import sys
import tempfile

import archives
import openapi_check
import sluice_testlib as lib
import upload_test

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "monitoring"))
import names  # noqa: E402

URI = "mixpeek://text_extractor@v1/text_hash_v1"
EXTRACTOR = {"feature_extractor_name": "text_extractor", "version": "v1"}
# There are no installed plugins, no other workers, no waiting job and no group that is started by
# demand: these only refuse.
ONLY_REFUSE = {"get_plugin", "get_plugin_status", "get_organization_plugin", "drain_node",
               "explain_placement", "scale_group", "scale_workers", "restart_replica"}


def stages(query="{{INPUT.query}}"):
    return [{"stage_name": "search", "stage_type": "filter", "config": {
        "stage_id": "feature_search", "parameters": {"final_top_k": 3, "searches": [{
            "feature_uri": URI, "top_k": 5, "query": {"input_mode": "text", "value": query}}]}}}]


def public(client):
    for path in ("/v1/health", "/v1/health/liveness", "/v1/health/deep", "/v1/health/beat",
                 "/openapi.json", "/v1/feature-extractors",
                 "/v1/feature-extractors/text_extractor_v1", "/v1/collections/features/extractors",
                 "/v1/collections/features/extractors/passthrough_extractor_v1",
                 "/v1/retrievers/stages", "/v1/discovery", "/v1/discovery/extractors",
                 "/v1/discovery/stages"):
        client.get(path).expect(200)


def leave(operator):
    tenant = "/v1/tenants/surface-leaves"
    operator.post("/v1/tenants", {"tenant_id": "surface-leaves", "name": "Leaves"}).expect(201)
    export = operator.post(f"{tenant}/offboard", {}).expect(202)["export_id"]
    lib.wait_until("the export is there", lambda: operator.get(
        f"{tenant}/exports/{export}").expect(200)["status"] == "completed", 60)
    operator.get(f"{tenant}/exports/{export}/content").expect(200)
    operator.post(f"{tenant}/offboard/cancel").expect(200)


def organization(client, operator):
    who = client.get("/v1/whoami").expect(200)
    lib.equal((who["tenant_id"], who["is_operator"]), ("surface", False))
    operator.get("/v1/tenants").expect(200)
    node = operator.get("/v1/cluster/nodes").expect(200)["results"][0]["name"]
    for order in ("cordon", "uncordon"):
        operator.post(f"/v1/cluster/nodes/{node}/{order}").expect(200)
    operator.post(f"/v1/cluster/nodes/{node}/drain").expect(409)  # The head would start it again.
    operator.get("/v1/cluster").expect(200)
    operator.get("/v1/cluster/events").expect(200)
    operator.get("/v1/cluster/logs?severity=info&limit=2").expect(200)
    operator.get("/v1/cluster/slow_requests?limit=2").expect(200)
    operator.get("/v1/cluster/events?follow=true&wait_ms=0&since=2020-01-01T00:00:00Z").expect(200)
    for page in ("worker-groups", "extractors", "replicas", "actors", "jobs"):
        operator.get(f"/v1/cluster/{page}?limit=5").expect(200)
    operator.post("/v1/cluster/replicas/0-0/restart").expect(404)  # replicas_test has one.
    client.get("/v1/cluster/extractors/text_extractor/decisions").expect(404)  # Not its own.
    operator.get("/v1/cluster/extractors/text_extractor/decisions").expect(200)
    operator.post("/v1/cluster/worker-groups/cpu-workers/scale", {"replicas": 1}).expect(409)
    operator.get("/v1/cluster/history?span=12h").expect(200)
    operator.post("/v1/cluster/groups/cpu/scale", {"replicas": 1}).expect(409)
    operator.get("/v1/cluster/config").expect(200)
    operator.call("PUT", "/v1/cluster/overrides",
                  {"overrides": "cluster: {gpu-workers: {maxReplicas: 3}}"}).expect(200)
    operator.call("PUT", "/v1/cluster/overrides", {"overrides": ""}).expect(200)
    queue = "/v1/cluster/queues/surface:cpu"
    for order in ("pause", "drain", "resume"):
        client.post(f"{queue}/{order}").expect(200)
    operator.call("PATCH", queue, {"weight": 2}).expect(200)
    client.get(queue).expect(200)
    client.get("/v1/cluster/queues").expect(200)
    client.get("/v1/tenants/surface").expect(200)
    client.get("/metrics").expect(200)
    lib.equal(names.unknown(operator.get("/metrics").text.decode()), [],
              "series that boards and rules below docs/monitoring ask for, and that are none")
    client.get("/v1/organizations").expect(200)
    client.get("/v1/organizations/usage").expect(200)
    client.get("/v1/organizations/api-keys/key_1/usage").expect(200)
    client.get("/v1/tenants/surface/usage").expect(200)
    client.get("/v1/tenants/surface/metrics?step=1d").expect(200)
    client.get("/v1/tenants/surface/health").expect(200)
    client.get("/v1/tenants/surface/events").expect(200)
    operator.call("PATCH", "/v1/tenants/surface", {"name": "Surface"}).expect(200)
    operator.post("/v1/tenants/surface/suspend", {"reason": "requested"}).expect(200)
    operator.post("/v1/tenants/surface/resume").expect(200)
    leave(operator)
    audit = "/v1/organizations/audit"
    event = client.get(f"{audit}/logs").expect(200)["results"][0]["audit_id"]
    client.get(f"{audit}/logs/{event}").expect(200)
    client.get(f"{audit}/verify").expect(200)
    client.get(f"{audit}/settings").expect(200)
    client.call("PATCH", f"{audit}/settings", {"read_auditing_enabled": False}).expect(200)
    operator.call("PUT", "/v1/tenants/surface/quotas",
                  {"limits": {"max_requests_per_day": 1000000}}).expect(200)
    client.get("/v1/tenants/surface/quotas").expect(200)
    client.post("/v1/tenants/surface/isolation/verify").expect(200)
    client.post("/v1/tenants/surface/quotas/check", {"limit": "daily_budget"}).expect(200)
    users = "/v1/organizations/users"
    client.post(users, {"email": "ann@surface.local", "user_name": "Ann"}).expect(200)
    client.get(users).expect(200)
    one = users + "/ann%40surface.local"
    client.get(one).expect(200)
    client.post(one + "/api-keys", {"name": "reads", "permissions": ["read"]}).expect(200)
    client.get(one + "/api-keys").expect(200)
    client.call("PATCH", one + "/api-keys/reads", {"description": "reads only"}).expect(200)
    client.post(one + "/api-keys/reads/rotate").expect(200)
    client.call("DELETE", one + "/api-keys/reads").expect(200)
    client.call("PATCH", one, {"user_name": "Anne"}).expect(200)
    client.call("DELETE", one).expect(200)
    client.call("PATCH", "/v1/organizations", {"organization_name": "Surface"}).expect(200)


def own_queues(client, operator):
    queue = "/v1/queues/surface"
    client.call("PUT", queue, {}).expect(200)
    client.get("/v1/queues").expect(200)
    client.get(queue).expect(200)
    client.call("PATCH", queue, {"running_max": 9}).expect(200)
    jobs = [{"payload": n, "retain_ms": 60000} for n in range(4)]
    ids = [item["job_id"] for item in client.post(
        f"{queue}/jobs", {"jobs": jobs}).expect(200)["results"]]
    client.get(f"{queue}/jobs").expect(200)
    client.get(f"{queue}/peek").expect(200)
    job = client.post(f"{queue}/lease", {}).expect(200)["jobs"][0]
    lease = {"job_id": job["job_id"], "epoch": job["epoch"]}
    client.post(f"{queue}/extend", {"leases": [lease]}).expect(200)
    client.post(f"{queue}/ends", {"ends": [{**lease, "outcome": "done"}]}).expect(200)
    client.get(f"{queue}/jobs/{ids[0]}").expect(200)
    client.get(f"{queue}/jobs/{ids[0]}/events").expect(200)
    trace = client.get(f"/v1/cluster/jobs/{ids[0]}/trace").expect(200)
    lib.equal([span["phase"] for span in trace["spans"]], ["wait", "lease"])
    client.get("/v1/cluster/queues/surface:surface/dead").expect(200)
    client.post("/v1/cluster/queues/surface:surface/dead/redrive", {"all": True}).expect(202)
    client.call("PATCH", f"{queue}/jobs/{ids[1]}", {"priority": 2}).expect(200)
    client.post(f"{queue}/jobs/{ids[1]}/cancel").expect(200)
    client.post(f"{queue}/jobs/{ids[1]}/retry").expect(200)
    client.call("DELETE", f"{queue}/jobs/{ids[0]}").expect(200)
    for what in ("cancel", "retry", "delete"):
        client.post(f"{queue}/jobs/{what}", {}).expect(200)
    client.get(f"{queue}/events").expect(200)
    client.get(f"{queue}/events/stream").expect(200)
    client.post("/v1/cluster/queues/surface:surface/stop").expect(200)
    client.call("DELETE", queue).expect(200)
    place = tempfile.mkdtemp(prefix="sluice-surface-")
    operator.post("/v1/cluster/backup", {"path": f"{place}/copy"}).expect(200)
    shutil.rmtree(place)


def namespaces(client):
    client.namespace = client.make("namespace", "surface", feature_extractors=lib.BOTH)
    client.get("/v1/namespaces").expect(200)
    client.post("/v1/namespaces/list", {"search": "surf"}).expect(200)
    one = f"/v1/namespaces/{client.namespace}"
    client.get(one).expect(200)
    for method in ("PATCH", "PUT"):
        client.call(method, one, {"description": method}).expect(200)
    client.get(one + "/extractors").expect(200)
    client.get(one + "/extractors/text_extractor_v1").expect(200)


def buckets(client):
    client.make("bucket", "things", bucket_schema={"properties": {"content": {"type": "text"}}})
    client.get("/v1/buckets").expect(200)
    client.post("/v1/buckets/list", {}).expect(200)
    client.get("/v1/buckets/things").expect(200)
    for method in ("PATCH", "PUT"):
        client.call(method, "/v1/buckets/things", {"description": method}).expect(200)
    objects = "/v1/buckets/things/objects"
    made = client.post(objects, lib.text_object("red bicycle", n=1)).expect(200)["object_id"]
    more = client.make_objects("things", [lib.text_object(f"green tea {i}") for i in range(3)])
    client.get(objects).expect(200)
    client.post(objects + "/list", {"filters": {"n": 1}}).expect(200)
    shown = client.get(f"{objects}/{made}?return_presigned_urls=true").expect(200)
    address = shown["blobs"][0]["properties"]["presigned_url"]
    client.get(address[address.index("/v1/"):]).expect(200)
    for method in ("PATCH", "PUT"):
        client.call(method, f"{objects}/{made}", {"n": 2}).expect(200)
    client.call("DELETE", f"{objects}/{more.pop()}").expect(204)
    return [made, *more]


def uploads(client):
    path = "/v1/buckets/things/uploads"
    fields = {"filename": "a.txt", "content_type": "text/plain",
              "create_object_on_confirm": False}
    kept, given_up = (client.post(path, fields).expect(200) for _ in range(2))
    one = f"{path}/{kept['upload_id']}"
    address = kept["presigned_url"].partition("/v1/")[2]
    lib.Client(client.port).call("PUT", "/v1/" + address, b"pears").expect(200)
    client.get(one).expect(200)
    client.post(path + "/list", {}).expect(200)
    client.post(one + "/confirm", {}).expect(200)
    client.call("DELETE", f"{path}/{given_up['upload_id']}").expect(204)


def webhooks(client):
    hooks = "/v1/organizations/webhooks"
    made = client.post(hooks + "/", {
        "webhook_name": "told", "event_types": ["object.created"], "channels": [
            {"channel": "webhook", "configs": {"url": "http://127.0.0.1:9/"}}]}).expect(201)
    one = f"{hooks}/{made['webhook_id']}"
    client.post(hooks + "/list", {}).expect(200)
    client.get(one).expect(200)
    client.call("PUT", one, {"webhook_name": "told again"}).expect(200)
    client.post("/v1/buckets/things/objects", lib.text_object("hook")).expect(200)
    told = client.get(one + "/deliveries").expect(200)["results"]
    client.post(f"{one}/deliveries/{told[0]['delivery_id']}/redrive").expect(200)
    client.call("DELETE", one).expect(204)


def collections(client):
    client.make("collection", "texts", feature_extractor={
        **EXTRACTOR, "input_mappings": {"text": "content"}},
        source={"type": "bucket", "bucket_ids": [
            client.get("/v1/buckets/things").expect(200)["bucket_id"]]})
    client.get("/v1/collections").expect(200)
    client.post("/v1/collections/list", {}).expect(200)
    one = "/v1/collections/texts"
    client.get(one).expect(200)
    client.call("PATCH", one, {"description": "texts"}).expect(200)
    client.get(one + "/features").expect(200)
    client.post(one + "/clone", {"collection_name": "copied"}).expect(201)
    client.call("DELETE", "/v1/collections/copied").expect(200)


def batches(client, objects):
    path = "/v1/buckets/things/batches"
    batch = client.post(path, {"object_ids": objects[:1]}).expect(200)["batch_id"]
    one = f"{path}/{batch}"
    client.post(one + "/objects", {"object_ids": objects[1:]}).expect(200)
    client.call("PATCH", one, {"metadata": {"by": "surface"}}).expect(200)
    task = client.post(one + "/submit").expect(200)["task_id"]
    lib.equal(client.wait_task(task)["status"], "COMPLETED")
    client.get(one).expect(200)
    client.post(path + "/list", {}).expect(200)
    client.get(one + "/failed-documents").expect(200)
    client.get(one + "/logs").expect(200)
    client.post(one + "/retry").expect(200)
    client.post(one + "/tiers/0/retry-qdrant-write").expect(200)
    client.get(f"/v1/tasks/{task}").expect(200)
    client.post("/v1/tasks/list", {}).expect(200)
    client.call("DELETE", f"/v1/tasks/{task}").expect(200)
    draft = client.post(path, {"object_ids": objects}).expect(200)["batch_id"]
    client.call("DELETE", f"{path}/{draft}").expect(200)
    started = client.submit("things", objects)[0]
    client.post(f"{path}/{started}/cancel").expect(200)
    again = client.post("/v1/collections/texts/trigger").expect(202)["task_id"]
    client.wait_task(again)


def documents(client):
    path = "/v1/collections/texts/documents"
    client.get(path).expect(200)
    found = client.documents("texts")
    for one in (f"{path}/{found[0]['document_id']}", f"/v1/documents/{found[0]['document_id']}"):
        client.get(one).expect(200)
        for method in ("PATCH", "PUT"):
            client.call(method, one, {"note": method}).expect(200)
    client.call("DELETE", f"{path}/{found[0]['document_id']}").expect(200)
    ours = client.post(path, {"metadata": {"by": "hand"}}).expect(200)["document_id"]
    client.post(path + "/batch", {"updates": [
        {"document_id": ours, "update_data": {"n": 1}}]}).expect(200)
    client.post(path + "/list", {"group_by": "n"}).expect(200)
    client.post(path + "/aggregate", {"aggregations": [
        {"function": "count", "alias": "n"}]}).expect(200)
    client.get(f"/v1/objects/{lib.root_object(found[1])}/documents").expect(200)
    client.call("PATCH", path + "/bulk", {"update_data": {"n": 2}}).expect(200)
    client.call("DELETE", path + "/batch", {"document_ids": [ours]}).expect(200)
    client.post("/v1/documents/search", {
        "query": "tea", "collection_ids": [found[0]["collection_id"]]}).expect(200)


def retrievers(client):
    inputs = {"inputs": {"query": "tea"}}
    client.make("retriever", "find", collection_identifiers=["texts"], stages=stages(),
                input_schema={"query": {"type": "string", "required": True}})
    client.get("/v1/retrievers").expect(200)
    client.post("/v1/retrievers/list", {}).expect(200)
    one = "/v1/retrievers/find"
    client.get(one).expect(200)
    client.call("PATCH", one, {"description": "finds"}).expect(200)
    run = client.post(one + "/execute", inputs).expect(200)["execution_id"]
    client.post(one + "/execute/explain", inputs).expect(200)
    client.post(one + "/executions/list", {}).expect(200)
    client.get(f"{one}/executions/{run}").expect(200)
    adhoc = client.post("/v1/retrievers/execute", {
        **inputs, "collection_identifiers": ["texts"], "stages": stages()}).expect(200)
    client.post("/v1/retrievers/executions/list", {}).expect(200)
    client.get(f"/v1/retrievers/executions/{adhoc['execution_id']}").expect(200)
    client.post(one + "/clone", {"retriever_name": "again"}).expect(201)
    client.call("DELETE", "/v1/retrievers/again").expect(200)


def models(client):
    path = f"/v1/namespaces/{client.namespace}/models"
    model = client.upload(path, archives.GOOD, name="probe", version="1.0.0",
                          model_format="safetensors",
                          task_type="classification").expect(200)["model_id"]
    client.get(path).expect(200)
    client.get(path + "/available").expect(200)
    client.get(f"{path}/{model}").expect(200)
    client.get("/v1/models").expect(200)
    client.get(f"/v1/models/{model}").expect(200)
    client.post(f"{path}/{model}/deploy", {}).expect(200)
    client.post(f"{path}/{model}/evict").expect(200)
    client.call("DELETE", f"{path}/{model}").expect(200)


def organization_models(client):
    path = f"/v1/namespaces/{client.namespace}/models"
    made = client.post("/v1/models/uploads", {"name": "shared", "version": "1.0.0",
                                              "model_format": "safetensors"}).expect(200)
    lib.equal(upload_test.put(made["presigned_url"], archives.GOOD)[0], 200)
    model = client.post(f"/v1/models/uploads/{made['upload_id']}/confirm").expect(200)["model_id"]
    for verb in ("enable", "disable"):
        client.post(f"{path}/org/{model}/{verb}").expect(200)
    client.call("DELETE", f"/v1/models/{model}").expect(200)


def plugins(client):
    """None is installed here; crash_test.py looks at one that is."""
    path = f"/v1/namespaces/{client.namespace}/plugins"
    client.get(path).expect(200)
    client.get(path + "/available").expect(200)
    client.get("/v1/plugins").expect(200)


def inference(client):
    client.post("/v1/inference", {"feature_uri": URI, "inputs": {"text": "tea"}}).expect(200)
    for encoding in ("float", "base64"):
        client.post("/v1/embeddings", {"model": "text_hash_v1", "input": ["tea", "bicycle"],
                                       "encoding_format": encoding}).expect(200)


def deletions(client):
    for path in ("/v1/retrievers/find", "/v1/collections/texts", "/v1/buckets/things",
                 f"/v1/namespaces/{client.namespace}"):
        client.call("DELETE", path).expect(200)


def main():
    server = lib.Server().start()
    client = server.tenant("surface")
    made = {}

    def step(name, run, *arguments):
        with lib.check(f"{name}: every operation succeeds with what the document says"):
            made[name] = run(client, *arguments)

    step("public", public)
    step("organization", organization, server.operator())
    step("own queues", own_queues, server.operator())
    step("namespaces", namespaces)
    step("buckets", buckets)
    step("uploads", uploads)
    step("webhooks", webhooks)
    step("collections", collections)
    step("batches", batches, made.get("buckets") or [])
    step("documents", documents)
    step("retrievers", retrievers)
    step("models", models)
    step("organization's models", organization_models)
    step("plugins", plugins)
    step("inference", inference)
    step("deletions", deletions)
    contract = openapi_check.of_port(server.port)
    for name in sorted(contract.undescribed()):
        lib.skip(f"{name}: gateway/replies.def does not say what it answers")
    with lib.check("no operation is left out"):
        left = contract.never_succeeded() - contract.undescribed() - ONLY_REFUSE
        lib.equal(sorted(left), [], "operations without a success")
    lib.finish()


if __name__ == "__main__":
    main()
