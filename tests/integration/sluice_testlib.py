# SPDX-License-Identifier: Apache-2.0
"""What the tests over a real socket share: a server, a client, checks that print one line each.

SLUICE_BIN names the program under test (default build/bin/sluice). A server listens on free ports
of the loopback, keeps its data in a directory of its own, and is gone when the test ends. With
SLUICE_SPLIT=1 it is a head and a gateway, two processes.
"""
import atexit
import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

import openapi_check

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
BINARY = os.environ.get("SLUICE_BIN", os.path.join(ROOT, "build/bin/sluice"))
TERMINAL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED")
MARK = "SLUICE_TEST_SERVER"
# What a sanitizer says where it has no report file.
SANITIZER = re.compile(r"runtime error: |ERROR: \w+Sanitizer")

failures = 0


def result(ok, name, why=""):
    global failures
    failures += not ok
    print(f"{'ok' if ok else 'not ok'} - {name}", flush=True)
    if not ok and why:
        print("\n".join("    " + line for line in str(why).rstrip().split("\n")[-30:]), flush=True)


@contextlib.contextmanager
def check(name):
    """One line of the report: the block must not raise."""
    try:
        yield
    except Exception:  # pylint: disable=broad-except
        result(False, name, traceback.format_exc(limit=-3))
    else:
        result(True, name)


def skip(name):
    print(f"skip - {name}", flush=True)


def finish():
    """Every reply that a Client got was held against its server's /openapi.json."""
    found = [contract for contract in openapi_check.contracts.values() if contract is not None]
    wrong = sorted({text for contract in found for text in contract.violations})
    if found:
        result(not wrong, "every reply is what /openapi.json says", "\n".join(wrong))
        print(f"{sum(contract.checked for contract in found)} replies checked", flush=True)
    sys.exit(1 if failures else 0)


# What is asked of who is not up yet, or of a page that does not have it yet. A link that is cut and
# a status that is wrong are not among them: those a test has to see.
NOT_YET = (ConnectionRefusedError, FileNotFoundError, TimeoutError, LookupError)


def wait_until(what, wanted, seconds=60):
    """Until wanted() is true; looked at often, so that a test waits no longer than it must."""
    deadline = time.monotonic() + seconds
    while True:
        why = ""
        try:
            if wanted():
                return
        except NOT_YET as error:
            why = f" ({error!r})"
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}{why}"
        time.sleep(0.02)


def equal(found, wanted, what="value"):
    if found != wanted:
        raise AssertionError(f"{what} is {found!r}, not {wanted!r}")


taken = []  # A name of each port that this test was given: kept for as long as it runs.


def free_port():
    """Below those that the kernel gives to whoever connects: until a server listens on it, and
    while it starts again, no connection of this test or of another beside it takes it away. Nor
    does another test: whose name is bound has the port."""
    while True:
        port = random.SystemRandom().randrange(10000, 32768)
        name = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe, contextlib.suppress(OSError):
            name.bind(f"\0sluice-test-port-{port}")
            probe.bind(("127.0.0.1", port))
            taken.append(name)
            return port
        name.close()


def is_alive(pid):
    """A zombie is dead: it holds nothing but its entry."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def marked_processes(mark):
    """The living processes whose environment carries the mark: children inherit it."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if wanted in file.read().split(b"\0") and is_alive(entry):
                        found.append(int(entry))
    return found


class Reply:
    """The answer to `what`: a status, headers and a body that is JSON where it can be."""

    def __init__(self, what, status, headers, text):
        self.what, self.status, self.headers, self.text = what, status, headers, text
        try:
            self.json = json.loads(text) if text else None
        except ValueError:
            self.json = None

    def expect(self, status):
        if self.status != status:
            raise AssertionError(
                f"{self.what}: status {self.status}, not {status}: {self.text[:500]!r}")
        return self.json


