#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many tenants call at rates of their own while replicas are killed; then all is added up.

  scripts/soak [--minutes 10] [--tenants 200] [--rate 1] [--server-kills] [--seed N]

Calls come by the clock, whether earlier ones were answered or not. Each tenant also has a backlog
that lasts for all of it, so that replicas are shared. A quarter has a limit of a day that half of
its calls fit into, a quarter a rate that a third does. Afterwards, of each tenant:

  quotas   the day's limit was given to the last call and not once more, the rate in no window
  ledger   as many calls by route and status as clients were answered; jobs, objects, documents,
           tasks and vectors as they were told of, and as are there
  shares   the service that each had for its weight

With --server-kills the server is killed as well, each twenty seconds: writes are sent again with
their Idempotency-Key until they are answered, and effects are to be as exact as without; reads and
refusals of the second before a kill may be missing in the ledger, none may be there that was not.
Shares are told then, not held against a bound: a server that starts knows neither what each had nor
what tasks take, and has handed out up to a thousand of them before the first has ended.
"""
import argparse
import asyncio
import bisect
import contextlib
import json
import os
import random
import signal
import subprocess
import tempfile
import time
import uuid
from collections import Counter

import sluice_testlib as lib

HERE = os.path.dirname(os.path.abspath(__file__))
TASK_S, REPLICAS = 0.04, 4  # What pause_plugin.c takes; how many have no need of a core each.
KEPT_S = 2                  # A connection without a call for longer is not used again.
CONFIG = """plugins: {folder}
nodes: 1
replicas.max: {replicas}
extractors:
  pause_extractor:
    autoscaling_config: {{min_replicas: {replicas}, max_replicas: {replicas}}}
    batching: {{items: 4}}
