#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One gateway before two heads: two data planes, whose tenants share nothing but its port."""
import contextlib
import os
import shutil
import signal
import urllib.parse
import zlib
from functools import partial

import archives
import sluice_testlib as lib
from gateway_test import Stream, infer, wait_more

SECONDS = 60
BIG = "a line of words. " * 20000
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def stranger():
    """A key as there might be one, with its checksum, that no head has made."""
    text = "sk_" + "a" * 34
    rest, check = zlib.crc32(text.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 36)
        check = DIGITS[digit] + check
    return text + check


STRANGER = stranger()


class Head(lib.Server):
    """A head whose gateway is somebody else's business."""

    def __init__(self):
        super().__init__(is_split=True)

    def start_gateway(self):
        return self

    def stop(self, seconds=60):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(60)

    def blobs(self):
        return sorted(name for _, _, files in os.walk(f"{self.data}/blobs") for name in files)


def wait_until(what, wanted):
    lib.wait_until(what, wanted, SECONDS)


def gateway_of(*heads, name):
    """Whoever asks one of the heads asks it through this gateway from now on."""
    port = lib.free_port()
    gateway = lib.Gateway(heads[0], None, "--name", name, "--status", f"127.0.0.1:{port}",
                          "--silence", "2s", others=heads[1:])
    gateway.status_port = port
    for head in heads:
        head.port = gateway.port
    return gateway


def states(gateway, path="/healthz"):
    """Status, what it says in one word, and of each head."""
    reply = lib.Client(gateway.status_port).get(path)
    heads = [head["state"] for head in reply.json["heads"]]
    return reply.status, reply.json.get("status"), heads


def reason(reply):
    return reply.status, reply.json["error"].get("details", {}).get("reason")


def furnish(head, name):
    """A tenant of this head, with the same names as the other's, and an object of its own."""
    client = head.tenant(name)
    client.namespace = client.make("namespace", "shop", feature_extractors=lib.BOTH)
    client.make("bucket", "things", bucket_schema={"properties": {"content": {"type": "text"}}})
    client.object = client.post("/v1/buckets/things/objects", {"blobs": [
        {"property": "content", "type": "text", "data": BIG + name}]}).expect(200)["object_id"]
    return client


def check_apart(clients, heads):
    with lib.check("two tenants of one gateway have each their own, under the same names"):
        for one, other in (clients, clients[::-1]):
            one.get(f"/v1/buckets/things/objects/{one.object}").expect(200)
            one.get(f"/v1/buckets/things/objects/{other.object}").expect(404)
            listed = one.post("/v1/buckets/things/objects/list", {}).expect(200)["results"]
            lib.equal([item["object_id"] for item in listed], [one.object])
    with lib.check("an operator sees the tenants of its head"):
        for head, wanted in zip(heads, ("east", "west")):
            found = {tenant["tenant_id"] for tenant
                     in head.operator().get("/v1/tenants").expect(200)["results"]}
            assert wanted in found and not {"east", "west"} - {wanted} & found, found
            other = {"east": "west", "west": "east"}[wanted]
            head.operator().get("/v1/namespaces", headers={"X-Tenant-Id": other}).expect(404)
    with lib.check("what is stored lies in the data directory of its head alone"):
        assert not set(heads[0].blobs()) & set(heads[1].blobs()), [h.blobs() for h in heads]
        assert all(len(head.blobs()) == 1 for head in heads), [head.blobs() for head in heads]
    with lib.check("a key that nobody knows is refused"):
        lib.Client(heads[0].port, STRANGER).get("/v1/namespaces").expect(401)


