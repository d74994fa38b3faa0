#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Limits of tenants and keys over HTTP: what replies tell of them, and who is refused."""
import threading
import time

import sluice_testlib as lib


def limit(server, tenant, **limits):
    return server.operator().call("PUT", f"/v1/tenants/{tenant}/quotas",
                                  {"limits": limits}).expect(200)


def read(client):
    return client.get("/v1/namespaces")


def until(client, status):
    """The first reply that has this status."""
    replies = []

    def has_come():
        replies.append(read(client))
        return replies[-1].status == status
    lib.wait_until(f"a reply of {status}", has_come, 60)
    return replies[-1]


def check_rate(server, client):
    with lib.check("a burst is answered, the next is told when to come again, and to what limit"):
        lib.equal("RateLimit-Limit" in read(client).headers, False, "a limit of one without")
        limit(server, "acme", max_requests_per_second=1, burst_credits=3)
        replies = [read(client) for _ in range(3)]
        lib.equal([reply.status for reply in replies], [200] * 3)
        refused = until(client, 429)
        lib.equal(refused.json["error"]["type"], "RateLimitError")
        lib.equal(refused.json["error"]["details"]["limit"], "max_requests_per_second")
        assert 1 <= int(refused.headers["Retry-After"]) <= 30, refused.headers
        lib.equal(replies[0].headers["RateLimit-Limit"], "1")
        lib.equal(replies[0].headers["RateLimit-Policy"], "1;w=1")
        until(client, 200)
        limit(server, "acme", max_requests_per_second=None, burst_credits=None)
        lib.equal({read(client).status for _ in range(20)}, {200})


def check_key(server, client):
    with lib.check("a key's own rate is a minute's, and no other key's"):
        users = "/v1/organizations/users/owner@acme.local/api-keys"
        made = client.post(users, {"name": "slow", "rate_limit_override": 5}).expect(200)
        slow = lib.Client(server.port, made["key"])
        lib.equal([read(slow).status for _ in range(5)], [200] * 5)
        reply = until(slow, 429)
        lib.equal((reply.json["error"]["details"]["limit"], reply.headers["RateLimit-Policy"]),
                  ("rate_limit_override", "5;w=60"))
        lib.equal(read(client).status, 200)
        client.call("PATCH", f"{users}/slow", {"rate_limit_override": 1000}).expect(200)
        lib.equal({read(slow).status for _ in range(20)}, {200})


def check_running(server, client):
    with lib.check("as many calls run as may, one more is refused, and then the next may"):
        client.call("PUT", "/v1/queues/q", {}).expect(200)
        limit(server, "acme", max_concurrent_requests=1)

        def hold():
            lease = {"n": 1, "wait_ms": 30000, "duration_ms": 30000}
            while client.post("/v1/queues/q/lease", lease).status == 429:
                pass  # Of the two below, the other came first.
        waiting = threading.Thread(target=hold)
        waiting.start()
        reply = until(client, 429)
        lib.equal((reply.json["error"]["details"]["limit"], reply.headers["Retry-After"]),
                  ("max_concurrent_requests", "1"))
        limit(server, "acme", max_concurrent_requests=2)
        client.post("/v1/queues/q/jobs", {"jobs": [{"payload": 1}]}).expect(200)
        waiting.join()
        limit(server, "acme", max_concurrent_requests=1)
        until(client, 200)
        limit(server, "acme", max_concurrent_requests=None)


def pass_midnight():
    """What is counted for a day is counted anew behind its end: not while the test counts."""
    while time.time() % 86400 > 86400 - 120:
        time.sleep(1)


def check_day(server):
    pass_midnight()
    client = server.tenant("daily")
    with lib.check("a day's requests end with no time to wait for, warned of, also over a kill"):
        limit(server, "daily", max_requests_per_day=10)
        replies = [read(client) for _ in range(10)]
        lib.equal({reply.status for reply in replies}, {200})
        assert replies[-1].headers["X-Quota-Warning"].startswith("max_requests_per_day="), replies
        reply = read(client)
        lib.equal((reply.status, reply.json["error"]["type"]), (429, "QuotaExceededError"))
        assert "Retry-After" not in reply.headers, reply.headers
        assert reply.json["error"]["details"]["reset_at"].endswith("T00:00:00.000Z"), reply.json
        lib.equal(server.stop(), 0, "the exit status")
        server.start()
        lib.equal(read(client).status, 429)


def main():
    server = lib.Server().start()
    client = server.tenant("acme")
    check_rate(server, client)
    check_key(server, client)
    check_running(server, client)
    check_day(server)
    lib.finish()


if __name__ == "__main__":
    main()
