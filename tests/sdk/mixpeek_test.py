# SPDX-License-Identifier: Apache-2.0
"""The public Python SDK, unchanged, against sluice: only its base URL differs.

Run by scripts/test-more with the interpreters of venvs that have PyPI's `mixpeek`, the newest and
0.81, and with tests/integration in PYTHONPATH. Both clients of the SDK are used: the generated one,
which parses every reply into strict models, and the high-level one, which has spellings of its own.
What is compared is what was sent, so that a reply that parses but says nothing fails.
"""
import os
import re
import shutil
import tempfile
import time
import urllib.request

import crash_test
import mixpeek
import sdk_coverage
import sluice_testlib as lib
import tls_test
from mixpeek import models
from sdk_calls import COPIED, EXTRACTOR, IS_OLD, TEXTS, URI, find_stage, make, ok, plain, refused
from sdk_high_level import HIGH_LEVEL_STEPS, HighLevel
from sdk_more import MORE_STEPS, MoreSteps

# What the generated client has, is served, and is not run.
NOT_RUN = {} if IS_OLD else {
    ("POST", "/v1/namespaces/{}/models"): "1.x sends the archive as a text field"}
# Rows of docs/api.md that name a refusal: verb, path, status.
REFUSAL = re.compile(r"^\| (\w+) `([^`]+)` \|(?: \w+ \| refused,)? (\d+) \|", re.M)


