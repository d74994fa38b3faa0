#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A head, workers and two gateways as processes of their own: any of them may die."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from functools import partial

import archives
import sluice_testlib as lib
from worker_test import Worker, wait_nodes

CONFIG = "nodes: 0\ncluster:\n  silence: 2s\n  listen: tcp://127.0.0.1:0\n"
MORE = 50  # Replies that a stream has to have had before something happens to it.
# Each takes half a second where nothing else runs; a machine that is busy is given far longer.
WORST_S = 30  # For an inference while the head is killed and comes back.
REJOIN_S = 30  # A head that was killed is started again and serves through its gateways within.
AWAY_S = 30  # For a request that needs the head to be told that it is away.


def check_refusals(server):
    with lib.check("options that make no sense are refused"):
        for verb, *arguments in (
                ["gateway"], ["gateway", "--head", "ipc:///x"], ["gateway", "--bogus"],
                ["gateway", "--data", "/x", "--head", "ipc:///x", "--head", "ipc:///y"],
                ["gateway", "--head", "ipc:///x", "--data", "/x", "--data", "/y"],
                ["gateway", "--head", "ipc:///x", "--data", "/x", "--head", "tcp://h:1", "--data",
                 "/y", "--cert", "/c"],
                ["gateway", *["--head", "ipc:///x", "--data", "/x"] * 2],
                ["gateway", *(part for i in range(17)
                              for part in ("--head", f"ipc:///{i}", "--data", f"/{i}"))],
                ["gateway", "--head", "ipc:///x", "--data", "/x", "--name", "a b"],
                ["head"], ["head", "--data", "/x", "--http", "127.0.0.1:0"]):
            done = subprocess.run([lib.BINARY, verb, *arguments], capture_output=True, text=True,
                                  check=False, timeout=60)
            lib.equal(done.returncode, 2, f"{verb} {arguments}: exit status")
            assert f"sluice {verb}: " in done.stderr, done.stderr
    with lib.check("a gateway needs the directory of a head"):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([lib.BINARY, "gateway", "--head", "ipc:///x", "--data", folder],
                                  capture_output=True, text=True, check=False, timeout=60)
        lib.equal(done.returncode, 1, "exit status")
        assert folder in done.stderr, done.stderr
    with lib.check("a second head on the directory refuses, and names the first"):
        for verb in ("head", "up"):
            done = subprocess.run([lib.BINARY, verb, "--data", server.data], capture_output=True,
                                  text=True, check=False, timeout=60)
            lib.equal(done.returncode, 1, f"exit status of {verb}")
            assert f"process {server.process.pid} on {os.uname().nodename}" in done.stderr, \
                done.stderr


def check_gateways_alone(server):
    """A gateway whose head is not there answers, and says so."""
    with lib.check("without a head what needs none is answered, and the rest 503"):
        port = lib.free_port()
        gateway = lib.Gateway(server, port)
        with open(gateway.log_path, "ab") as log:
            gateway.process = subprocess.Popen(
                [lib.BINARY, "gateway", "--head", f"ipc://{server.data}/run/nobody", "--data",
                 server.data, "--http", f"127.0.0.1:{port}"], stdout=log, stderr=log)
        client = lib.Client(port, server.operator().key)
        lib.wait_until("it answers", lambda: client.get("/v1/health/liveness").expect(200))
        for path in ("/v1/tenants", "/v1/health/beat"):
            reply = client.get(path)
            lib.equal(reply.status, 503, path)
            assert reply.headers["Retry-After"], reply.headers
            assert "head_" in reply.json["error"]["details"]["reason"], reply.json
        lib.equal(gateway.stop(), 0, "exit status")


def submit(client, bucket, count):
    objects = client.make_objects(bucket, [
        {"number": i, "content": f"item {i}"} for i in range(count)])
    return objects, client.submit(bucket, objects)[1]


def check_flow(clients):
    """A job from one gateway, seen through the other."""
    first, second = clients
    bucket = first.make("bucket", "things", bucket_schema={"properties": {}})
    collection = second.make(
        "collection", "copies", source={"type": "bucket", "bucket_ids": [bucket]},
        feature_extractor={"feature_extractor_name": "passthrough_extractor",
                           "version": "v1", "input_mappings": {"content": "content"}})
    objects, task = submit(first, bucket, 200)
    lib.equal(second.wait_task(task)["status"], "COMPLETED")
    lib.equal(len(second.documents(collection)), 200)
    return bucket, collection, objects