retry: {{attempts: 20, base: 10ms, cap: 50ms}}
"""
RATE, BURST = 1, 3  # Calls a second, and at once, of who has such a limit.
LOST = (OSError, EOFError, asyncio.IncompleteReadError)


class Wire:
    """Connections that are kept, each with one call under way at most."""

    def __init__(self, port):
        self.port, self.idle = port, []

    async def connection(self):
        while self.idle:
            reader, writer, since = self.idle.pop()
            if time.monotonic() - since < KEPT_S and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def call(self, method, path, key, body=None, headers=()):
        """Status and JSON; LOST: nobody knows whether it was run."""
        data = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1",
                 *([f"Authorization: Bearer {key}"] if key else []),
                 "Content-Type: application/json", f"Content-Length: {len(data)}",
                 *(f"{name}: {value}" for name, value in headers)]
        reader, writer = await self.connection()
        try:
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            size = int(head.split("\r\ncontent-length:", 1)[1].split("\r\n", 1)[0])
            text = await reader.readexactly(size)
        except BaseException:
            writer.close()
            raise
        self.idle.append((reader, writer, time.monotonic()))
        return int(head.split(" ", 2)[1]), json.loads(text) if text else None


class Tenant:
    """One that calls, and notes what it was told."""

    def __init__(self, soak, number):
        self.soak, self.name = soak, f"soak-{number}"
        self.kind = ("day", "rate", "free", "free")[number % 4]
        self.weight = 1 + number // 4 % 2
        self.rate = soak.options.rate * (3 * RATE if self.kind == "rate" else 1)
        self.random = random.Random(f"{soak.options.seed} {number}")
        self.told, self.sent, self.lost = Counter(), Counter(), Counter()
        self.times, self.waits = [], []  # Of calls that were let in: when sent, when answered.
        self.key = self.namespace = self.task = self.day = None

    async def call(self, route, method, path, body=None, is_write=False):
        """Its reply, None: refused, or lost. A write goes again where the server may be killed."""
        headers = [("X-Namespace", self.namespace)] if self.namespace else []
        if is_write and self.soak.options.server_kills:
            headers.append(("Idempotency-Key", uuid.uuid4().hex))
        while True:
            began = time.monotonic()
            self.sent[route] += 1
            try:
                status, reply = await self.soak.wire.call(method, path, self.key, body, headers)
            except LOST:
                self.lost[route] += 1
                if is_write and self.soak.options.server_kills:
                    await asyncio.sleep(0.2)
                    continue
                return None
            self.told[route, str(status)] += 1
            ended = time.monotonic()
            self.waits.append(ended - began)
            if status >= 500:
                self.soak.failures[route, str(status), reply["error"]["message"]] += 1
            if status != 429:
                self.times.append((began, ended))
            return reply if status < 300 else None

    async def make(self, route, method, path, body):
        reply = await self.call(route, method, path, body, True)
        if reply is None:
            raise AssertionError(f"{self.name}: {method} {path} failed: {dict(self.told)}")
        return reply

    async def set_up(self, backlog):
        """A tenant, its bucket, its queue, and work that waits for the node."""
        reply = await self.soak.operate("POST", "/v1/tenants", {
            "tenant_id": self.name, "name": self.name, "plan": "scale",
            "isolation_level": "logical"})
        self.key = reply["api_key"]
        extractors = [{"feature_extractor_name": "pause_extractor", "version": "v1"}]
        made = await self.make("create_namespace", "POST", "/v1/namespaces", {
            "namespace_name": "soak", "feature_extractors": extractors})
        self.namespace = made["namespace_id"]
        for bucket in ("work", "things"):
            await self.make("create_bucket", "POST", "/v1/buckets", {
                "bucket_name": bucket, "bucket_schema": {"properties": {}}})
        await self.make("create_collection", "POST", "/v1/collections", {
            "collection_name": "done", "source": {"type": "bucket", "bucket_ids": ["work"]},
            "feature_extractor": {"feature_extractor_name": "pause_extractor", "version": "v1",
                                  "input_mappings": {"content": "content"}}})
        await self.make("make_own_queue", "PUT", "/v1/queues/q", {})
        objects = []
        while len(objects) < backlog:
            made = await self.make("create_objects", "POST", "/v1/buckets/work/objects/batch", {
                "objects": [{"content": "x"}] * min(100, backlog - len(objects))})
            objects += [each["object_id"] for each in made["succeeded"]]
        batches = "/v1/buckets/work/batches"
        made = await self.make("create_batch", "POST", batches, {"object_ids": objects})
        await self.soak.queue(self, "PATCH", {"weight": self.weight})
        self.batch = f"{batches}/{made['batch_id']}"
        self.task = (await self.make("submit_batch", "POST", self.batch + "/submit", {}))["task_id"]

    async def limit(self, seconds):
        """Half of the calls that are to come fit into the day's limit."""
        limits = {}
        if self.kind == "day":
            self.day = len(self.times) + max(1, int(self.rate * seconds / 2))
            limits = {"max_requests_per_day": self.day}
        elif self.kind == "rate":
            limits = {"max_requests_per_second": RATE, "burst_credits": BURST}
        self.times.clear()
        await self.soak.operate("PUT", f"/v1/tenants/{self.name}/quotas", {"limits": limits})

    def one(self):
        """Any of what tenants do."""
        draw = self.random.random()
        if draw < 0.35:
            return self.call("put_own_jobs", "POST", "/v1/queues/q/jobs",
                             {"jobs": [{"payload": 1}, {"payload": 2}]}, True)
        if draw < 0.6:
            return self.call("create_object", "POST", "/v1/buckets/things/objects",
                             {"content": "text"}, True)
        if draw < 0.75:
            return self.call("create_embeddings", "POST", "/v1/embeddings",
                             {"model": "text_hash_v1", "input": ["a text of some words"]})
        return self.call("list_namespaces", "GET", "/v1/namespaces")

    async def load(self, until):
        """Calls by the clock: the next comes when it comes."""
        due, under_way = time.monotonic(), set()
        while True:
            due += self.random.expovariate(self.rate)
            if due >= until:
                break
            await asyncio.sleep(max(0, due - time.monotonic()))
            call = asyncio.ensure_future(self.one())
            under_way.add(call)
            call.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)


