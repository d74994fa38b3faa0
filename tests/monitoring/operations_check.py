# SPDX-License-Identifier: Apache-2.0
"""Every command of docs/operations.md that is in a block, typed at a server with a batch."""
import json
import os
import pathlib
import re
import subprocess
import tempfile

import sluice_testlib as lib

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "operations.md"
CONFIG = """
cluster:
  groups:
    cpu-workers: {provider: local, min: 0, max: 2, idle: 60s, tasks: 4}
    batch-workers: {provider: local, min: 0, max: 1, idle: 60s}
    any: {}
"""
OF_TENANT = ("sluice queue inspect", "sluice dead", "sluice jobs")
NOT_ENFORCED = "sluice tenant verify"  # 1: this kernel lacks what a check needs.
SILENT = ("printf", "sluice logs --")  # Nothing went wrong here.
SERVERS = ("sluice doctor", "sluice config check")  # No --url.


def batch(operator, tenant):
    """A batch that waits, as its queue is paused; returns the task that is its job."""
    operator.post("/v1/cluster/queues/acme:cpu/pause").expect(200)
    tenant.namespace = tenant.make("namespace", "shop", feature_extractors=lib.BOTH)
    bucket = tenant.make("bucket", "things",
                         bucket_schema={"properties": {"content": {"type": "text"}}})
    tenant.make("collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "passthrough_extractor",
                                   "version": "v1"})
    return tenant.submit(bucket, tenant.make_objects(bucket, [lib.text_object("one")]))[1]


def main():
    text = PAGE.read_text()
    with lib.check("the page's sections are those that its table names"):
        heads = {re.sub(r"[^a-z0-9 -]", "", line[3:].lower()).replace(" ", "-")
                 for line in text.splitlines() if line.startswith("## ")}
        lib.equal(set(re.findall(r"\]\(#([a-z0-9-]+)\)", text)) - heads, set())
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(CONFIG)
        file.flush()
        os.environ["SLUICE_LOG_FORMAT"] = "json"  # As --log-format json would have it.
        server = lib.Server(file.name)
        try:
            server.start()
            tenant, operator = server.tenant("acme"), server.operator()
            lib.equal(server.run("version", "--log-format", "xml").returncode, 2)
            run(server, text, operator.key, tenant.key, batch(operator, tenant))
            with lib.check("each line of the log is JSON, of whichever process"):
                lines = [line for line in server.log().splitlines() if line != "ready"]
                found = [json.loads(line) for line in lines]
                lib.equal({"main", "node"} - {line["role"] for line in found}, set())
                assert all({"time", "level", "pid", "event"} <= set(line) for line in found)
        finally:
            server.remove()
    lib.finish()


def run(server, text, operator, tenant, job):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-operations-", dir=server.data))
    url = f"http://127.0.0.1:{server.port}"
    for block in re.findall(r"```sh\n(.*?)```", text, re.S):
        for line in block.splitlines():
            command = line
            if line.startswith("sluice ") and not line.startswith(SERVERS):
                command += f" --url {url}"
            command = re.sub(r"^sluice", lib.BINARY, command)
            key = tenant if line.startswith(OF_TENANT) else operator
            with lib.check(f"$ {line}"):
                ran = subprocess.run(
                    ["bash", "-c", command], cwd=folder, capture_output=True, text=True,
                    timeout=120, check=False, env={
                        **os.environ, "SLUICE_API_KEY": key, "URL": url, "JOB": job,
                        "DASHBOARD": f"http://127.0.0.1:{server.dashboard_port}"})
                fine = (0, 1) if line.startswith((NOT_ENFORCED, "sluice doctor")) else (0,)
                assert ran.returncode in fine, (ran.returncode, ran.stdout, ran.stderr)
                assert ran.stdout or line.startswith(SILENT), (ran.stdout, ran.stderr)


if __name__ == "__main__":
    main()