def check_uploads(clients):
    first, second = clients
    with lib.check("a file of a form goes through a gateway, and leaves nothing behind"):
        path = f"/v1/namespaces/{first.namespace}/models"
        reply = first.upload(path, archives.archive(archives.member("x", b"no model")),
                             name="nothing", version="1.0.0", model_format="safetensors")
        assert reply.status in (403, 422), f"{reply.status}: {reply.text[:300]!r}"
    with lib.check("a body of 20 MB goes through in pieces"):
        text = "word " * (4 << 20)
        bucket = first.make("bucket", "large", bucket_schema={"properties": {}})
        made = first.post(f"/v1/buckets/{bucket}/objects", {"blobs": [
            {"property": "content", "type": "text", "data": text}]}).expect(200)
        shown = second.get(f"/v1/buckets/{bucket}/objects/{made['object_id']}"
                           "?return_presigned_urls=true").expect(200)["blobs"][0]
        url = shown["properties"]["presigned_url"]
        assert f":{second.port}/" in url, url
        found = lib.Client(second.port).get(url.partition(f":{second.port}")[2])
        found.expect(200)
        lib.equal(found.text.decode() == text, True, "whether its bytes are the same")


def check_keys(server, clients):
    first, second = clients
    with lib.check("a key that is revoked is refused at both gateways at once"):
        user = "owner%40gateways.local"
        path = f"/v1/organizations/users/{user}/api-keys"
        made = first.post(path, {"name": "short", "permissions": ["read"]}).expect(200)
        theirs = [lib.Client(client.port, made["key"], client.namespace) for client in clients]
        for client in theirs:
            client.get("/v1/buckets/things").expect(200)
        asked = time.monotonic()
        second.call("DELETE", f"{path}/short").expect(200)
        for client in theirs:
            client.get("/v1/buckets/things").expect(401)
        print(f"# refused at both {(time.monotonic() - asked) * 1e3:.1f} ms after it was asked for")
    with lib.check("a tenant that is made is known at both"):
        key = server.operator().post("/v1/tenants", {
            "tenant_id": "later", "name": "later", "plan": "scale",
            "isolation_level": "logical"}).expect(201)["api_key"]
        for client in clients:
            lib.Client(client.port, key).get("/v1/namespaces").expect(200)


def check_tcp(server, client):
    """A gateway with a certificate that the head allows, and one with another."""
    with open(f"{server.data}/address", encoding="ascii") as file:
        address = dict(line.strip().split("=", 1) for line in file)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("known", "stranger"):
            subprocess.run([lib.BINARY, "cert", "new", f"{folder}/{name}"], check=True,
                           stdout=subprocess.DEVNULL)
        shutil.copy(f"{folder}/known", f"{server.data}/cluster/allowed/")
        gateways = {name: lib.Gateway(
            server, None, "--name", name, "--cert", f"{folder}/{name}", "--head-cert",
            f"{server.data}/cluster/head", head=address["cluster"])
            for name in ("known", "stranger")}
        with lib.check("over tcp a gateway with an allowed certificate serves"):
            gateways["known"].start()
            theirs = lib.Client(gateways["known"].port, client.key, client.namespace)
            theirs.get("/v1/buckets/things").expect(200)
            for _ in range(2):
                infer(theirs, "x").expect(200)
            lib.equal(gateways["known"].stop(), 0, "exit status")
        with lib.check("one with another does not"):
            try:
                gateways["stranger"].start(2)
            except AssertionError as error:
                assert "no gateway" in str(error), error
            else:
                raise AssertionError("it has joined")
            assert "stranger" not in gateways_of(server), gateways_of(server)
            gateways["stranger"].kill()


def check_names(server):
    with lib.check("a second gateway of a name is refused"):
        twin = lib.Gateway(server, None, "--name", "g1")
        try:
            twin.start()
        except AssertionError as error:
            assert "exit 1" in str(error) and "of the name g1" in str(error), error
        else:
            raise AssertionError("it has joined")


def gateways_of(server):
    page = lib.Client(server.dashboard_port).get("/status.json")
    return sorted(gateway["name"] for gateway in page.json["gateways"])


