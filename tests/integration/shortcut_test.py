#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Online requests that go straight to a replica, past its node: whatever happens to the replica,
each is answered once, and its node knows what it does."""
import contextlib
import os
import signal
import tempfile
import threading

import serving_test as serving
import sluice_testlib as lib

CONFIG = """plugins: {folder}
replicas: {{max: 2, sandbox: false, idle: {idle_s}s}}
extractors:
  serving_extractor:
    autoscaling_config: {{min_replicas: {least}, max_replicas: {most}, downscale_delay_s: {idle_s}}}
"""


class Page:
    """What the status page says of requests."""

    def __init__(self, server):
        self.client = lib.Client(server.dashboard_port, "")

    def straight(self):
        return self.client.get("/status.json").expect(200)["requests"]["straight"]


def ready(operator):
    """Those that serve calls: min_replicas keeps some without an index as well."""
    return [replica for replica in serving.replicas(operator)
            if replica["state"] == "ready" and replica["index"] == "serving"]


def warm(client, page):
    """Call until a call has gone straight; how many calls that took."""
    before, calls = page.straight(), 0

    def is_straight():
        nonlocal calls
        serving.infer(client, "warm").expect(200)
        calls += 1
        return page.straight() > before
    lib.wait_until("calls go straight", is_straight, 60)
    return calls


def count_runs(runs, text):
    return serving.read_runs(runs).count(text)


def the_one(operator):
    """The replica, once its node has told of it."""
    lib.wait_until("there is one", lambda: len(ready(operator)) == 1, 60)
    return ready(operator)[0]


def busy_one(operator):
    """The replica that has the one call, by a page that is of now: an older one has no such."""
    def are():
        return [replica["ongoing"] for replica in ready(operator)] == [1]
    lib.wait_until("the call is told of", are, 60)
    return ready(operator)[0]


def let_go(release, thread, replies):
    """End a held call, which is answered well."""
    with open(release, "w", encoding="ascii"):
        pass
    thread.join()
    os.remove(release)
    replies[0].expect(200)


@contextlib.contextmanager
def held(client, page, paths):
    """While a call, sent straight, is run by its replica. One that went by the node, as the replica
    had become idle or was full for a moment, is let go and another sent."""
    runs, release = paths
    for _ in range(20):
        replies, before, began = [], page.straight(), count_runs(runs, "HOLD")
        thread = serving.start_call(client, "HOLD", replies)
        try:
            lib.wait_until("the call runs", lambda: count_runs(runs, "HOLD") > began, 60)
            if page.straight() == before + 1:
                yield
                return
        finally:
            let_go(release, thread, replies)
        warm(client, page)
    raise AssertionError("no call goes straight")


def check_killed(operator, client, page, paths):
    """Its replica is killed: the call runs once more, in another."""
    warm(client, page)
    with held(client, page, paths):
        began, replica = count_runs(paths[0], "HOLD"), busy_one(operator)
        os.kill(replica["pid"], signal.SIGKILL)
        lib.wait_until("it runs again", lambda: count_runs(paths[0], "HOLD") > began, 60)
    lib.equal(count_runs(paths[0], "HOLD"), began + 1, "how often it was run")


def check_kept(operator, client, page, paths):
    """A replica that has a call is not idle; without, it ends, and no call is lost."""
    warm(client, page)
    with held(client, page, paths):
        replica = busy_one(operator)
        lib.wait_until("it would be idle", lambda: the_one(operator)["idle_ms"] > 1500, 60)
        now = the_one(operator)
        lib.equal((now["pid"], now["ongoing"]), (replica["pid"], 1))
    lib.wait_until("it has ended", lambda: replica["pid"] not in
                   [other["pid"] for other in serving.replicas(operator)], 60)
    serving.infer(client, "after").expect(200)


def check_unwanted(operator, client, page, paths):
    """What is past its deadline, or has lost its client, is not run."""
    warm(client, page)
    with held(client, page, paths):
        before, straight = the_one(operator), page.straight()
        late = serving.infer(client, "late", X_Timeout_Ms="1000").expect(503)
        lib.equal(late["error"]["details"]["reason"], "deadline")
        serving.hang_up(client, "gone", lambda: lib.wait_until(
            "both went straight", lambda: page.straight() == straight + 2, 60))
        for name in ("cancelled", "overdue"):
            lib.wait_until(f"it is told as {name}",
                           lambda name=name: the_one(operator)[name] == before[name] + 1, 60)
    serving.infer(client, "next").expect(200)
    lib.equal([count_runs(paths[0], text) for text in ("late", "gone")], [0, 0],
              "how often they ran")


def check_liar(server, client, page, runs):
    """A replica that writes nonsense to who calls it is killed, its call answered by another."""
    warm(client, page)
    serving.infer(client, "LIE").expect(200)
    lib.equal(count_runs(runs, "LIE"), 2, "how often it was run")
    assert "shortcut-misused" in server.log(), server.log()[-2000:]


def check_stop(server, client, page, paths):
    """A server that is told to stop answers first what is under way."""
    warm(client, page)
    with held(client, page, paths):
        server.process.send_signal(signal.SIGTERM)
        lib.wait_until("it stops", lambda: "how=drain" in server.log(), 60)
    lib.equal(server.process.wait(60), 0, "the exit status")


def check_sticky(operator, client, page):
    """Each session's calls go to one of two replicas, and both are used."""
    warmed = warm(client, page)
    lib.wait_until("there are two", lambda: len(ready(operator)) == 2, 60)
    lib.wait_until("the page is of now", lambda: sum(
        replica["done"] for replica in ready(operator)) == warmed, 60)
    lib.wait_until("all was told", lambda: all(not replica["ongoing"]
                                               for replica in ready(operator)), 60)
    before = {replica["id"]: replica["done"] for replica in ready(operator)}
    straight, sessions, each = page.straight(), 12, 3
    for session in range(sessions):
        for _ in range(each):
            serving.infer(client, "sticky", X_Session_Id=f"s{session}").expect(200)

    def used():
        return [replica["done"] - before[replica["id"]] for replica in ready(operator)]
    lib.wait_until("all was told", lambda: sum(used()) == sessions * each, 60)
    lib.equal(page.straight(), straight + sessions * each, "calls that went straight")
    lib.equal([count % each for count in used()], [0, 0], "no session is split")
    assert min(used()) > 0, used()


