#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The quickstart's client: what a user of the HTTP API would write, with the standard library only.

Uploads and deploys a model, ingests passages, searches. Everything has a name and is created only
where it is missing, so a second run goes straight to the searches.
"""
import argparse
import http.client
import json
import os
import sys
import time
import urllib.parse
import uuid

BULK = 100  # Objects in one request.
MODEL_NAME, MODEL_VERSION = "all-MiniLM-L6-v2", "1.0.0"
SEARCHES = ("get notified when a file in a directory changes",
            "how do I wait for a child process to finish",
            "how much free space is left on a file system")
TERMINAL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED")


class ApiError(Exception):
    """A reply that is not 2xx."""

    def __init__(self, method, path, status, body):
        message = body.get("error", {}).get("message", "") if isinstance(body, dict) else ""
        super().__init__(f"{method} {path}: {status} {message}")
        self.status = status


class Api:
    """One keep-alive connection, one key, one namespace."""

    def __init__(self, url, key):
        parts = urllib.parse.urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=300)
        self.headers = {"Authorization": f"Bearer {key}"}

    def send(self, method, path, body, headers):
        self.connection.request(method, path, body, {**self.headers, **headers})
        reply = self.connection.getresponse()
        text = reply.read()
        try:
            value = json.loads(text) if text else {}
        except ValueError:
            value = {}
        if reply.status >= 300:
            raise ApiError(method, path, reply.status, value)
        return value

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        return self.send(method, path, data, {"Content-Type": "application/json"})

    def find_or_create(self, collection, name, body):
        """GET by name; POST `body` where there is none. Return (it, whether it is new)."""
        try:
            return self.call("GET", f"/v1/{collection}/{name}"), False
        except ApiError as error:
            if error.status != 404:
                raise
        return self.call("POST", f"/v1/{collection}", body), True

    def upload(self, path, file_path, fields):
        """One multipart request; the file is streamed from disk."""
        boundary = uuid.uuid4().hex
        head = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
                       f"{value}\r\n" for name, value in fields.items())
        head += (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
                 f'filename="{os.path.basename(file_path)}"\r\n'
                 "Content-Type: application/gzip\r\n\r\n")
        tail = f"\r\n--{boundary}--\r\n"
        size = len(head) + os.path.getsize(file_path) + len(tail)

        def body():
            yield head.encode()
            with open(file_path, "rb") as file:
                while block := file.read(1 << 20):
                    yield block
            yield tail.encode()

        return self.send("POST", path, body(), {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(size)})


def say(text):
    print("     " + text, flush=True)


def progress(done, total, started, note=""):
    """Draw a bar over itself on a terminal; print nothing but the last line elsewhere."""
    if not sys.stdout.isatty() and done < total:
        return
    width = 32
    filled = width * done // max(total, 1)
    seconds = max(time.monotonic() - started, 1e-3)
    rate = done / seconds
    left = f", {(total - done) / rate:.0f} s left" if 0 < done < total else ""
    end = "\n" if done >= total else ""
    print(f"\r     [{'#' * filled}{'.' * (width - filled)}] {done}/{total} {note} "
          f"{rate:.0f}/s{left}   ", end=end, flush=True)


def deploy_model(api, namespace_id, archive):
    """Upload and deploy the model, where that has not been done. Return its id."""
    path = f"/v1/namespaces/{namespace_id}/models"
    model_id = f"{MODEL_NAME}_{MODEL_VERSION}".replace(".", "_")
    known = {model["model_id"]: model for model in api.call("GET", path)["models"]}
    if model_id not in known:
        started = time.monotonic()
        made = api.upload(path, archive, {
            "name": MODEL_NAME, "version": MODEL_VERSION, "model_format": "huggingface",
            "task_type": "embedding", "framework": "sentence-transformers",
            "num_cpus": "1", "num_gpus": "0", "memory_gb": "1"})
        model_id = made["model_id"]
        say(f"uploaded {os.path.getsize(archive) >> 20} MiB as {model_id} "
            f"in {time.monotonic() - started:.1f} s")
    if not known.get(model_id, {}).get("deployed"):
        say(api.call("POST", f"{path}/{model_id}/deploy")["message"])
    return model_id


def text_of(passage, has_model):
    """What is embedded. Words are all that text_hash has, so it is given the title's as well; the
    model reads prose better without a page's name before it."""
    return passage["text"] if has_model else f"{passage['title']}. {passage['text']}"


def create_objects(api, bucket, passages, has_model):
    """Create one object a passage, in bulk. Return their ids."""
    ids, started = [], time.monotonic()
    for first in range(0, len(passages), BULK):
        made = api.call("POST", f"/v1/buckets/{bucket}/objects/batch", {"objects": [
            {"passage": passage["id"], "page": passage["page"], "title": passage["title"],
             "blobs": [{"property": "content", "type": "text",
                        "data": text_of(passage, has_model)}]}
            for passage in passages[first:first + BULK]]})
        if made["failed"]:
            raise SystemExit(f"object refused: {made['failed'][0]['error']}")
        ids += [item["object_id"] for item in made["succeeded"]]
        progress(len(ids), len(passages), started, "objects stored")
    return ids