def wait_gateways(server, wanted, seconds=60):
    deadline, found = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, TypeError, KeyError):
            found = gateways_of(server)
            if found == wanted:
                return
        time.sleep(0.05)
    raise AssertionError(f"the gateways are {found}, not {wanted}")


def check_gateway_death(server, clients, gateways):
    with lib.check("a gateway that is killed is forgotten; the other serves on"):
        wait_gateways(server, ["g1", "g2"])
        gateways[1].kill()
        clients[0].get("/v1/buckets/things").expect(200)
        wait_gateways(server, ["g1"])
        gateways[1].start()
        clients[1].get("/v1/buckets/things").expect(200)
        wait_gateways(server, ["g1", "g2"])


def check_drain(server, clients, gateways):
    with lib.check("SIGTERM ends a gateway once its requests have ended, and the head is told"):
        statuses = []
        body = {"objects": [{"number": i, "content": "x" * 500} for i in range(90)]}
        def post():
            with contextlib.suppress(ConnectionError): # It was quick to stop.
                statuses.append(clients[1].post("/v1/buckets/things/objects/batch", body).status)
        threads = [threading.Thread(target=post) for _ in range(8)]
        for thread in threads:
            thread.start()
        lib.equal(gateways[1].stop(), 0, "exit status")
        for thread in threads:
            thread.join(60)
        assert set(statuses) <= {200, 503}, statuses
        wait_gateways(server, ["g1"])
        lost = [line for line in server.log().splitlines() if "gateway-lost" in line][-1]
        assert f"pid={gateways[1].process.pid} " in lost and lost.endswith("why=left"), lost
        gateways[1].start()