@contextlib.contextmanager
def start(folder, least, idle_s):
    config = os.path.join(folder, f"sluice{least}-{idle_s}.yaml")
    with open(config, "w", encoding="ascii") as file:
        file.write(CONFIG.format(folder=folder, least=least, most=max(least, 1), idle_s=idle_s))
    server = lib.Server(config, is_split=False).start()
    try:
        client = server.tenant("served")
        client.namespace = client.make("namespace", "ns", feature_extractors=[
            {"feature_extractor_name": "serving_extractor", "version": "v1"}])
        bucket = client.make("bucket", "texts")
        client.make("collection", "notes", feature_extractor={
            "feature_extractor_name": "serving_extractor", "version": "v1",
            "input_mappings": {"text": "content"}},
            source={"type": "bucket", "bucket_ids": [bucket]})
        yield server, client
    finally:
        server.remove()


def check_sessions(folder):
    with lib.check("sessions keep their replica"), start(folder, 2, 5) as (server, client):
        check_sticky(server.operator(), client, Page(server))


def main():
    with tempfile.TemporaryDirectory() as folder:
        paths = serving.build_plugin(folder)
        sessions = threading.Thread(target=check_sessions, args=(folder,))
        sessions.start()  # Both mostly wait.
        with lib.check("a replica with a call is not idle"), \
                start(folder, 0, 1) as (server, client):
            check_kept(server.operator(), client, Page(server), paths)
        sessions.join()
        with start(folder, 0, 5) as (server, client):
            operator, page = server.operator(), Page(server)
            with lib.check("a call whose replica is killed runs once more"):
                check_killed(operator, client, page, paths)
            with lib.check("what nobody waits for is not run"):
                check_unwanted(operator, client, page, paths)
            with lib.check("a replica that lies is killed and its call answered"):
                check_liar(server, client, page, paths[0])
            with lib.check("a server that stops answers what is under way"):
                check_stop(server, client, page, paths)
    lib.finish()


if __name__ == "__main__":
    main()