def run_batch(api, bucket, ids):
    """Submit one batch and watch its task to the end."""
    batch = api.call("POST", f"/v1/buckets/{bucket}/batches", {"object_ids": ids})
    started = time.monotonic()
    task = api.call("POST", f"/v1/buckets/{bucket}/batches/{batch['batch_id']}/submit")
    while task["status"] not in TERMINAL:
        time.sleep(0.25)
        task = api.call("GET", f"/v1/tasks/{task['task_id']}")
        count = (task.get("additional_data") or {}).get("progress") or {}
        done = count.get("done", 0) + count.get("failed", 0)
        if task["status"] not in TERMINAL:
            progress(min(done, len(ids) - 1), len(ids), started, "passages embedded")
    if task["status"] != "COMPLETED":
        print()
        raise SystemExit(f"the batch ended as {task['status']}: {task.get('error')}")
    progress(len(ids), len(ids), started, "passages embedded")


def prepare(api, passages, archive):
    """Make everything that a search needs. Return the retriever's id."""
    # One namespace for each embedder: vectors of two kinds are never compared.
    name = "manpages-minilm" if archive else "manpages-hash"
    namespace, _ = api.find_or_create("namespaces", name, {
        "namespace_name": name,
        "feature_extractors": [{"feature_extractor_name": "text_extractor", "version": "v1"}]})
    if archive:
        deploy_model(api, namespace["namespace_id"], archive)
    api.headers["X-Namespace"] = namespace["namespace_id"]
    bucket, _ = api.find_or_create("buckets", "manpages", {
        "bucket_name": "manpages",
        "bucket_schema": {"properties": {
            "content": {"type": "text"}, "page": {"type": "string"},
            "title": {"type": "string"}, "passage": {"type": "string"}}},
        "unique_key": {"fields": ["passage"], "default_policy": "upsert"}})
    collection, _ = api.find_or_create("collections", "manpages_text", {
        "collection_name": "manpages_text",
        "source": {"type": "bucket", "bucket_ids": [bucket["bucket_id"]]},
        "feature_extractor": {
            "feature_extractor_name": "text_extractor", "version": "v1",
            "input_mappings": {"text": "content"},
            "field_passthrough": [{"source_path": "page"}, {"source_path": "title"}]}})
    feature_uri = collection["vector_indexes"][0]["feature_uri"]
    say(f"vectors: {feature_uri}")
    if bool(archive) == feature_uri.endswith("/text_hash_v1"):
        raise SystemExit("the collection does not use the embedder that was asked for")
    if collection.get("document_count", 0) < len(passages):
        objects = create_objects(api, bucket["bucket_id"], passages, has_model=bool(archive))
        run_batch(api, bucket["bucket_id"], objects)
    else:
        say(f"{collection['document_count']} documents are there already")
    retriever, _ = api.find_or_create("retrievers", "find", {
        "retriever_name": "find", "collection_identifiers": ["manpages_text"],
        "input_schema": {"query": {"type": "string", "required": True}},
        "stages": [{"stage_name": "search", "stage_type": "filter", "config": {
            "stage_id": "feature_search", "parameters": {"final_top_k": 10, "searches": [{
                "feature_uri": feature_uri, "top_k": 50,
                "query": {"input_mode": "text", "value": "{{INPUT.query}}"}}]}}}]})
    return retriever["retriever_id"]


def search(api, retriever_id, query):
    """Return the best pages, each with its best passage, and the time it took."""
    reply = api.call("POST", f"/v1/retrievers/{retriever_id}/execute",
                     {"inputs": {"query": query}})
    pages = {}  # Hits come best first, so the first passage of a page is its best.
    for document in reply["documents"]:
        pages.setdefault(document["page"], document)
    return list(pages.values()), reply["stage_statistics"]["total_time_ms"]


def show_searches(api, retriever_id):
    for query in SEARCHES:
        pages, milliseconds = search(api, retriever_id, query)
        print(f'\n     "{query}"  ({milliseconds:.1f} ms)')
        for document in pages[:3]:
            print(f"       {document['score']:.3f}  {document['title']}")
    print(flush=True)


def check_questions(api, retriever_id, path):
    """Ask questions whose answers are known. Return how many have theirs among the top 3 pages."""
    found = total = 0
    with open(path, encoding="utf-8") as file:
        for line in file:
            wanted = json.loads(line)
            found_pages, _ = search(api, retriever_id, wanted["question"])
            pages = [document["page"] for document in found_pages[:3]]
            total += 1
            if set(pages) & set(wanted["pages"]):
                found += 1
            else:
                say(f"missed: {wanted['question']}: {', '.join(pages)}")
    print(f"{found} of {total} questions have their answer in the top 3", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--key-file", required=True)
    parser.add_argument("--passages", required=True)
    parser.add_argument("--questions", required=True)
    parser.add_argument("--model", help="archive; without it the built-in embedder is used")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    with open(options.key_file, encoding="ascii") as file:
        api = Api(options.url, file.read().strip())
    with open(options.passages, encoding="utf-8") as file:
        passages = [json.loads(line) for line in file]
    retriever_id = prepare(api, passages, options.model)
    show_searches(api, retriever_id)
    if options.check:
        found = check_questions(api, retriever_id, options.questions)
        return 1 if found < 16 else 0
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ApiError, OSError) as failure:
        sys.exit(f"quickstart: {failure}")