class Stream:
    """The same request through a gateway, one after another, until it is stopped."""

    def __init__(self, ask):
        self.ask, self.error = ask, None
        self.replies, self.is_over = [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.is_over:
                started = time.monotonic()
                reply = self.ask()
                self.replies.append((started, time.monotonic() - started, reply))
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self.is_over = True
        self.thread.join(150)
        if self.error:
            raise self.error


def wait_more(streams, count=MORE, seconds=60):
    """Until each stream has had so many more replies."""
    wanted = [len(stream.replies) + count for stream in streams]
    deadline = time.monotonic() + seconds
    while any(len(stream.replies) < least and not stream.error
              for stream, least in zip(streams, wanted)):
        assert time.monotonic() < deadline, \
            f"{[len(stream.replies) for stream in streams]} replies, not {wanted}"
        time.sleep(0.01)


def infer(client, text, name="text_hash_v1"):
    return client.post("/v1/inference", {"inference_name": name, "inputs": {"text": text}},
                       timeout=120)


def check_online(clients):
    first, second = clients
    with lib.check("both gateways embed alike, by the head and directly"):
        vectors = [infer(client, "green tea").expect(200)["data"]["embedding"]
                   for client in (first, first, second, second)]
        lib.equal(vectors, vectors[:1] * 4, "the vectors")
        texts = first.post("/v1/embeddings", {"model": "text_hash_v1", "input": ["a b", "c"]})
        again = first.post("/v1/embeddings", {"model": "text_hash_v1", "input": ["a b", "c"]})
        lib.equal(again.expect(200)["data"], texts.expect(200)["data"])
        lib.equal(again.json["usage"], {"prompt_tokens": 3, "total_tokens": 3})
    with lib.check("a namespace that is deleted is not embedded for, at either"):
        gone = first.make("namespace", "gone", feature_extractors=lib.BOTH)
        theirs = [lib.Client(client.port, client.key, gone) for client in clients]
        for client in theirs * 2:
            infer(client, "x").expect(200)
        second.call("DELETE", "/v1/namespaces/gone").expect(200)
        for client in theirs:
            infer(client, "x").expect(404)
    with lib.check("what is wrong with a request is said by a gateway as by the head"):
        for path, body in (("/v1/inference", {"inference_name": "text_hash_v1", "inputs": {}}),
                           ("/v1/inference", {"inference_name": "text_hash_v1",
                                              "inputs": {"text": ""}}),
                           ("/v1/embeddings", {"model": "text_hash_v1", "input": []})):
            said = [(client.post(path, body), client.post(path, body)) for client in clients]
            for pair in said:
                assert pair[0].status in (400, 422), pair[0].text
                lib.equal(pair[1].status, pair[0].status)
        lib.equal(infer(first, "x", "no_such_model").status, 404)
        lib.equal(infer(first, "x", "no_such_model").status, 404)


def count_inferences(client, key_id):
    """That the ledger has: gateways tell the head twice a second."""
    groups = client.get("/v1/organizations/usage?period=last_30_days&resource_type=requests"
                        f"&route=create_inference&key={key_id}").expect(200)["groups"]
    return sum(group["amount"] for group in groups)


def check_loans(server, clients):
    """What the head answers tells of the rate; what a gateway answers within its loan does not."""
    rate = 50
    made = clients[0].post("/v1/organizations/users/owner%40gateways.local/api-keys",
                           {"name": "stream", "permissions": ["read", "write"]}).expect(200)
    own = [lib.Client(client.port, made["key"], client.namespace) for client in clients]
    with lib.check("two gateways and their head let no more through than the rate, all together"):
        set_rate = partial(server.operator().call, "PUT", "/v1/tenants/gateways/quotas")
        started = time.monotonic()
        set_rate({"limits": {"max_requests_per_second": rate}}).expect(200)
        streams = [Stream(partial(infer, client, "a text to embed")) for client in own]
        for stream in streams:
            lib.wait_until("an answer within a loan", lambda s=stream: s.error or any(
                reply.status == 200 and "RateLimit-Limit" not in reply.headers
                for _, _, reply in list(s.replies)), 60)
        for stream in streams:
            stream.stop()
        statuses = Counter(reply.status for s in streams for _, _, reply in s.replies)
        took = time.monotonic() - started
        # A machine that is too slow for them says so, and that may be before the call is counted.
        bad = [reply for s in streams for _, _, reply in s.replies
               if reply.status not in (200, 429)
               and not (reply.status == 503 and "Retry-After" in reply.headers)]
        assert not bad, f"{statuses}: {bad[0].text}"
        assert statuses[200] <= rate * (1 + took), (statuses, took)
        set_rate({"limits": {"max_requests_per_second": None}}).expect(200)
    with lib.check("what gateways answered by themselves is in the ledger, each once"):
        lib.wait_until("all of it", lambda: count_inferences(clients[0], made["key_id"])
                       >= statuses.total() - statuses[503], 60)
        counted = count_inferences(clients[1], made["key_id"])
        assert counted in range(statuses.total() - statuses[503], statuses.total() + 1), \
            (counted, statuses)


def check_stream(streams, killed, restarted):
    with lib.check("no inference that had been served before failed, head or not"):
        for stream in streams:
            stream.stop()
            bad = [reply for _, _, reply in stream.replies if reply.status != 200]
            assert not bad, f"{len(bad)} of {len(stream.replies)}: {bad[0].text}"
            vectors = {str(reply.json["data"]["embedding"]) for _, _, reply in stream.replies}
            lib.equal(len(vectors), 1, "vectors of one text")
    taken = [(at, took) for stream in streams for at, took, _ in stream.replies]
    for name, first, last in (("before", 0, killed), ("while away", killed, restarted),
                              ("after", restarted, time.monotonic())):
        times = sorted(took for at, took in taken if first <= at < last)
        assert times, f"no requests {name}"
        print(f"# {name}: {len(times)} requests, median {times[len(times) // 2] * 1e3:.1f} ms, "
              f"worst {times[-1] * 1e3:.0f} ms")
    worst = max(took for _, took in taken)
    with lib.check(f"the longest took {worst:.2f} s, at most {WORST_S} s"):
        assert worst < WORST_S


def check_head_death(server, clients, bucket):
    """kill -9 of the head with a job under way: gateways say so, rejoin, and nothing is lost."""
    streams = [Stream(partial(infer, client, "a text to embed")) for client in clients]
    wait_more(streams)
    objects, task = submit(clients[0], bucket, 3000)
    killed = time.monotonic()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(60)
    with lib.check("while the head is away requests that need it are answered 503"):
        started = time.monotonic()
        reply = clients[0].post("/v1/buckets/things/objects", {"number": -1, "content": "no"},
                                timeout=2 * AWAY_S)
        took = time.monotonic() - started
        lib.equal(reply.status, 503)
        assert reply.headers["Retry-After"] and took < AWAY_S, took
        reply = clients[0].get("/v1/buckets/things")
        lib.equal((reply.status, reply.json["error"]["details"]["reason"]), (503, "head_away"))
    with lib.check("an inference that was never served waits for the head"):
        reply = infer(clients[0], "x", "no_such_model")
        lib.equal((reply.status, reply.json["error"]["details"]["reason"]), (503, "head_away"))
    wait_more(streams)
    started = time.monotonic()
    server.start()
    with lib.check(f"gateways join a head that came back within {REJOIN_S} s"):
        for client in clients:
            while client.get("/v1/buckets/things").status != 200:
                assert time.monotonic() < started + REJOIN_S, "not yet"
                time.sleep(0.02)
        print(f"# served again {time.monotonic() - started:.2f} s after the start")
    wait_more(streams, 4 * MORE)
    check_stream(streams, killed, started)
    with lib.check("the job that ran goes on to its end"):
        lib.equal(clients[1].wait_task(task, 120)["status"], "COMPLETED")
    return objects


def check_upload_meanwhile(server, client):
    """The head is killed and starts again while a gateway receives a file for it."""
    mark = b"halfway"
    archive = archives.archive(archives.member("x", b"no model"))
    body = b"".join(b'--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
                    % (mark, name, more, value) for name, more, value in (
                        (b"name", b"", b"nothing"), (b"version", b"", b"1.0.0"),
                        (b"model_format", b"", b"safetensors"),
                        (b"file", b'; filename="m.tar.gz"', archive))) + b"--%s--\r\n" % mark
    head = (f"POST /v1/namespaces/{client.namespace}/models HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {client.key}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={mark.decode()}\r\n\r\n").encode()
    with lib.check("a file that was on its way while the head died and came back is not lost"), \
            socket.create_connection(("127.0.0.1", client.port), 60) as link:
        link.sendall(head + body[:-20])
        folder = f"{server.data}/blobs/tmp"
        lib.wait_until("the body begins to be stored", lambda: os.listdir(folder))
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(60)
        server.start()
        lib.wait_until("the head is back",
                       lambda: client.get("/v1/buckets/things").status == 200)
        link.sendall(body[-20:])
        status = int(link.recv(1000).split()[1])
        assert status in (403, 422), status
        lib.equal(os.listdir(folder), [], "files left in blobs/tmp")


def check_exactly_once(client, collection, objects):
    with lib.check("every document is there exactly once"):
        roots = Counter(lib.root_object(item) for item in client.documents(collection))
        lib.equal(max(roots.values()), 1, "documents of one object, at most")
        assert set(objects) <= set(roots), f"{len(set(objects) - set(roots))} are lost"


def run(server):
    server.start()
    gateways = [server.gateway, lib.Gateway(server, None, "--name", "g2")]
    workers = [Worker(server, name) for name in ("w1", "w2")]
    try:
        gateways[1].start()
        wait_nodes(server.operator(), {"w1": "alive", "w2": "alive"})
        check_refusals(server)
        check_gateways_alone(server)
        client = server.tenant("gateways")
        client.namespace = client.make("namespace", "gateways", feature_extractors=lib.BOTH)
        clients = [client, lib.Client(gateways[1].port, client.key, client.namespace)]
        with lib.check("a job of one gateway is seen through the other"):
            bucket, collection, objects = check_flow(clients)
        check_uploads(clients)
        check_keys(server, clients)
        check_online(clients)
        check_loans(server, clients)
        check_names(server)
        check_tcp(server, client)
        check_gateway_death(server, clients, gateways)
        check_drain(server, clients, gateways)
        objects += check_head_death(server, clients, bucket)
        check_exactly_once(clients[1], collection, objects)
        check_upload_meanwhile(server, clients[1])
        with lib.check("all of them end as they should"):
            for worker in workers:
                lib.equal(worker.stop(), 0, "a worker's exit status")
            lib.equal(gateways[1].stop(), 0, "the second gateway's exit status")
            lib.equal(server.stop(), 0, "the head's exit status")
            lib.equal(server.pids(), [], "processes left")
            left = os.listdir(f"{server.data}/blobs/tmp")
            lib.equal(left, [], "files left in blobs/tmp")
    finally:
        for worker in workers:
            worker.remove()


def main():
    handle, config = tempfile.mkstemp(suffix=".yaml")
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(CONFIG)
    try:
        server = lib.Server(config, is_split=True)
        server.gateway.options = ("--name", "g1")
        run(server)
    finally:
        os.remove(config)
    lib.finish()


if __name__ == "__main__":
    main()