class Soak:
    """A server, its tenants, and who kills."""

    def __init__(self, options, server):
        self.options, self.server, self.random = options, server, random.Random(options.seed)
        self.wire, self.admin = Wire(server.port), server.operator().key
        self.tenants = [Tenant(self, i) for i in range(options.tenants)]
        self.kills, self.gate = Counter(), asyncio.Semaphore(24)
        self.used, self.failures = {}, Counter()

    async def operate(self, method, path, body=None):
        """As the operator: on nobody's account that is looked at."""
        status, reply = await self.wire.call(method, path, self.admin, body)
        if status >= 300:
            raise AssertionError(f"{method} {path}: {status} {reply}")
        return reply

    async def queue(self, tenant, method, body=None):
        return await self.operate(method, f"/v1/cluster/queues/{tenant.name}:cpu", body)

    async def order(self, verb):
        """The node takes no tasks, or takes them: for all tenants at the same instant."""
        deadline = time.monotonic() + 60
        while True:  # After a start it may not be there yet.
            node, = (await self.operate("GET", "/v1/cluster/nodes"))["results"]
            path = f"/v1/cluster/nodes/{node['name']}/{verb}"
            status, reply = await self.wire.call("POST", path, self.admin)
            if status == 200:
                break
            assert time.monotonic() < deadline, f"{path}: {status} {reply}"
            await asyncio.sleep(0.1)

    async def all(self, what):
        """One for each tenant, some at a time."""
        async def one(tenant):
            async with self.gate:
                return await what(tenant)
        return await asyncio.gather(*(one(tenant) for tenant in self.tenants))

    async def kill_replicas(self):
        while True:
            await asyncio.sleep(self.random.uniform(0.5, 2.5))
            with contextlib.suppress(OSError, ValueError, *LOST):
                _, page = await asyncio.wait_for(self.page(), 5)
                pids = [each["pid"] for each in page["replicas"] if each["pid"] > 0]
                victim = self.random.choice(pids) if pids else 0
                if victim in self.server.pids():  # It may have ended, and its number be another's.
                    os.kill(victim, signal.SIGKILL)
                    self.kills["replicas"] += 1

    def page(self):
        return Wire(self.server.dashboard_port).call("GET", "/status.json", None)

    async def kill_server(self):
        while True:
            await asyncio.sleep(self.random.uniform(15, 25))
            await asyncio.to_thread(self.server.kill_all)
            await asyncio.to_thread(self.server.start)
            self.kills["server"] += 1

    async def run(self, seconds):
        lasting = 1.5 * seconds * REPLICAS / TASK_S
        weights = sum(tenant.weight for tenant in self.tenants)
        started = time.monotonic()
        await self.order("cordon")
        await self.all(lambda t: t.set_up(int(lasting * t.weight / weights) + 20))
        print(f"{len(self.tenants)} tenants, {int(lasting)} tasks wait, set up in "
              f"{time.monotonic() - started:.0f} s", flush=True)
        pass_midnight(seconds)
        await self.all(lambda t: t.limit(seconds))
        await self.order("uncordon")
        killers = [asyncio.ensure_future(self.kill_replicas())]
        if self.options.server_kills:
            killers.append(asyncio.ensure_future(self.kill_server()))
        until = time.monotonic() + seconds
        await asyncio.gather(*(tenant.load(until) for tenant in self.tenants))
        for killer in killers:
            killer.cancel()
        await asyncio.gather(*killers, return_exceptions=True)
        if self.server.process.poll() is not None:
            await asyncio.to_thread(self.server.start)
        await self.order("cordon")
        await self.all(self.stand_still)
        await self.all(self.read_ledger)

    async def stand_still(self, tenant):
        """Nothing of its queue runs any more; what waits is more than nothing."""
        deadline = time.monotonic() + 120
        while (found := await self.queue(tenant, "GET"))["in_flight"] > 0:
            if time.monotonic() > deadline:
                raise AssertionError(f"it still runs: {found}")
            await asyncio.sleep(0.2)
        tenant.left = found["depth"]

    async def read_ledger(self, tenant):
        path = f"/v1/tenants/{tenant.name}/usage?period=last_30_days&group_by=route,status"
        groups = (await self.operate("GET", path))["groups"]
        used = self.used[tenant.name] = Counter()
        for group in groups:
            key = group["key"]
            used[key["resource_type"]] += group["amount"]
            if key["resource_type"] == "requests":
                used[key["route"], str(key["status"])] += group["amount"]


