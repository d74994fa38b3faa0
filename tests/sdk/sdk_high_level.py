# SPDX-License-Identifier: Apache-2.0
"""The SDK's high-level client: its short spellings must work as well."""
import mixpeek
import sdk_coverage
import sluice_testlib as lib
from sdk_calls import EXTRACTOR, IS_OLD, TEXTS, find_stage

# What the server refuses: method -> arguments, options, status.
REFUSALS = {
    "namespaces.clone": (["short"], {"name": "twice"}, 501),
    "namespaces.promote": (["short"], {}, 404),
    "namespaces.documents.upsert": ([], {"namespace_id": "short", "documents": []}, 404),
    "batches.audit": (["things", "btch_none"], {}, 404),
    "retrievers.execute_batch": (["first"], {"queries": [{"query": "tea"}]}, 404),
    "retrievers.publish": (["first"], {}, 501),
    "retrievers.run_evaluation": (["first"], {"dataset_name": "none"}, 501),
    "retrievers.create_interaction": (
        [], {"feature_id": "f", "interaction_type": ["click"]}, 405),
    "retrievers.create_interaction_from_result": (
        [{"documents": [{"document_id": "d"}], "retriever_id": "first"}], {"position": 0}, 405),
    "retrievers.backfill_interactions": ([[]], {}, 404),
    "retrievers.list_interactions": (["first"], {}, 404),
    "retrievers.get_interaction": (["none"], {}, 404),
    "retrievers.delete_interaction": (["none"], {}, 404),
    "evaluations.create_dataset": ([], {"dataset_name": "none", "queries": []}, 501),
    "evaluations.list_datasets": ([], {}, 501),
    "evaluations.get_dataset": (["none"], {}, 501),
    "evaluations.generate_from_interactions": (["first"], {}, 501),
    "evaluations.run": (["first"], {"dataset_name": "none"}, 501),
    "evaluations.list": (["first"], {}, 501),
    "evaluations.get": (["first", "none"], {}, 501),
    # Learned fusion.
    **{f"retrievers.{name}": (["first"], {}, 404) for name in (
        "enable_learned_fusion", "disable_learned_fusion", "get_weights", "get_stats",
        "get_activity")},
    **{f"retrievers.{name}": (["first"], {"user_id": "u"}, 404) for name in (
        "opt_out_user", "opt_in_user", "reset_user", "get_user_weights")},
    "retrievers.set_rollout": (["first"], {"rollout_pct": 1.0}, 404),
}