class Client:
    """Calls with one key and, perhaps, one namespace."""

    def __init__(self, port, key=None, namespace=None):
        self.port, self.key, self.namespace = port, key, namespace

    def call(self, method, path, body=None, headers=None, timeout=60):
        """`body`: bytes go as they are, anything else as JSON."""
        sent = {"Content-Type": "application/json"}
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        if self.namespace:
            sent["X-Namespace"] = self.namespace
        sent.update(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # A refusal may come before the whole body is sent: read it all the same.
                connection.request(method, path, body, sent)
            reply = connection.getresponse()
            headers, text = dict(reply.getheaders()), reply.read()
            openapi_check.check(self.port, method, path, reply.status, headers, text)
            return Reply(f"{method} {path}", reply.status, headers, text)
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def upload(self, path, archive, **fields):
        """A multipart request with the part `file` first, as curl sends it."""
        mark = uuid.uuid4().hex.encode()
        parts = [b'--%s\r\nContent-Disposition: form-data; name="file"; filename="m.tar.gz"\r\n'
                 b"Content-Type: application/gzip\r\n\r\n%s\r\n" % (mark, archive)]
        for name, value in fields.items():
            parts.append(b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
                         % (mark, name.encode(), str(value).encode()))
        return self.call("POST", path, b"".join(parts) + b"--%s--\r\n" % mark, headers={
            "Content-Type": "multipart/form-data; boundary=" + mark.decode()}, timeout=120)

    def wait_task(self, task_id, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            task = self.get(f"/v1/tasks/{task_id}").expect(200)
            if task["status"] in TERMINAL:
                return task
            time.sleep(0.05)
        raise AssertionError(f"task {task_id} is {task['status']} after {seconds} s: {task}")

    def documents(self, collection):
        """All documents of a collection, page by page."""
        found, cursor = [], None
        while True:
            body = {"limit": 1000, **({"cursor": cursor} if cursor else {})}
            reply = self.post(f"/v1/collections/{collection}/documents/list", body).expect(200)
            found += reply["results"]
            cursor = reply["pagination"].get("next_cursor")
            if not cursor:
                return found

    def make(self, kind, name, **fields):
        """Create a namespace, bucket, collection or retriever; return its id."""
        reply = self.post(f"/v1/{kind}s", {f"{kind}_name": name, **fields}).expect(200)
        return reply[f"{kind}_id"]

    def make_objects(self, bucket, bodies, headers=None):
        ids = []
        for first in range(0, len(bodies), 100):
            reply = self.post(f"/v1/buckets/{bucket}/objects/batch",
                              {"objects": bodies[first:first + 100]}, headers=headers).expect(200)
            equal(reply["failed"], [], "failed objects")
            ids += [item["object_id"] for item in reply["succeeded"]]
        return ids

    def submit(self, bucket, object_ids):
        """Create and submit a batch; return (batch id, task id)."""
        path = f"/v1/buckets/{bucket}/batches"
        batch = self.post(path, {"object_ids": object_ids}).expect(200)["batch_id"]
        return batch, self.post(f"{path}/{batch}/submit").expect(200)["task_id"]


def up_command(data, port, dashboard_port, config=None):
    return [BINARY, "up", "--data", data, "--http", f"127.0.0.1:{port}",
            "--dashboard", f"127.0.0.1:{dashboard_port}",
            *(["--config", config] if config else [])]


def head_command(data, dashboard_port, config=None):
    return [BINARY, "head", "--data", data, "--dashboard", f"127.0.0.1:{dashboard_port}",
            *(["--config", config] if config else [])]


class Gateway:
    """`sluice gateway` before the head of a server, and before those of others."""

    def __init__(self, server, port=None, *options, head=None, others=()):
        self.server, self.port, self.options = server, port or free_port(), options
        self.heads = [option for each in (server, *others) for option in (
            "--head", head or f"ipc://{each.data}/run/head", "--data", each.data)]
        self.log_path = f"{server.data}-gateway-{self.port}.log"
        self.process = None
        atexit.register(self.remove)

    def start(self, seconds=60):
        """Until it has joined: what needs a head is answered."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, "gateway", *self.heads, "--http", f"127.0.0.1:{self.port}",
                 *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, MARK: self.server.mark}, start_new_session=True)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/v1/health/beat")
                if connection.getresponse().status == 200:
                    return self
            time.sleep(0.01)
        raise AssertionError(f"no gateway, exit {self.process.poll()}:\n{self.log()[-3000:]}")

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)

    def stop(self, seconds=60):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def remove(self):
        self.kill()
        if os.path.exists(self.log_path):
            if SANITIZER.search(self.log()):
                result(False, "no sanitizer report in the gateway's log", self.log()[-4000:])
            if failures:
                print("gateway log:\n" + self.log()[-4000:])
            os.remove(self.log_path)


class Server:
    """`sluice up` on a directory of its own; start() again takes over the same directory."""

    def __init__(self, config=None, is_split=os.environ.get("SLUICE_SPLIT") == "1"):
        self.data = tempfile.mkdtemp(prefix="sluice-test-")
        self.mark = uuid.uuid4().hex
        self.port, self.dashboard_port = free_port(), free_port()
        self.config, self.process = config, None
        self.gateway = Gateway(self, self.port) if is_split else None
        self.log_path = self.data + ".log"
        atexit.register(self.remove)

    def start(self, seconds=60):
        with open(self.log_path, "ab") as log:
            offset = log.tell()
            command = up_command(self.data, self.port, self.dashboard_port, self.config)
            if self.gateway:
                command = head_command(self.data, self.dashboard_port, self.config)
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, MARK: self.mark}, start_new_session=True)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with open(self.log_path, "rb") as log:
                log.seek(offset)
                if any(line.strip() == b"ready" for line in log):
                    return self.start_gateway()
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        raise AssertionError(f"not ready, exit {self.process.poll()}:\n{self.log()[-3000:]}")

    def start_gateway(self):
        if self.gateway and (self.gateway.process is None
                             or self.gateway.process.poll() is not None):
            self.gateway.start()
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def pids(self):
        return marked_processes(self.mark)

    def resident(self):
        """Bytes of memory that its processes hold together."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                    found = re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M)
                    total += int(found[1]) << 10 if found else 0
        return total

    def stop(self, seconds=60):
        """Ask it to drain; return its exit status."""
        if self.gateway:
            equal(self.gateway.stop(seconds), 0, "the gateway's exit status")
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill_all(self):
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process:
            self.process.wait(60)

    def remove(self):
        self.kill_all()
        if os.path.exists(self.log_path):
            if SANITIZER.search(self.log()):
                result(False, "no sanitizer report in the server's log", self.log()[-4000:])
            if failures:
                print("server log:\n" + self.log()[-4000:])
            os.remove(self.log_path)
        shutil.rmtree(self.data, ignore_errors=True)

    def operator(self):
        with open(os.path.join(self.data, "admin.key"), encoding="ascii") as file:
            return Client(self.port, file.read().strip())

    def tenant(self, tenant_id, plan="scale"):
        """Create a tenant; return a client with its first key."""
        reply = self.operator().post("/v1/tenants", {
            "tenant_id": tenant_id, "name": tenant_id, "plan": plan,
            "isolation_level": "logical"}).expect(201)
        return Client(self.port, reply["api_key"])

    def begin(self, *arguments, key=None):
        """A verb of the command line, against this server: a process that runs."""
        env = {**os.environ, **({"SLUICE_API_KEY": key} if key else {})}
        return subprocess.Popen([BINARY, *arguments, "--url", f"http://127.0.0.1:{self.port}"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    def run(self, *arguments, key=None):
        """The same, until it has ended."""
        ran = self.begin(*arguments, key=key)
        out, err = ran.communicate(timeout=120)
        return subprocess.CompletedProcess(ran.args, ran.returncode, out, err)


BOTH = [{"feature_extractor_name": name, "version": "v1"}
        for name in ("text_extractor", "passthrough_extractor")]


def text_object(text, **fields):
    return {**fields, "blobs": [{"property": "content", "type": "text", "data": text}]}


def root_object(document):
    return document["_internal"]["lineage"]["root_object_id"]