def check_addresses(clients):
    """Without a key: who has signed it says where it goes."""
    for client in clients:
        with lib.check("a signed address is read from the head that has signed it"):
            shown = client.get(f"/v1/buckets/things/objects/{client.object}"
                               "?return_presigned_urls=true").expect(200)["blobs"][0]
            url = urllib.parse.urlsplit(shown["properties"]["presigned_url"])
            path = f"{url.path}?{url.query}"
            lib.equal(lib.Client(client.port).call("GET", path).text.decode()[:len(BIG)], BIG)
            lib.Client(client.port).get(path[:-4] + "0000").expect(401)
        with lib.check("a presigned upload is written for the head that has signed it"):
            data = os.urandom(300000)
            made = client.post("/v1/buckets/things/uploads", {
                "filename": "f.bin", "content_type": "application/octet-stream",
                "file_size_bytes": len(data)}).expect(200)
            url = urllib.parse.urlsplit(made["presigned_url"])
            reply = lib.Client(client.port).call(
                "PUT", f"{url.path}?{url.query}", data,
                headers={"Content-Type": "application/octet-stream"})
            assert reply.status in (200, 201, 204), f"{reply.status}: {reply.text[:300]!r}"
            client.post(f"/v1/buckets/things/uploads/{made['upload_id']}/confirm",
                        {}).expect(200)


def check_files(heads, clients):
    """A file of a form lies where its head looks for it."""
    archive = archives.archive(archives.member("x", b"no model"))
    for head, client in zip(heads, clients):
        with lib.check("a file of a form comes to the head whose tenant sent it"):
            reply = client.upload(f"/v1/namespaces/{client.namespace}/models", archive,
                                  name="nothing", version="1.0.0", model_format="safetensors")
            assert reply.status in (403, 422), f"{reply.status}: {reply.text[:300]!r}"
            lib.equal(os.listdir(f"{head.data}/blobs/tmp"), [], "files left in blobs/tmp")


def check_death(gateway, heads, clients):
    """kill -9 of one head: its tenants are told, the others notice nothing."""
    east, west = clients
    streams = [Stream(partial(east.get, f"/v1/buckets/things/objects/{east.object}")),
               Stream(partial(infer, east, "a text"))]
    infer(west, "a text").expect(200)
    wait_more(streams)
    heads[1].kill()
    with lib.check("the tenants of a head that died are told so"):
        wait_until("503", lambda: west.get("/v1/buckets/things").status == 503)
        lib.equal(reason(west.get("/v1/buckets/things")), (503, "head_away"))
        lib.equal(states(gateway), (200, "degraded", ["up", "away"]))
        lib.equal(states(gateway, "/status.json")[2], ["up", "away"])
        lib.Client(heads[0].port, STRANGER).get("/v1/namespaces").expect(401)
        lib.Client(heads[0].port).get("/v1/health/beat").expect(200)
    wait_more(streams)
    heads[1].start()
    with lib.check("it comes back by itself, with what it had"):
        wait_until("up", lambda: states(gateway) == (200, "ok", ["up", "up"]))
        wait_until("200", lambda: west.get(
            f"/v1/buckets/things/objects/{west.object}").status == 200)
        infer(west, "a text").expect(200)
    wait_more(streams)
    for stream, what in zip(streams, ("requests", "inferences")):
        with lib.check(f"no {what} of the other's tenant failed meanwhile"):
            stream.stop()
            bad = [reply for _, _, reply in stream.replies if reply.status != 200]
            assert not bad, f"{len(bad)} of {len(stream.replies)}: {bad[0].text}"
            worst = max(took for _, took, _ in stream.replies)
            print(f"# {len(stream.replies)} {what}, worst {worst * 1e3:.0f} ms")


def check_hang(gateway, heads, clients):
    """A head that is stopped takes calls and answers none."""
    east, west = clients
    streams = [Stream(partial(east.get, "/v1/buckets/things"))]
    wait_more(streams)
    os.kill(heads[1].process.pid, signal.SIGSTOP)
    try:
        with lib.check("a head that hangs holds up its own tenants alone, until that is noticed"):
            lib.equal(reason(west.get("/v1/buckets/things")), (503, "head_lost"))
            lib.equal(reason(west.get("/v1/buckets/things")), (503, "head_away"))
            lib.equal(states(gateway), (200, "degraded", ["up", "away"]))
            wait_more(streams)
    finally:
        os.kill(heads[1].process.pid, signal.SIGCONT)
    with lib.check("and is there again when it goes on"):
        wait_until("200", lambda: west.get("/v1/buckets/things").status == 200)
        streams[0].stop()
        replies = streams[0].replies
        lib.equal({reply.status for _, _, reply in replies}, {200})
        worst = max(took for _, took, _ in replies)
        print(f"# {len(replies)} requests, worst {worst * 1e3:.0f} ms")