class Flow(MoreSteps):
    """Namespace to search result with the generated client; each step needs those before it."""

    def __init__(self, server, key, namespace_id):
        self.server, self.key = server, key
        self.url = f"http://127.0.0.1:{server.port}"
        self.api = mixpeek.ApiClient(mixpeek.Configuration(host=self.url))
        self.api.set_default_header("Authorization", f"Bearer {key}")
        self.space = namespace_id
        self.bucket = self.collection = self.batch = self.task = self.retriever = None
        self.objects = self.documents = ()

    def over_tls(self):
        """A gateway before the same server, to a client that trusts its certificate, and to one
        that does not."""
        if shutil.which("openssl") is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            tls_test.make_pair(folder)
            gateway = tls_test.start_gateway(self.server, f"{folder}/cert", f"{folder}/key")
            host = f"https://127.0.0.1:{gateway.port}"
            for trusted in (f"{folder}/cert", None):
                client = mixpeek.ApiClient(mixpeek.Configuration(
                    host=host, ssl_ca_cert=trusted, retries=0))
                client.set_default_header("Authorization", f"Bearer {self.key}")
                api = mixpeek.NamespacesApi(client)
                if trusted:
                    lib.equal([each.namespace_name for each in ok(api.list_namespaces).results],
                              ["shop"])
                    continue
                try:
                    api.list_namespaces()
                except Exception as error:  # pylint: disable=broad-except
                    assert "certificate" in str(error).lower(), error
                else:
                    raise AssertionError("nobody has signed the certificate, and it is trusted")
            lib.equal(gateway.stop(), 0, "the gateway's exit status")

    def namespaces(self):
        api = mixpeek.NamespacesApi(self.api)
        made = ok(api.create_namespace, make("CreateNamespaceRequest", namespace_name="shop",
                                             feature_extractors=[EXTRACTOR]))
        self.space = made.namespace_id
        lib.equal(made.feature_extractors[0].feature_extractor_id, "text_extractor_v1")
        lib.equal(ok(api.get_namespace, "shop").namespace_id, self.space)
        lib.equal(ok(api.patch_namespace, self.space, make(
            "PatchNamespaceRequest", description="A shop")).description, "A shop")
        lib.equal(ok(api.update_namespace, self.space, make(
            "UpdateNamespaceRequest", namespace_name="shop")).namespace_name, "shop")
        listed = ok(api.list_namespaces, limit=5)
        lib.equal([(item.namespace_id, item.description) for item in listed.results],
                  [(self.space, "A shop")])
        lib.equal(listed.total_count, 1)
        self.api.set_default_header("X-Namespace", self.space)

    def buckets(self):
        api = mixpeek.BucketsApi(self.api)
        schema = {"properties": {"content": {"type": "text"}, "sku": {"type": "string"}}}
        made = ok(api.create_bucket, make("BucketCreateRequest", bucket_name="items",
                                          bucket_schema=schema))
        self.bucket = made.bucket_id
        lib.equal(sorted(made.bucket_schema.properties), ["content", "sku"])
        lib.equal((made.object_count, made.total_size_bytes), (0, 0))
        lib.equal(ok(api.get_bucket, "items").bucket_id, self.bucket)
        lib.equal(ok(api.patch_bucket, self.bucket, make(
            "BucketPatchRequest", description="All of them")).description, "All of them")
        lib.equal(ok(api.update_bucket, "items", make(
            "BucketUpdateRequest", metadata={"shelf": "7"})).metadata, {"shelf": "7"})
        listed = ok(api.list_buckets)
        lib.equal([item.bucket_name for item in listed.results], ["items"])
        lib.equal(listed.total_count, 1)
        if hasattr(api, "list_buckets_get"):
            lib.equal(ok(api.list_buckets_get, search="none").total_count, 0)
            lib.equal(ok(api.list_buckets_get, limit=1, page=1).results[0].bucket_id, self.bucket)

    def create_objects(self):
        api = mixpeek.BucketObjectsApi(self.api)

        def request(index):
            return make("CreateObjectRequest", sku=f"S-{index}", blobs=[
                {"property": "content", "type": "text", "data": TEXTS[index]}])

        first = ok(api.create_object_buckets, self.bucket, request(0))
        lib.equal((first.bucket_id, first.status, first.blobs[0].var_property),
                  (self.bucket, "DRAFT", "content"))
        many = ok(api.create_objects_batch_buckets, "items", models.CreateObjectsBatchRequest(
            objects=[request(1), request(2), request(3)]))
        lib.equal((many.total_requested, many.succeeded_count, many.failed_count), (3, 3, 0))
        self.objects = [first.object_id] + [item.object_id for item in many.succeeded]
        lib.equal(len(set(self.objects)), 4, "distinct objects")

    def change_objects(self):
        api = mixpeek.BucketObjectsApi(self.api)
        first, spare = self.objects[0], self.objects.pop()
        lib.equal(plain(ok(api.get_object_buckets, "items", first))["sku"], "S-0")
        blob = ok(api.get_object_buckets, "items", first, return_presigned_urls=True).blobs[0]
        with urllib.request.urlopen(blob.properties["presigned_url"], timeout=30) as reply:
            lib.equal(reply.read().decode(), TEXTS[0])
        changed = ok(api.patch_object_buckets, "items", first, make(
            "PatchObjectRequest", sku="S-0 again"))
        lib.equal(plain(changed)["sku"], "S-0 again")
        changed = ok(api.update_object_buckets, "items", first, make(
            "UpdateObjectRequest", metadata={"color": "brown"}))
        lib.equal(plain(changed)["metadata"], {"color": "brown"})
        ok(api.delete_object_buckets, "items", spare, status=204)
        refused(mixpeek.exceptions.NotFoundException, api.get_object_buckets, "items", spare)
        seen, cursor = [], None
        while not seen or cursor:
            page = ok(api.list_objects_buckets, "items", limit=2, cursor=cursor)
            seen += [item.object_id for item in page.results]
            cursor = page.pagination.next_cursor
        lib.equal(sorted(seen), sorted(self.objects), "objects over all pages")
        if hasattr(api, "list_objects_get_buckets"):
            lib.equal(len(ok(api.list_objects_get_buckets, "items", page_size=2).results), 2)

    def collections(self):
        api = mixpeek.CollectionsApi(self.api)
        made = ok(api.create_collection, make(
            "CreateCollectionRequest", collection_name="items_text",
            source={"type": "bucket", "bucket_ids": [self.bucket]},
            feature_extractor={**EXTRACTOR, "input_mappings": {"text": "content"},
                               "field_passthrough": [{"source_path": "sku"}]}))
        self.collection = made.collection_id
        lib.equal(made.source.bucket_ids, [self.bucket])
        lib.equal(made.feature_extractor.field_passthrough[0].source_path, "sku")
        assert "sku" in made.output_schema.properties, made.output_schema
        lib.equal(ok(api.get_collection, "items_text").collection_id, self.collection)
        lib.equal(ok(api.update_collection, "items_text", {"description": "Texts"}).description,
                  "Texts")
        listed = ok(api.list_collections, include_total=True)
        lib.equal([item.collection_name for item in listed.results], ["items_text"])
        feature = ok(api.describe_collection_features, "items_text").features[0]
        lib.equal((feature.feature_address, feature.primary), (URI, True))
        if hasattr(api, "list_collections_get"):
            lib.equal(ok(api.list_collections_get, search="items").total_count, 1)

    def clone_collection(self):
        api = mixpeek.CollectionsApi(self.api)
        copy = ok(api.clone_collection, "items_text", make(
            "CloneCollectionRequest", collection_name="copy_text"), status=COPIED)
        lib.equal((copy.source_collection_id, copy.collection.collection_name),
                  (self.collection, "copy_text"))
        lib.equal(copy.collection.feature_extractor.field_passthrough[0].source_path, "sku")
        ok(api.delete_collection, "copy_text")

    def batches(self):
        api = mixpeek.BucketBatchesApi(self.api)
        made = ok(api.create_batch_buckets_batches, "items", models.CreateBatchRequest(
            object_ids=self.objects[:2]))
        self.batch = made.batch_id
        lib.equal((made.status, made.bucket_id), ("DRAFT", self.bucket))
        more = ok(api.add_objects_to_batch_buckets_batches, "items", self.batch,
                  models.AddObjectsToBatchRequest(object_ids=self.objects[2:]))
        lib.equal(sorted(more.object_ids), sorted(self.objects))
        ok(api.patch_batch_buckets_batches, "items", self.batch, make(
            "PatchBatchRequest", metadata={"run": "first"}))
        spare = ok(api.create_batch_buckets_batches, "items", models.CreateBatchRequest(
            object_ids=self.objects[:1]))
        listed = ok(api.list_batches_buckets, "items")
        lib.equal({item.batch_id for item in listed.results}, {self.batch, spare.batch_id})
        lib.equal(listed.total_count, 2)
        lib.equal(ok(api.delete_batch_buckets_batches, "items", spare.batch_id).success, True)

    def submit(self):
        api, tasks = mixpeek.BucketBatchesApi(self.api), mixpeek.TasksApi(self.api)
        task = ok(api.submit_batch_buckets_batches, "items", self.batch)
        lib.equal((task.task_type, task.additional_data["batch_id"]),
                  ("api_buckets_batches_process", self.batch))
        self.task = task.task_id
        deadline = time.monotonic() + 60
        while ok(tasks.get_task, self.task).status not in lib.TERMINAL:
            assert time.monotonic() < deadline, "the task does not end"
            time.sleep(0.05)
        lib.equal(ok(tasks.get_task, self.task).status, "COMPLETED")
        listed = ok(tasks.list_tasks, list_tasks_request=make("ListTasksRequest",
                                                             status="COMPLETED"))
        lib.equal([item.task_id for item in listed.results], [self.task])
        refused(mixpeek.exceptions.ConflictException, api.submit_batch_buckets_batches, "items",
                self.batch)

    def after_submit(self):
        api = mixpeek.BucketBatchesApi(self.api)
        done = ok(api.get_batch_buckets_batches, "items", self.batch)
        lib.equal((done.status, done.task_id), ("COMPLETED", self.task))
        lib.equal(plain(done.metadata)["run"], "first")
        tier = done.tier_tasks[0]
        lib.equal((tier.documents_written, tier.collection_ids), (3, [self.collection]))
        if "lifecycle" in type(done).model_fields:
            lib.equal((done.lifecycle, done.lifecycle_reason), ("indexed", None))
        logs = ok(api.get_batch_logs_buckets_batches, "items", self.batch)
        lib.equal(logs["batch_id"], self.batch)
        lib.equal(ok(api.cancel_batch_buckets_batches, "items", self.batch).status, "COMPLETED")
        lib.equal(ok(mixpeek.TasksApi(self.api).kill_task, self.task).success, True)

    def trigger(self):
        api, tasks = mixpeek.CollectionsApi(self.api), mixpeek.TasksApi(self.api)
        filters = {"field": "sku", "operator": "eq", "value": "S-2"}
        done = ok(api.trigger_collection, "items_text", status=202, trigger_collection_request=make(
            "TriggerCollectionRequest", source_filters=filters))
        lib.equal((done.collection_id, done.source_bucket_ids, done.object_count, done.total_tiers),
                  (self.collection, [self.bucket], 1, 1))
        direct = lib.Client(self.server.port, self.key)
        lib.equal(direct.wait_task(done.task_id)["status"], "COMPLETED")
        lib.equal(ok(tasks.get_task, done.task_id).additional_data["batch_id"], done.batch_id)
        found = ok(mixpeek.CollectionDocumentsApi(self.api).list_documents, "items_text").results
        lib.equal(sorted(plain(item)["sku"] for item in found),
                  ["S-0 again", "S-1", "S-2", "S-2"])
        spare = [item.document_id for item in found if plain(item)["sku"] == "S-2"][0]
        ok(mixpeek.CollectionDocumentsApi(self.api).delete_document, "items_text", spare)

    def list_documents(self):
        api = mixpeek.CollectionDocumentsApi(self.api)
        found = ok(api.list_documents, "items_text").results
        self.documents = {plain(item)["sku"]: item.document_id for item in found}
        lib.equal(sorted(self.documents), ["S-0 again", "S-1", "S-2"])
        lib.equal({item.collection_id for item in found}, {self.collection})
        wanted = make("ListDocumentsRequest", filters={"AND": [
            {"field": "sku", "operator": "ne", "value": "S-1"}]}, sort={
                "field": "sku", "direction": "desc"})
        listed = ok(api.list_documents, "items_text", list_documents_request=wanted)
        lib.equal([plain(item)["sku"] for item in listed.results], ["S-2", "S-0 again"])
        page = ok(api.list_documents, "items_text", limit=2, include_total=True)
        lib.equal((len(page.results), page.pagination.total), (2, 3))

    def change_documents(self):
        api, anywhere = mixpeek.CollectionDocumentsApi(self.api), mixpeek.DocumentsApi(self.api)
        one = self.documents["S-1"]
        lib.equal(plain(ok(api.get_document, "items_text", one))["text"], TEXTS[1])
        lib.equal(ok(anywhere.get_document_ns, one).collection_id, self.collection)
        blob = ok(api.get_document, "items_text", one, return_presigned_urls=True).document_blobs[0]
        lib.equal((blob.var_field, blob.role), ("content", "source"))
        vector = plain(ok(api.get_document, "items_text", one, return_vectors=True))
        assert any(isinstance(value, list) and len(value) > 100 and isinstance(value[0], float)
                   for value in vector.values()), sorted(vector)
        lib.equal(plain(ok(api.patch_document, "items_text", one, {"color": "red"}))["color"],
                  "red")
        lib.equal(plain(ok(api.update_document, "items_text", one, {"color": "blue"}))["color"],
                  "blue")
        lib.equal(plain(ok(anywhere.patch_document_ns, one, {"shelf": 3}))["shelf"], 3)
        lib.equal(plain(ok(anywhere.update_document_ns, one, {"shelf": 4}))["color"], "blue")
        lib.equal(plain(ok(api.get_document, "items_text", one))["shelf"], 4)
        lib.equal(ok(api.delete_document, "items_text", one).success, True)
        refused(mixpeek.exceptions.NotFoundException, api.get_document, "items_text", one)

    def create_retriever(self):
        api = mixpeek.RetrieversApi(self.api)
        made = ok(api.create_retriever, make(
            "CreateRetrieverRequest", retriever_name="find", collection_identifiers=["items_text"],
            input_schema={"query": {"type": "string", "required": True}},
            stages=[find_stage("{{INPUT.query}}", fusion="max")]))
        made = getattr(made, "retriever", made)  # 0.81 wants it wrapped.
        self.retriever = made.retriever_id
        for shown in (made, ok(api.get_retriever, "find"), ok(api.list_retrievers).results[0],
                      ok(api.list_retrievers_get).results[0],
                      ok(api.patch_retriever, "find", make("PatchRetrieverRequest",
                                                           description="Finds")).retriever):
            lib.equal((shown.retriever_id, shown.collection_ids),
                      (self.retriever, [self.collection]))
            searches = plain(shown)["stages"][0]["config"]["parameters"]["searches"]
            lib.equal(searches[0]["feature_uri"], URI)
            if "fusion" in type(shown).model_fields:
                lib.equal((shown.fusion, shown.collection_identifiers), ("max", [self.collection]))
                lib.equal(shown.stages[0].parameters["searches"], searches)

    def execute_retriever(self):
        api = mixpeek.RetrieversApi(self.api)
        found = plain(ok(api.execute_retriever, self.retriever, make(
            "ExecuteRetrieverRequest", inputs={"query": "hiking boots"})))
        lib.equal((found["status"], found["documents"][0]["sku"]), ("completed", "S-0 again"))
        assert found["documents"][0]["score"] > found["documents"][1]["score"], found["documents"]
        refused(mixpeek.exceptions.UnprocessableEntityException, api.execute_retriever,
                self.retriever, make("ExecuteRetrieverRequest", inputs={}))
        listed = ok(api.list_executions_retrievers, self.retriever)
        lib.equal([item.execution_id for item in listed.results], [found["execution_id"]])
        again = ok(api.get_execution_retrievers, self.retriever, found["execution_id"])
        lib.equal([item["document_id"] for item in again.documents],
                  [item["document_id"] for item in found["documents"]])
        plan = ok(api.explain_retriever_execution_id_execute, self.retriever, make(
            "ExplainRetrieverRequest", inputs={"query": "tea"}))
        lib.equal([stage.stage_name for stage in plan.execution_plan], ["search"])

    def clone_retriever(self):
        api = mixpeek.RetrieversApi(self.api)
        copy = ok(api.clone_retriever, self.retriever, make(
            "CloneRetrieverRequest", retriever_name="again"), status=COPIED)
        lib.equal((copy.source_retriever_id, copy.retriever.retriever_name),
                  (self.retriever, "again"))
        ok(api.delete_retriever, "again")
        lib.equal([item.retriever_name for item in ok(api.list_retrievers).results], ["find"])

    def adhoc(self):
        api = mixpeek.AdhocRetrieversApi(self.api)
        found = ok(api.execute_adhoc_retriever, make(
            "AdhocExecuteRequest", collection_identifiers=["items_text"], inputs={"query": "tea"},
            input_schema={"query": {"type": "string"}}, stages=[find_stage("{{INPUT.query}}")]))
        lib.equal(found["documents"][0]["sku"], "S-2")
        listed = ok(api.list_adhoc_executions_retrievers)
        lib.equal([item.execution_id for item in listed.results], [found["execution_id"]])
        kept = ok(api.get_adhoc_execution_retrievers, found["execution_id"])
        lib.equal((kept.execution_mode, kept.total_returned), ("adhoc", len(found["documents"])))

    def catalogue(self):
        """Nothing here needs a key."""
        public = mixpeek.ApiClient(mixpeek.Configuration(host=self.url))
        api = mixpeek.FeatureExtractorsApi(public)
        listed = ok(api.list_feature_extractors)
        text = [item for item in listed if item.feature_extractor_id == "text_extractor_v1"]
        lib.equal(len(text), 1, "text_extractor_v1 in the catalogue")
        one = ok(api.get_feature_extractor_by, "text_extractor_v1")
        lib.equal(one.feature_extractor_name, "text_extractor")
        stages = ok(mixpeek.RetrieverStagesApi(public).list_stages_retrievers)
        assert "feature_search" in [stage.stage_id for stage in stages], stages
        discovery = mixpeek.DiscoveryApi(public)
        found = ok(discovery.list_extractors_discovery)
        lib.equal([item.name for item in found if item.name == "text_extractor"],
                  ["text_extractor"])
        found = ok(discovery.list_stages_with_examples_discovery)
        lib.equal([item.stage_id for item in found], [stage.stage_id for stage in stages])
        every = ok(discovery.get_all_discovery)
        lib.equal(len(every.stages), len(stages))
        health = mixpeek.HealthApi(public)
        lib.equal(ok(health.liveness_health)["status"], "ok")
        deep = getattr(health, "healthcheck_deep_health", health.healthcheck_health)
        report = ok(deep)
        lib.equal((report.status, report.data.metadata, report.data.task_queue),
                  ("OK", True, True))
        lib.equal(ok(health.celery_beat_health)["status"], "healthy")

    def catalogue_of_namespace(self):
        api = mixpeek.NamespaceExtractorsApi(self.api)
        listed = ok(api.list_extractors_namespaces, self.space)
        lib.equal((listed.namespace_id, listed.total), (self.space, len(listed.extractors)))
        one = ok(api.get_extractor_namespaces, self.space, "text_extractor_v1")
        lib.equal(one.feature_extractor_id, "text_extractor_v1")

    def inference(self):
        reply = ok(mixpeek.InferenceApi(self.api).execute_raw_inference, make(
            "RawInferenceRequest", feature_uri=URI, inputs={"text": "tea"}))
        assert len(reply.data["embedding"]) > 100, reply
        assert reply.latency_ms >= 0, reply

    def custom_models(self):
        api = mixpeek.CustomModelsApi(self.api)
        listed = ok(api.list_models_namespaces, self.space)
        lib.equal((listed.models, listed.total, listed.namespace_id), ([], 0, self.space))
        lib.equal(ok(api.list_available_org_models_namespaces, self.space).total, 0)
        lib.equal(ok(mixpeek.ModelsApi(self.api).list_models).success, True)
        refused(mixpeek.exceptions.NotFoundException, api.get_model_namespaces, self.space, "none")

    def organization(self):
        lib.equal(plain(ok(mixpeek.OrganizationsApi(self.api).get_organization))[
            "organization_name"], "sdk")

    def errors(self):
        api = mixpeek.NamespacesApi(self.api)
        missing = refused(mixpeek.exceptions.NotFoundException, api.get_namespace, "none")
        lib.equal(missing.data.error.type, "NotFoundError")
        refused(mixpeek.exceptions.ConflictException, api.create_namespace, make(
            "CreateNamespaceRequest", namespace_name="shop", feature_extractors=[EXTRACTOR]))
        wrong = refused(mixpeek.exceptions.UnprocessableEntityException, api.create_namespace, make(
            "CreateNamespaceRequest", namespace_name="a b", feature_extractors=[EXTRACTOR]))
        if hasattr(wrong.data, "detail"):  # Later ones read a 422 as any other error.
            lib.equal([place.actual_instance for place in wrong.data.detail[0].loc],
                      ["body", "namespace_name"])
        else:
            lib.equal(wrong.data.error.type, "ValidationError")
        other = mixpeek.ApiClient(mixpeek.Configuration(host=self.url))
        other.set_default_header("Authorization", "Bearer sk_wrong")
        refused(mixpeek.exceptions.UnauthorizedException,
                mixpeek.NamespacesApi(other).get_namespace, "shop")

    def not_served(self):
        """docs/api.md says with which status; a generated client must raise, not return None."""
        direct = lib.Client(self.server.port, self.key, self.space)
        with open(os.path.join(lib.ROOT, "docs/api.md"), encoding="utf-8") as file:
            rows = REFUSAL.findall(file.read())
        assert len(rows) > 20, rows
        for method, path, status in rows:
            path = re.sub(r"{[^}]*}", "none", path).removesuffix("/*")
            direct.call("POST" if method == "any" else method, path).expect(int(status))
        try:
            ok(mixpeek.TaxonomiesApi(self.api).get_taxonomy_taxonomies, "none")
        except mixpeek.exceptions.ServiceException as error:
            lib.equal(error.status, 501)
        else:
            raise AssertionError("a refused family did not raise")

    def delete(self):
        collections, buckets = mixpeek.CollectionsApi(self.api), mixpeek.BucketsApi(self.api)
        lib.equal(ok(collections.delete_collection, "items_text")["collection_id"],
                  self.collection)
        lib.equal(ok(collections.list_collections).total_count, 0)
        lib.equal(ok(buckets.delete_bucket, "items")["bucket_id"], self.bucket)
        refused(mixpeek.exceptions.NotFoundException, buckets.get_bucket, "items")
        spaces = mixpeek.NamespacesApi(self.api)
        lib.equal(ok(spaces.delete_namespace, "shop")["namespace_id"], self.space)
        refused(mixpeek.exceptions.NotFoundException, spaces.get_namespace, "shop")