class HighLevel:
    """The ergonomic client: its short spellings must work as well."""

    def __init__(self, server, key, folder):
        self.server, self.key, self.folder = server, key, folder
        self.client = mixpeek.Mixpeek(key, base_url=f"http://127.0.0.1:{server.port}/v1")
        self.methods = sdk_coverage.Methods(self.client)
        self.bucket = self.items = self.document = None

    def make(self):
        client = self.client
        made = client.namespaces.create(name="short")
        client.namespace = made["namespace_id"]
        lib.equal(made["namespace_name"], "short")
        lib.equal(client.namespaces.get("short")["namespace_id"], client.namespace)
        lib.equal([item["namespace_name"] for item in client.namespaces.list()["results"]],
                  ["short"])
        self.bucket = client.buckets.create(name="things", bucket_schema={
            "properties": {"content": {"type": "text"}}})["bucket_id"]
        lib.equal(client.buckets.get(self.bucket)["bucket_name"], "things")
        lib.equal(client.buckets.list()["results"][0]["bucket_id"], self.bucket)

    def upload(self):
        upload = self.client.buckets.upload
        self.items = [upload(self.bucket, data=text, metadata={"shelf": str(shelf)})["object_id"]
                      for shelf, text in enumerate(TEXTS)]
        listed = self.client.buckets.list_objects(self.bucket, page_size=3)
        lib.equal(len(listed["results"]), 3)
        rest = self.client.buckets.list_objects(
            self.bucket, cursor=listed["pagination"]["next_cursor"])
        lib.equal(sorted(item["object_id"] for page in (listed, rest) for item in page["results"]),
                  sorted(self.items))
        lib.equal(rest["results"][0]["metadata"]["shelf"] in "0123", True)

    def process(self):
        client = self.client
        client.collections.create(
            name="thing_text", source={"type": "bucket", "bucket_ids": [self.bucket]},
            feature_extractor={**EXTRACTOR, "input_mappings": {"text": "content"},
                               "field_passthrough": ["metadata"]})
        lib.equal(client.collections.get("thing_text")["collection_name"], "thing_text")
        lib.equal(client.collections.list()["results"][0]["collection_name"], "thing_text")
        direct = lib.Client(self.server.port, self.key, client.namespace)
        batch, task = direct.submit(self.bucket, self.items)
        lib.equal(direct.wait_task(task)["status"], "COMPLETED")
        if hasattr(client, "tasks"):
            lib.equal(client.tasks.get(task)["status"], "COMPLETED")
            lib.equal(client.tasks.list()["results"][0]["task_id"], task)
            lib.equal(client.batches.get(self.bucket, batch)["lifecycle"], "indexed")
            failed = client.batches.failed_documents(self.bucket, batch, limit=5)
            lib.equal((failed["batch_id"], failed["failed_documents"]), (batch, []))

    def documents(self):
        api = self.client.documents
        listed = api.list("thing_text", page_size=10, filters={"metadata.shelf": "2"})["results"]
        lib.equal([item["text"] for item in listed], [TEXTS[2]])
        one = listed[0]["document_id"]
        lib.equal(api.get("thing_text", one)["document_id"], one)
        lib.equal(api.update("thing_text", one, update_data={"seen": True})["seen"], True)
        found = api.search(collection_ids=["thing_text"], query="red bicycle", page_size=2)
        lib.equal((found["results"][0]["text"], len(found["results"])), (TEXTS[1], 2))
        api.delete("thing_text", one)
        lib.equal(len(api.list("thing_text")["results"]), 3)

    def search(self):
        found = self.client.search("red bicycle", collection="thing_text")
        lib.equal(found["documents"][0]["text"], TEXTS[1])
        found = self.client.search("red bicycle", collection="thing_text", limit=5,
                                   filters={"metadata.shelf": "0"})
        lib.equal([item["text"] for item in found["documents"]], [TEXTS[0]])

    def retrievers(self):
        api = self.client.retrievers
        made = api.create(name="short_find", stages=[find_stage("{{INPUT.query}}")],
                          collection_identifiers=["thing_text"])
        lib.equal(api.get(made["retriever_id"])["retriever_name"], "short_find")
        lib.equal(api.list()["total"], 1)
        found = api.execute("short_find", inputs={"query": "boots"}, settings={"limit": 1})
        lib.equal(found["documents"][0]["text"], TEXTS[0])
        api.delete("short_find")
        lib.equal(api.list()["total"], 0)

    def the_rest(self):
        client = self.client
        done = client.collections.trigger("thing_text")
        direct = lib.Client(self.server.port, self.key, client.namespace)
        lib.equal(direct.wait_task(done["task_id"])["status"], "COMPLETED")
        one = client.documents.list("thing_text")["results"][0]["document_id"]
        lib.equal(client.documents.batch_update("thing_text", updates=[
            {"document_id": one, "update_data": {"color": "red"}}])["updated_count"], 1)
        lib.equal(client.documents.get("thing_text", one)["color"], "red")
        made = client.index(f"file://{self.folder}/tea.txt", metadata={"shelf": "9"})
        lib.equal(made["blobs"][0]["property"], "content")
        if IS_OLD:
            return
        lib.equal(client.collections.update("thing_text", description="d")["description"], "d")
        lib.equal(client.collections.clone("thing_text", name="thing_copy")["collection"][
            "collection_name"], "thing_copy")
        client.retrievers.create(name="first", collection_identifiers=["thing_text"],
                                 stages=[find_stage("{{INPUT.query}}")])
        lib.equal(client.retrievers.update("first", description="d")["retriever"][
            "description"], "d")
        found = client.retrievers.run("first", inputs={"query": "boots"})
        lib.equal(found["documents"][0]["text"], TEXTS[0])
        lib.equal(client.retrievers.clone("first", name="second")["retriever"]["retriever_name"],
                  "second")
        lib.equal(client.tasks.delete(done["task_id"])["success"], True)

    def deletes(self):
        """In a namespace of its own, since a namespace is among what goes."""
        client, kept = self.client, self.client.namespace
        client.namespace = client.namespaces.create(name="brief")["namespace_id"]
        bucket = client.buckets.create(name="few", bucket_schema={
            "properties": {"content": {"type": "text"}}})["bucket_id"]
        client.collections.create(
            name="few_text", source={"type": "bucket", "bucket_ids": [bucket]},
            feature_extractor={**EXTRACTOR, "input_mappings": {"text": "content"}})
        lib.equal(client.collections.delete("few_text")["success"], True)
        lib.equal(client.buckets.delete("few")["bucket_id"], bucket)
        lib.equal(client.namespaces.delete("brief")["namespace_id"], client.namespace)
        client.namespace = kept
        lib.equal([item["namespace_name"] for item in client.namespaces.list()["results"]],
                  ["short"])

    def every_method(self):
        self.methods.report(REFUSALS)

    def errors(self):
        for call, status in ((lambda: self.client.buckets.get("none"), 404),
                             (lambda: self.client.buckets.create(name="things", bucket_schema={
                                 "properties": {}}), 409)):
            try:
                call()
            except Exception as error:  # pylint: disable=broad-except
                lib.equal(getattr(error, "status", error), status)
            else:
                raise AssertionError(f"{status} was not raised")


HIGH_LEVEL_STEPS = ("make", "upload", "process", "documents", "search", "retrievers", "the_rest",
                    "deletes", "errors", "every_method")
