# SPDX-License-Identifier: Apache-2.0
"""The rest of what the generated client can do: uploads, failures, models, keys, webhooks."""
import urllib.request

import archives
import mixpeek
import sluice_testlib as lib
from mixpeek import models
from sdk_calls import COPIED, EXTRACTOR, IS_OLD, make, ok, plain, refused

MORE_STEPS = ("lists_by_get", "uploads", "failures", "documents_by_hand", "groups", "model",
              "organization_model", "users", "keys", "audit", "usage", "webhooks",
              "plugins", "organization_plugins")


def put(url, body):
    """As a client does beside the SDK: to a presigned address, without a key."""
    request = urllib.request.Request(url, body, method="PUT")
    with urllib.request.urlopen(request, timeout=30) as reply:
        return reply.headers["ETag"]


class MoreSteps:
    """Steps of Flow; each undoes what later ones would count."""

    def lists_by_get(self):
        spaces = mixpeek.NamespacesApi(self.api)
        if hasattr(spaces, "list_namespaces_get"):
            lib.equal([item.namespace_id for item in ok(spaces.list_namespaces_get).results],
                      [self.space])
        documents = mixpeek.CollectionDocumentsApi(self.api)
        if hasattr(documents, "list_documents_0"):
            found = ok(documents.list_documents_0, "items_text", limit=1)
            lib.equal((len(found.results), found.results[0].collection_id), (1, self.collection))
        ok(mixpeek.HealthApi(self.api).healthcheck_health)

    def uploads(self):
        api, text = mixpeek.BucketUploadsApi(self.api), b"a purple umbrella"
        made = ok(api.create_upload_buckets, "items", make(
            "CreateUploadRequest", filename="umbrella.txt", content_type="text/plain",
            file_size_bytes=len(text), blob_property="content", blob_type="text",
            object_metadata={"sku": "U-1"}))
        lib.equal((made.status, made.bucket_id), ("PENDING", self.bucket))
        etag = put(made.presigned_url, text)
        done = ok(api.confirm_upload_buckets, "items", made.upload_id,
                  confirm_upload_request=make("ConfirmUploadRequest", etag=etag,
                                              file_size_bytes=len(text)))
        lib.equal((done.status, done.file_size_bytes), ("COMPLETED", len(text)))
        shown = plain(ok(api.get_upload_buckets, "items", made.upload_id))
        lib.equal((shown["status"], shown["filename"]), ("COMPLETED", "umbrella.txt"))
        objects = mixpeek.BucketObjectsApi(self.api)
        lib.equal(plain(ok(objects.get_object_buckets, "items", done.object_id))["sku"], "U-1")
        listed = ok(api.list_uploads_buckets, "items")
        lib.equal([item.upload_id for item in listed.results], [made.upload_id])
        spare = ok(api.create_upload_buckets, "items", make(
            "CreateUploadRequest", filename="spare.txt", content_type="text/plain"))
        ok(api.delete_upload_buckets, "items", spare.upload_id, status=204)
        refused(mixpeek.exceptions.NotFoundException, api.get_upload_buckets, "items",
                spare.upload_id)
        ok(objects.delete_object_buckets, "items", done.object_id, status=204)

    def failures(self):
        """An object without a field that its collection requires fails, and again when retried."""
        collections, api = mixpeek.CollectionsApi(self.api), mixpeek.BucketBatchesApi(self.api)
        bare = ok(mixpeek.BucketObjectsApi(self.api).create_object_buckets, "items", make(
            "CreateObjectRequest", blobs=[
                {"property": "content", "type": "text", "data": "no number"}])).object_id
        strict = ok(collections.create_collection, make(
            "CreateCollectionRequest", collection_name="strict",
            source={"type": "bucket", "bucket_ids": [self.bucket]},
            feature_extractor={**EXTRACTOR, "input_mappings": {"text": "content"},
                               "field_passthrough": [{"source_path": "sku", "required": True}]}))
        batch = ok(api.create_batch_buckets_batches, "items", models.CreateBatchRequest(
            object_ids=[self.objects[0], bare])).batch_id
        direct = lib.Client(self.server.port, self.key, self.space)
        task = direct.post(f"/v1/buckets/items/batches/{batch}/submit", {
            "collection_ids": ["strict"]}).expect(200)["task_id"]
        lib.equal(direct.wait_task(task)["status"], "COMPLETED_WITH_ERRORS")
        failed = ok(api.get_failed_documents_buckets_batches_batch, "items", batch, limit=5)
        lib.equal([(item["object_id"], item["collection_id"], item["error_type"])
                   for item in failed["failed_documents"]],
                  [(bare, strict.collection_id, "validation")])
        told = ok(api.retry_batch_buckets_batches, "items", batch, make(
            "RetryBatchRequest", retry_mode="all", tier_nums=[0]))
        lib.equal((told["batch_id"], told["retried_count"]), (batch, 1))
        lib.equal(direct.wait_task(told["task_id"])["status"], "FAILED")
        shown = ok(api.get_batch_buckets_batches, "items", batch)
        lib.equal(shown.tier_tasks[0].documents_written, 1)
        if hasattr(api, "retry_qdrant_write_buckets_batches_batch_id_tiers_num"):
            told = ok(api.retry_qdrant_write_buckets_batches_batch_id_tiers_num, "items", batch, 0)
            lib.equal((told["tier_num"], told["documents_written"]), (0, 1))
        ok(collections.delete_collection, "strict")

    def documents_by_hand(self):
        api = mixpeek.CollectionDocumentsApi(self.api)
        made = [ok(api.create_document, "items_text", make(
            "DocumentCreateRequest", collection_id=self.collection, metadata={"by": "hand"},
            number=number)) for number in range(3)]
        ids = [item.document_id for item in made]
        lib.equal([plain(item)["number"] for item in made], [0, 1, 2])
        changed = ok(api.batch_update, "items_text", make("BatchUpdateDocumentsRequest", updates=[
            {"document_id": ids[0], "update_data": {"color": "green"}},
            {"document_id": ids[1], "update_data": {"color": "gray"}}]))
        lib.equal((changed.updated_count, changed.failed_count), (2, 0))
        by_hand = {"AND": [{"field": "metadata.by", "operator": "eq", "value": "hand"}]}
        every = ok(api.bulk_update, "items_text", make(
            "BulkUpdateDocumentsRequest", filters=by_hand, update_data={"seen": True}))
        lib.equal(every.updated_count, 3)
        shown = plain(ok(api.get_document, "items_text", ids[0]))
        lib.equal((shown["color"], shown["seen"]), ("green", True))
        gone = ok(api.batch_delete, "items_text", make("BatchDeleteDocumentsRequest",
                                                       document_ids=ids[:1]))
        lib.equal(gone.deleted_count, 1)
        gone = ok(api.batch_delete, "items_text", make("BatchDeleteDocumentsRequest",
                                                       filters=by_hand))
        lib.equal(gone.deleted_count, 2)

    def groups(self):
        api = mixpeek.CollectionDocumentsApi(self.api)
        found = ok(api.list_documents, "items_text",
                   list_documents_request=make("ListDocumentsRequest", group_by="sku"))
        counts = {group.group_key: group.count for group in found.groups}
        lib.equal((counts, found.group_by_field), ({"S-0 again": 1, "S-2": 1}, "sku"))
        told = ok(api.aggregate_documents, "items_text", make(
            "DocumentAggregationRequest", group_by=[{"field": "sku"}], aggregations=[
                {"function": "count", "alias": "n"}], sort_by="sku", sort_direction="asc"))
        lib.equal([(row.group, row.metrics) for row in told.results],
                  [({"sku": "S-0 again"}, {"n": 1}), ({"sku": "S-2"}, {"n": 1})])
        made = ok(mixpeek.DocumentLineageApi(self.api).get_documents_by_object, self.objects[0])
        lib.equal([item["sku"] for item in made["documents"]], ["S-0 again"])

    def upload_model(self, api):
        if IS_OLD:
            return ok(api.upload_model_namespaces, self.space, ("probe.tar.gz", archives.GOOD),
                      "probe", "1.0.0", "safetensors", task_type="classification")
        path = f"/v1/namespaces/{self.space}/models"
        return models.ModelUploadResponse.from_dict(lib.Client(self.server.port, self.key).upload(
            path, archives.GOOD, name="probe", version="1.0.0", model_format="safetensors",
            task_type="classification").expect(200))

    def model(self):
        api = mixpeek.CustomModelsApi(self.api)
        made = self.upload_model(api)
        lib.equal((made.model_id, made.deployment_status), ("probe_1_0_0", "pending"))
        shown = ok(api.get_model_namespaces, self.space, made.model_id).model
        lib.equal((shown.name, shown.version, shown.model_format, shown.deployed),
                  ("probe", "1.0.0", "safetensors", False))
        done = ok(api.deploy_model_namespaces, self.space, made.model_id)
        lib.equal((done.deployment_status, done.model_id), ("deployed", "probe_1_0_0"))
        listed = ok(api.list_models_namespaces, self.space)
        lib.equal([(item.model_id, item.deployed) for item in listed.models],
                  [("probe_1_0_0", True)])
        anywhere = ok(mixpeek.ModelsApi(self.api).get_model, made.model_id)
        lib.equal(anywhere.model.model_hash, shown.model_hash)
        again = ok(api.deploy_model_namespaces, self.space, made.model_id)
        lib.equal((done.cached, again.cached), (False, True))
        gone = ok(api.delete_model_namespaces, self.space, made.model_id)
        lib.equal((gone.success, gone.model_id), (True, made.model_id))

    def organization_model(self):
        """Uploaded once, then enabled and disabled in the namespace."""
        api, spaces = mixpeek.ModelsApi(self.api), mixpeek.CustomModelsApi(self.api)
        made = ok(api.generate_upload_url_models, make(
            "CreateModelUploadRequest", name="shared", version="1.0.0",
            model_format="safetensors", file_size_bytes=len(archives.GOOD)))
        etag = put(made.presigned_url, archives.GOOD)
        done = ok(api.confirm_upload_models, made.upload_id, confirm_model_upload_request=make(
            "ConfirmModelUploadRequest", etag=etag, file_size_bytes=len(archives.GOOD)))
        lib.equal((done.success, done.validation_status, done.model_id),
                  (True, "passed", "shared_1_0_0"))
        listed = ok(api.list_models)
        lib.equal([(item.model_id, item.validation_status) for item in listed.models],
                  [("shared_1_0_0", "passed")])
        enabled = ok(spaces.enable_org_model_namespaces, self.space, done.model_id)
        lib.equal((enabled.success, enabled.deployment_status), (True, "skipped"))
        done = ok(spaces.deploy_model_namespaces, self.space, done.model_id)
        lib.equal((done.deployment_status, done.cached), ("deployed", False))
        available = ok(spaces.list_available_org_models_namespaces, self.space).models
        lib.equal([(item.model_id, item.enabled_in_namespace) for item in available],
                  [("shared_1_0_0", True)])
        refused(mixpeek.exceptions.ConflictException, api.delete_model, done.model_id)
        lib.equal(ok(spaces.disable_org_model_namespaces, self.space, done.model_id).success, True)
        lib.equal(ok(api.delete_model, done.model_id).model_id, "shared_1_0_0")

    def users(self):
        changed = ok(mixpeek.OrganizationsApi(self.api).update_organization, make(
            "OrganizationUpdateRequest", organization_name="sdk", metadata={"kept": "here"}))
        lib.equal(changed.metadata, {"kept": "here"})
        api = mixpeek.OrganizationUsersApi(self.api)
        made = ok(api.create_user_organizations, make(
            "UserCreateRequest", email="ann+a@sdk.local", user_name="Ann"))
        lib.equal((made["email"], made["role"]), ("ann+a@sdk.local", "member"))
        lib.equal(ok(api.get_user_organizations_email, "ann+a@sdk.local")["user_name"], "Ann")
        lib.equal(ok(api.update_user_organizations_email, "ann+a@sdk.local", make(
            "UserUpdateRequest", user_name="Anne"))["user_name"], "Anne")
        listed = ok(api.list_users_organizations, limit=10, role="member")
        lib.equal([item["email"] for item in listed["results"]], ["ann+a@sdk.local"])

    def keys(self):
        """Of the user that the step before made, who goes with them."""
        email, api = "ann+a@sdk.local", mixpeek.OrganizationAPIKeysApi(self.api)
        made = ok(api.create_key_organizations_users_email, email, make(
            "APIKeyCreateRequest", name="reads", permissions=["read"], scopes=[
                {"resource_type": "namespace", "resource_id": self.space}]))
        lib.equal((made.name, made.permissions), ("reads", ["read"]))
        hers = mixpeek.ApiClient(mixpeek.Configuration(host=self.url))
        hers.set_default_header("Authorization", f"Bearer {made.key}")
        lib.equal(ok(mixpeek.NamespacesApi(hers).get_namespace, "shop").namespace_id, self.space)
        refused(mixpeek.exceptions.ForbiddenException, mixpeek.NamespacesApi(hers).delete_namespace,
                "shop")
        fresh = ok(api.rotate_key_organizations_users_email_name, email, "reads")
        assert fresh.key != made.key, "the same secret"
        refused(mixpeek.exceptions.UnauthorizedException, mixpeek.NamespacesApi(hers).get_namespace,
                "shop")
        changed = ok(api.update_key_organizations_users_email_name, email, "reads", make(
            "APIKeyUpdateRequest", description="reads only"))
        lib.equal((changed.description, changed.status), ("reads only", "active"))
        listed = ok(api.list_keys_organizations_users_email, email)
        lib.equal([item["name"] for item in listed["results"]], ["reads"])
        lib.equal(ok(api.delete_key_organizations_users_email_name, email, "reads").success, True)
        users = mixpeek.OrganizationUsersApi(self.api)
        lib.equal(ok(users.delete_user_organizations_email, email).success, True)

    def audit(self):
        """What the step before did is in the log."""
        api = mixpeek.OrganizationAuditApi(self.api)
        listed = ok(api.list_audit_logs_organizations, limit=5, action="api_key_rotated")
        lib.equal((len(listed.results), listed.total), (1, 1))
        event = listed.results[0]
        lib.equal((event.resource_type, event.status), ("api_key", "success"))
        lib.equal(ok(api.get_audit_log_organizations, event.audit_id).audit_id, event.audit_id)
        for is_on in (True, False):
            lib.equal(ok(api.update_audit_settings_organizations, make(
                "AuditSettingsUpdateRequest", read_auditing_enabled=is_on)).read_auditing_enabled,
                is_on)
        lib.equal(ok(api.get_audit_settings_organizations).read_auditing_enabled, False)

    def usage(self):
        api = mixpeek.OrganizationUsageApi(self.api)
        assert ok(api.get_org_usage_organizations)["total_requests"] > 0
        lib.equal(ok(api.get_key_usage_organizations, "key_none")["total_requests"], 0)

    def webhooks(self):
        api = mixpeek.WebhooksApi(self.api)
        channel = {"channel": "webhook", "configs": {"url": "http://127.0.0.1:9/"}}

        def hook(name):
            return make("WebhookInput", webhook_name=name, channels=[channel],
                        event_types=["object.created", "collection.documents.written"])

        made = ok(api.create_webhook_organizations, hook("told"), status=COPIED)
        lib.equal((made.webhook_name, made.is_active), ("told", True))
        lib.equal(ok(api.get_webhook_organizations, made.webhook_id).webhook_name, "told")
        changed = ok(api.update_webhook_organizations, made.webhook_id, hook("told again"))
        lib.equal((changed.webhook_name, changed.event_types), ("told again", made.event_types))
        listed = ok(api.list_webhooks_organizations)
        lib.equal(([item.webhook_id for item in listed.results], listed.total),
                  ([made.webhook_id], 1))
        ok(api.delete_webhook_organizations, made.webhook_id, status=204)
        lib.equal(ok(api.list_webhooks_organizations).total, 0)

    def organization_plugins(self):
        if not hasattr(mixpeek, "PluginsApi"):
            return
        api = mixpeek.PluginsApi(self.api)
        lib.equal([item.plugin_id for item in ok(api.list_plugins).plugins], ["mine_extractor_v1"])
        one = ok(api.get_plugin, "mine_extractor_v1").plugin
        lib.equal((one.name, one.deployed), ("mine_extractor", True))

    def plugins(self):
        if not hasattr(mixpeek, "CustomPluginsNamespaceApi"):
            return  # Later releases have none of it.
        api = mixpeek.CustomPluginsNamespaceApi(self.api)
        listed = ok(api.list_plugins_namespaces, self.space)
        lib.equal([(item.plugin_id, item.deployed) for item in listed.plugins],
                  [("mine_extractor_v1", True)])
        available = ok(api.list_available_org_plugins_namespaces, self.space)
        lib.equal([(item.plugin_id, item.enabled_in_namespace) for item in available.plugins],
                  [("mine_extractor_v1", True)])
        one = ok(api.get_plugin_namespaces, self.space, "mine_extractor_v1").plugin
        lib.equal((one.name, one.validation_status), ("mine_extractor", "passed"))
        told = ok(api.get_deployment_status_namespaces_id_plugins, self.space, "mine_extractor_v1")
        lib.equal((told.plugin_id, told.status), ("mine_extractor_v1", "DEPLOYED"))