def pass_midnight(seconds):
    """A day's limit begins anew there: not while it is counted."""
    while (left := 86400 - time.time() % 86400) < seconds + 120:
        print(f"waiting for midnight, {left:.0f} s", flush=True)
        time.sleep(min(left, 60))


# ---- what must hold ---------------------------------------------------------------------------


def check_day(soak):
    for tenant in (t for t in soak.tenants if t.kind == "day"):
        used = soak.used[tenant.name]
        given = used["requests"] - sum(n for key, n in used.items() if key[1:] == ("429",))
        lib.equal(given, tenant.day, f"{tenant.name}: calls of the day")
        refused = sum(n for (_, status), n in tenant.told.items() if status == "429")
        lib.equal(refused > 0, True, f"{tenant.name}: some were refused")
        if not soak.options.server_kills:
            told = sum(n for (_, status), n in tenant.told.items() if status != "429")
            lib.equal(told, tenant.day, f"{tenant.name}: calls that were answered")


def check_rate(soak):
    """Each call was let in between when it was sent and when it was answered. A restart begins
    with all credits."""
    lives = 1 + soak.kills["server"]
    for tenant in (t for t in soak.tenants if t.kind == "rate"):
        begins = sorted(tenant.times)
        lib.equal(any(status == "429" for _, status in tenant.told), True, f"{tenant.name} refused")
        for length in (1, 3, 10, 60, 3600):
            for first, (begin, _) in enumerate(begins):
                last = bisect.bisect_right(begins, (begin + length, 0))
                inside = [end for _, end in begins[first:last] if end <= begin + length]
                span = min(length, max(inside, default=begin) - begin)
                most = BURST * (lives if length > 10 else min(lives, 2)) + RATE * span
                assert len(inside) <= most, f"{tenant.name}: {len(inside)} in {span:.3f} s"


def check_requests(soak):
    for tenant in soak.tenants:
        used = Counter({key: n for key, n in soak.used[tenant.name].items()
                        if isinstance(key, tuple)})
        if soak.options.server_kills:
            for (route, status), count in used.items():
                assert count <= tenant.told[route, status] + tenant.lost[route], \
                    f"{tenant.name}: {count} of {route} {status}, told {dict(tenant.told)}"
        else:
            lib.equal(used, tenant.told, f"{tenant.name}: the calls of the ledger")


def check_unlimited(soak):
    for tenant in (t for t in soak.tenants if t.kind == "free"):
        bad = {key: n for key, n in tenant.told.items() if key[1] != "200"}
        lib.equal(bad, {}, f"{tenant.name}: answers but 200")


def check_effects(soak, tenant, client):
    """What is there, what its clients were told, and what the ledger says. Returns tasks."""
    used, told = soak.used[tenant.name], tenant.told
    client.post(tenant.batch + "/cancel", {}).expect(200)
    progress = client.wait_task(tenant.task)["additional_data"]["progress"]
    jobs = client.get("/v1/queues/q").expect(200)["depth"]
    things = client.post("/v1/buckets/things/objects/list?include_total=true", {"limit": 1})
    lib.equal(jobs, 2 * told["put_own_jobs", "200"], f"{tenant.name}: jobs that are there")
    lib.equal(used["jobs"], jobs, f"{tenant.name}: jobs of the ledger")
    lib.equal(things.expect(200)["pagination"]["total"], told["create_object", "200"],
              f"{tenant.name}: objects that are there")
    lib.equal(used["tasks"], progress["done"], f"{tenant.name}: tasks of the ledger")
    lib.equal(used["documents"], len(client.documents("done")), f"{tenant.name}: documents")
    if not soak.options.server_kills:
        lib.equal(used["embeddings"], told["create_embeddings", "200"],
                  f"{tenant.name}: vectors of the ledger")
    return progress


