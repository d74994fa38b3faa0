#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every operation of /openapi.json, fuzzed from the document itself, with right and wrong data.

Run by scripts/test-more with the path of PyPI's `schemathesis` in a venv of its own:

    tests/schemathesis/schemathesis_test.py PROGRAM [--seconds S] [--seed N]

The first run uses a tenant's key and the ids of things that exist, without deletions; the second
deletes; the third has an operator's key. A reply must have a status that is stated for its
operation, its content type and its schema; nothing but 501 and 503 of the 5xx is stated. In the end
the server lives, has grown by a bounded amount, and still does its work.
"""
import argparse
import os
import re
import subprocess
import tempfile

import sluice_testlib as lib

CHECKS = ("status_code_conformance,content_type_conformance,"
          "response_schema_conformance,response_headers_conformance")
URI = "mixpeek://text_extractor@v1/text_hash_v1"
GROWN_MAX = 512 << 20


def make_things(client):
    """One of everything; the names of path parameters and their values."""
    client.namespace = client.make("namespace", "fuzzed", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    collection = client.make(
        "collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
        feature_extractor={**lib.BOTH[0], "input_mappings": {"text": "content"}})
    objects = client.make_objects(bucket, [lib.text_object(f"text {i}") for i in range(3)])
    batch, task = client.submit(bucket, objects)
    lib.equal(client.wait_task(task)["status"], "COMPLETED")
    retriever = client.make("retriever", "find", collection_identifiers=[collection], stages=[{
        "stage_name": "search", "config": {"stage_id": "feature_search", "parameters": {
            "searches": [{"feature_uri": URI, "query": {"value": "{{INPUT.query}}"}}]}}}])
    run = client.post(f"/v1/retrievers/{retriever}/execute",
                      {"inputs": {"query": "text"}}).expect(200)["execution_id"]
    upload = client.post(f"/v1/buckets/{bucket}/uploads",
                         {"filename": "a.txt", "content_type": "text/plain"}).expect(200)
    hook = client.post("/v1/organizations/webhooks", {
        "webhook_name": "fuzzed", "event_types": ["alert.none"], "channels": [
            {"channel": "webhook", "configs": {"url": "https://example.org/"}}]}).expect(201)
    return {"upload_id": upload["upload_id"], "webhook_identifier": hook["webhook_id"],
            "namespace_id": client.namespace, "namespace_identifier": client.namespace,
            "bucket_identifier": bucket, "collection_identifier": collection,
            "object_identifier": objects[0], "batch_id": batch, "task_id": task,
            "retriever_id": retriever, "execution_id": run, "tenant_id": "fuzzed",
            "document_id": client.documents(collection)[0]["document_id"], "tier_num": "0",
            "user_email": "owner@fuzzed.local", "extractor_id": "text_extractor_v1",
            "feature_extractor_id": "text_extractor_v1"}


def run(program, client, ids, name, *options, seconds):
    """One run of about that long; a check that it found nothing."""
    with tempfile.TemporaryDirectory(prefix="sluice-schemathesis-") as folder:
        with open(os.path.join(folder, "schemathesis.toml"), "w", encoding="utf-8") as file:
            file.write("[parameters]\n")
            file.writelines(f'"path.{key}" = "{value}"\n' for key, value in ids.items())
            if client.namespace:
                file.write(f'"header.X-Namespace" = "{client.namespace}"\n')
        command = [program, "run", f"http://127.0.0.1:{client.port}/openapi.json",
                   "-H", f"Authorization: Bearer {client.key}", "--checks", CHECKS,
                   "--phases", "coverage,fuzzing", "--mode", "all", "--max-time", str(seconds),
                   "--continue-on-failure", "--suppress-health-check", "all", "--no-color",
                   "--generation-database", "none", *options]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True,
                                  timeout=2 * seconds + 120, check=False)
        except subprocess.TimeoutExpired as late:
            lib.result(False, f"{name}: it ends after {seconds} s", (late.stdout or b"")[-2000:])
            return
    cases = re.search(r"(\d+) generated", done.stdout)
    lib.result(done.returncode == 0 and cases is not None,
               f"{name}: {cases[1] if cases else 'no'} cases, each answered as documented",
               done.stdout[-12000:] + done.stderr[-2000:])
    if done.returncode != 0 and os.environ.get("SLUICE_SCHEMATHESIS_LOG"):
        with open(os.environ["SLUICE_SCHEMATHESIS_LOG"], "a", encoding="utf-8") as file:
            file.write(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("program")
    parser.add_argument("--seconds", type=int, default=90, help="of all runs together")
    parser.add_argument("--seed", default="7")
    options = parser.parse_args()
    server = lib.Server().start()
    client = server.tenant("fuzzed")
    ids = make_things(client)
    before = server.resident()
    seed = ("--seed", options.seed)
    run(options.program, client, ids, "what exists", *seed, "--exclude-method", "DELETE",
        "--exclude-path-regex", "^/v1/tenants$", seconds=options.seconds * 7 // 10)
    run(options.program, server.operator(), {}, "an operator's key", *seed,
        "--include-path-regex", "^/v1/tenants", seconds=max(30, options.seconds // 10))
    with lib.check("the server still takes and finds work"):
        make_things(server.tenant("after"))  # What was there may have been disabled, rightly.
    run(options.program, client, {key: value for key, value in ids.items() if key != "user_email"},
        "deletions", *seed, "--include-method", "DELETE",
        seconds=max(30, options.seconds * 2 // 10))
    with lib.check("the server lives, and its memory is bounded"):
        lib.equal(client.get("/v1/health").expect(200)["status"], "OK")
        grown = server.resident() - before
        assert grown < GROWN_MAX, f"it has grown by {grown >> 20} MiB"
        lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