STEPS = ("namespaces", "over_tls", "buckets", "create_objects", "change_objects", "collections",
         "clone_collection", "batches", "submit", "after_submit", "trigger", "list_documents",
         "change_documents", "create_retriever", "execute_retriever", "clone_retriever", "adhoc",
         "catalogue", "catalogue_of_namespace", "inference", "custom_models", "organization",
         *MORE_STEPS, "errors",
         "not_served", "delete")


def run(flow, steps, name):
    for step in steps:
        with lib.check(f"{name}: {step.replace('_', ' ')}"):
            getattr(flow, step)()


def start(folder):
    """A server with a plugin and a folder that objects may name files of."""
    config = crash_test.build_plugin(folder, ["mine_extractor"])
    with open(config, "a", encoding="ascii") as file:
        file.write(f"sources:\n  file_root: {folder}\n")
    with open(os.path.join(folder, "tea.txt"), "w", encoding="ascii") as file:
        file.write("Black tea, in bags")
    return lib.Server(config).start()


def main():
    wire, version = sdk_coverage.Wire(), mixpeek.__version__
    with tempfile.TemporaryDirectory() as folder:
        server = start(folder)
        run(Flow(server, server.tenant("sdk").key, None), STEPS, f"SDK {version}")
        run(HighLevel(server, server.tenant("short").key, folder), HIGH_LEVEL_STEPS,
            f"SDK {version}, high level")
    sdk_coverage.report_generated(wire, NOT_RUN)
    lib.finish()


if __name__ == "__main__":
    main()