def check_half_start(gateway, heads, clients):
    """A gateway that starts while a head is away does not know who its tenants are."""
    east, west = clients
    heads[1].kill()
    lib.equal(gateway.stop(), 0, "exit status")
    gateway.start()
    with lib.check("before a head has said its keys, who is unknown may be one of its tenants"):
        lib.equal(states(gateway), (200, "degraded", ["up", "joining"]))
        east.get("/v1/buckets/things").expect(200)
        lib.equal(reason(west.get("/v1/buckets/things")), (503, "head_unknown"))
        for key, wanted in ((STRANGER, 503), (STRANGER[:-1], 401), (None, 401)):
            lib.Client(east.port, key).get("/v1/namespaces").expect(wanted)
    heads[0].kill()
    with lib.check("without any head a gateway says that it is away"):
        wait_until("away", lambda: states(gateway)[:2] == (503, "away"))
    for head in heads:
        head.start()
    with lib.check("both come back"):
        wait_until("up", lambda: states(gateway) == (200, "ok", ["up", "up"]))
        for client in clients:
            wait_until("200", lambda c=client: c.get("/v1/buckets/things").status == 200)


def check_twins(east, client):
    """A head on a copy of another's directory knows the same keys."""
    copy = Head()
    lib.equal(east.stop(), 0, "exit status")
    shutil.rmtree(copy.data)
    shutil.copytree(east.data, copy.data, ignore=shutil.ignore_patterns("run", "*.lock", "owner"))
    with contextlib.ExitStack() as stack:
        for head in (east, copy):
            head.start()
        for heads, wanted in (((east, copy), 200), ((copy, east), 404)):
            gateway = gateway_of(*heads, name=f"twins{wanted}")
            gateway.start()
            stack.callback(gateway.stop)
            wait_until("both are up", lambda g=gateway: states(g)[2] == ["up", "up"])
            theirs = lib.Client(gateway.port, client.key, client.namespace)
            if wanted == 200:
                theirs.make("bucket", "only-in-the-first", bucket_schema={"properties": {}})
            with lib.check(f"a key of two heads is the first's: {wanted}"):
                for _ in range(3):
                    theirs.get("/v1/buckets/only-in-the-first").expect(wanted)
                said = [line for line in gateway.log().splitlines() if "key-of-two-heads" in line
                        and client.key[:9] in line]
                lib.equal(len(said), 1, "lines about it")
                assert client.key not in gateway.log(), "the key is in the log"
    return copy


def run():
    heads = [Head(), Head()]
    for head in heads:
        head.start()
    gateway = gateway_of(*heads, name="both").start()
    wait_until("both are up", lambda: states(gateway) == (200, "ok", ["up", "up"]))
    clients = [furnish(head, name) for head, name in zip(heads, ("east", "west"))]
    check_apart(clients, heads)
    check_addresses(clients)
    check_files(heads, clients)
    check_death(gateway, heads, clients)
    check_hang(gateway, heads, clients)
    check_half_start(gateway, heads, clients)
    with lib.check("a directory cannot be that of two heads"):
        wrong = lib.Gateway(heads[0], None, "--name", "wrong", "--head", "ipc:///nowhere",
                            "--data", f"{heads[0].data}/.")
        try:
            wrong.start(5)
        except AssertionError as error:
            assert "two heads" in str(error), error
        else:
            raise AssertionError("it runs")
    with lib.check("they end as they should"):
        lib.equal(gateway.stop(), 0, "the gateway's exit status")
    copy = check_twins(heads[0], clients[0])
    with lib.check("and leave nothing behind"):
        for head in (*heads, copy):
            lib.equal(head.stop(), 0, "a head's exit status")
            lib.equal(head.pids(), [], "processes left")
            lib.equal(os.listdir(f"{head.data}/blobs/tmp"), [], "files left in blobs/tmp")


if __name__ == "__main__":
    run()
    lib.finish()