def jain(values):
    return sum(values) ** 2 / (len(values) * sum(value * value for value in values))


def shares(soak):
    """Replicas' time by weight: the ledger's, which has no time that died with its replica."""
    return [soak.used[tenant.name]["compute_ms"] / tenant.weight for tenant in soak.tenants]


def told_shares(soak):
    had = shares(soak)
    return (f"service for its weight: mean {sum(had) / len(had):.0f} ms, {min(had):.0f} to "
            f"{max(had):.0f}, Jain {jain(had):.6f}")


def check_shares(soak, bound):
    had = shares(soak)
    mean = sum(had) / len(had)
    print(told_shares(soak), flush=True)
    lib.equal([t.name for t in soak.tenants if t.left == 0], [], "whose work was at its end")
    worst = max(abs(value - mean) for value in had)
    assert worst <= bound, f"{worst:.0f} ms from the mean, at most {bound:.0f}"


def look(soak):
    options, told = soak.options, Counter()
    for tenant in soak.tenants:
        for (_, status), count in tenant.told.items():
            told[status] += count
    waits = sorted(wait * 1e3 for tenant in soak.tenants for wait in tenant.waits)
    print(f"{sum(told.values())} calls answered: {dict(told)}; "
          f"{sum(sum(t.lost.values()) for t in soak.tenants)} lost; p50 "
          f"{waits[len(waits) // 2]:.1f} ms, p99 {waits[len(waits) * 99 // 100]:.0f} ms; "
          f"killed: {dict(soak.kills)}; failed: {dict(soak.failures)}", flush=True)
    with lib.check("replicas were killed" + (", and the server" if options.server_kills else "")):
        assert soak.kills["replicas"] > 0, soak.kills
        lib.equal(soak.kills["server"] > 0, options.server_kills, "kills of the server")
    if not options.server_kills:
        with lib.check("every call has its answer"):
            lib.equal(sum(sum(t.lost.values()) for t in soak.tenants), 0, "calls without one")
    with lib.check("who has no limit is refused nothing"):
        check_unlimited(soak)
    with lib.check("a day's limit is given to the last call, and not once more"):
        check_day(soak)
    with lib.check("no rate is exceeded, in no window"):
        check_rate(soak)
    with lib.check("the ledger has each call as its client saw it, refusals too"):
        check_requests(soak)
    with lib.check("jobs, objects, documents, tasks and vectors are those that clients know of"):
        done = Counter()
        for tenant in soak.tenants:
            client = lib.Client(soak.server.port, tenant.key, tenant.namespace)
            soak.server.operator().call("PUT", f"/v1/tenants/{tenant.name}/quotas", {
                "limits": dict.fromkeys(("max_requests_per_day", "max_requests_per_second",
                                         "burst_credits"))}).expect(200)
            done.update(check_effects(soak, tenant, client))
        print(f"tasks: {dict(done)}", flush=True)
    if options.server_kills:
        print(told_shares(soak), flush=True)
        return
    with lib.check("each had its share of the replicas' time"):
        check_shares(soak, options.bound)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--rate", type=float, default=1, help="calls a second, of each")
    parser.add_argument("--server-kills", action="store_true")
    parser.add_argument("--bound", type=float, default=500, help="ms of service from the mean")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["cc", "-std=gnu17", "-shared", "-fPIC", "-D_GNU_SOURCE", "-I",
                        os.path.join(lib.ROOT, "extractors/include"), "-I", HERE,
                        os.path.join(HERE, "pause_plugin.c"),
                        "-o", os.path.join(folder, "pause_extractor.so")], check=True)
        config = os.path.join(folder, "sluice.yaml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(folder=folder, replicas=REPLICAS))
        server = lib.Server(config, is_split=False).start()
        soak = Soak(options, server)
        with lib.check(f"{options.tenants} tenants call for {options.minutes:g} minutes"):
            asyncio.run(soak.run(options.minutes * 60))
        if lib.failures == 0:
            look(soak)
        with lib.check("it stops when asked"):
            lib.equal(server.stop(), 0, "the exit status")
    lib.finish()


if __name__ == "__main__":
    main()
