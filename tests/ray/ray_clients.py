#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Ray's own clients read the dashboard's port: `serve status` and `ray job list`.

    tests/ray/ray_clients.py VENV      a virtual environment that has ray[serve]
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../integration"))
import sluice_testlib as lib  # pylint: disable=wrong-import-position

CONFIG = """
extractors:
  text_extractor:
    autoscaling_config: {min_replicas: 1, max_replicas: 1}
"""


def run(venv, *arguments):
    done = subprocess.run([os.path.join(venv, "bin", arguments[0]), *arguments[1:]],
                          capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "NO_COLOR": "1"})
    lib.equal(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def read(venv, server):
    address = f"http://127.0.0.1:{server.dashboard_port}"
    client = server.tenant("rays")
    client.namespace = client.make("namespace", "rays", feature_extractors=lib.BOTH)
    bucket = client.make("bucket", "things", bucket_schema={"properties": {}})
    client.make("collection", "texts", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                   "input_mappings": {"text": "content"}})
    with lib.check("serve status has the extractor, and that it runs"):
        lib.wait_until("a replica is there", lambda: "RUNNING: 1" in run(
            venv, "serve", "status", "--address", address), 100)
        told = run(venv, "serve", "status", "--address", address)
        assert "text_extractor" in told, told
    with lib.check("ray job list has the job, and not whose it is"):
        client.post("/v1/cluster/queues/rays:cpu/pause").expect(200)  # So it stays.
        _, task = client.submit(bucket, client.make_objects(bucket, [lib.text_object("tea")]))
        told = run(venv, "ray", "job", "list", "--address", address)
        assert task in told and "PENDING" in told and "rays" not in told, told
        told = run(venv, "ray", "job", "status", task, "--address", address)
        assert "PENDING" in told, told


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(CONFIG)
        config.flush()
        server = lib.Server(config.name)
        server.start()
        try:
            read(sys.argv[1], server)
        finally:
            server.stop()
    lib.finish()


if __name__ == "__main__":
    main()
