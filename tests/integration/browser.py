#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a browser: what an operator does on each page, at the width of a desk and of a
phone, by mouse and by keyboard alone; what a tenant sees; what a head that is killed looks like.

    browser.py [--axe axe.min.js] [--shots DIRECTORY]

With --axe, axe-core looks at every page for what keeps people out. With --shots, pictures are kept.
"""
import argparse
import json
import os
import signal
import tempfile

import chromium
import sluice_testlib as lib
from faults_test import compile_plugin

PAGES = [("", "What waits, and why"), ("nodes", "Groups"), ("extractors", "Replicas"),
         ("queues", "acme:mail"), ("jobs", "In queues"),
         ("requests", "is written to the disk"), ("dead", "tenant at the top"),
         ("memory", "Models that can be used"), ("tenants", "globex"), ("events", "node joined"),
         ("logs", "ready"),
         ("config", "In force")]
CONFIG = """
nodes: 1
plugins: {folder}
cluster:
  groups:
    cpu: {{provider: local, min: 0, max: 2, idle: 1m, tasks: 1000}}
    any: {{}}
"""
SCRIPT = "<img src=x onerror=window.pwned=1><script>window.pwned=1</script>"
BYTES_MAX = 150 * 1024


def log_text(client, bucket, text):
    """Have a replica log a text."""
    client.wait_task(client.submit(bucket, client.make_objects(bucket, [lib.text_object(text)]))[1])


def make_logged(client):
    """A bucket whose texts a replica logs; the first is a script."""
    bucket = client.make("bucket", "logged", bucket_schema={
        "properties": {"content": {"type": "text"}}})
    client.make("collection", "logged", source={"type": "bucket", "bucket_ids": [bucket]},
                feature_extractor={"feature_extractor_name": "log_extractor", "version": "v1",
                                   "input_mappings": {"content": "content"}})
    log_text(client, bucket, "logged " + SCRIPT)
    return bucket


def fill(server):
    """Two tenants with work done and work that waits, dead letters, and names that are scripts."""
    acme, globex = server.tenant("acme"), server.tenant("globex")
    for client in (acme, globex):
        client.namespace = client.make("namespace", "shop", feature_extractors=lib.BOTH)
        bucket = client.make("bucket", "texts", bucket_schema={
            "properties": {"content": {"type": "text"}}})
        client.make("collection", "sentences", source={"type": "bucket", "bucket_ids": [bucket]},
                    feature_extractor={"feature_extractor_name": "text_extractor", "version": "v1",
                                       "input_mappings": {"text": "content"}})
        ids = client.make_objects(bucket, [lib.text_object(f"text {n}") for n in range(40)])
        client.wait_task(client.submit(bucket, ids)[1])
    acme.logged = make_logged(acme)
    for name, count in (("mail", 40), ("reports", 12)):
        acme.call("PUT", f"/v1/queues/{name}", {}).expect(200)
        acme.post(f"/v1/queues/{name}/jobs",
                  {"jobs": [{"payload": {"n": n}, "retry": {"attempts_max": 1}}
                            for n in range(count)]}).expect(200)
    leased = acme.post("/v1/queues/mail/lease", {"n": 6, "worker": SCRIPT}).expect(200)["jobs"]
    acme.post("/v1/queues/mail/ends", {"ends": [
        {"job_id": job["job_id"], "epoch": job["epoch"], "outcome": "failed",
         "error": "no such mailbox: " + SCRIPT} for job in leased]}).expect(200)
    return acme, globex


class Desk:
    """A tab at the dashboard, and how things are found there."""

    def __init__(self, browser, server, key, axe, shots):
        self.tab, self.server, self.key, self.axe, self.shots = (
            browser.tab(), server, key, axe, shots)
        self.tab.size(1280, 900)

    def open(self, path=""):
        self.tab.go(f"http://127.0.0.1:{self.server.dashboard_port}/#/{path}")

    def log_in(self):
        self.tab.wait("the login", "!!document.querySelector('#key')")
        self.tab.run("document.querySelector('#key').focus()")
        self.tab.type(self.key)
        self.tab.press("Log in")

    def page(self, path, words):
        self.tab.run(f"location.hash = '#/{path}'")
        self.tab.wait(f"page {path!r}", "document.querySelector('main h1') && document."
                      f"querySelector('nav [aria-current]')?.getAttribute('href') === '#/{path}'")
        self.tab.sees(words)

    def confirm(self, words, said):
        """Do what a dialog asks, and wait until the page says that it is done."""
        self.tab.wait("a dialog", "!!document.querySelector('dialog[open]')")
        self.tab.press(words, "dialog[open]")
        self.tab.wait("the dialog is closed", "!document.querySelector('dialog[open]')")
        self.tab.wait(f"it is said: {said}",
                      f"document.getElementById('said').innerText.includes({json.dumps(said)})")

    def check_width(self, path, width):
        wide = self.tab.run("document.documentElement.scrollWidth")
        assert wide <= width, f"page {path!r} is {wide} wide on a screen of {width}"

    def check_access(self, path):
        if self.axe is None:
            return
        if not self.tab.run("typeof axe === 'object'"):
            self.tab.run(self.axe)
        found = self.tab.run("""axe.run(document, {resultTypes: ['violations']}).then(r =>
            r.violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v =>
            v.id + ': ' + v.help + ' ' + v.nodes.map(n => n.html).join(' | ').slice(0, 300)))""")
        assert found == [], f"page {path!r}: " + "\n".join(found)

    def shoot(self, name):
        if self.shots:
            self.tab.shoot(os.path.join(self.shots, name + ".webp"))


def check_login(desk):
    tab = desk.tab
    desk.open()
    tab.wait("the login", "!!document.querySelector('#key')")
    desk.check_access("login")
    tab.type("sk_wrong")
    tab.press("Log in")
    tab.sees("the API key is not valid")
    tab.run("document.querySelector('#key').value = ''")
    tab.errors.clear()  # Chromium notes the refusal.
    desk.log_in()
    tab.sees("What changed")
    tab.wait("it is live", "document.getElementById('state').innerText === 'live'")
    kept = tab.run("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    lib.equal(kept, '["",{},{}]', "what scripts can read of the session")


def check_weight(desk):
    """The logged-in overview and all it loads, by somebody who has none of it yet."""
    tab = desk.tab
    tab.send("Network.setCacheDisabled", cacheDisabled=True)
    tab.bytes, tab.requests = 0, []
    tab.send("Page.reload")
    tab.sees("History")
    tab.wait("charts", "document.querySelectorAll('svg.chart').length > 8")
    paint = tab.run("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    print(f"overview: {tab.bytes} bytes in {len(tab.requests)} requests, "
          f"first contentful paint after {paint or 0:.0f} ms", flush=True)
    assert 10000 < tab.bytes <= BYTES_MAX, tab.bytes
    own = f"http://127.0.0.1:{desk.server.dashboard_port}/"
    lib.equal([url for url in tab.requests if not url.startswith(own)], [], "requests elsewhere")
    tab.send("Network.setCacheDisabled", cacheDisabled=False)


def check_pages(desk):
    for path, words in PAGES:
        for scheme, width, height in (("light", 1280, 900), ("dark", 360, 780)):
            with lib.check(f"page {path or 'overview'}, {width} wide, {scheme}"):
                desk.tab.scheme(scheme)
                desk.tab.size(width, height, width < 500)
                desk.page(path, words)
                desk.check_width(path, width)
                desk.check_access(path)
                desk.shoot(f"{path or 'overview'}-{'desk' if width > 500 else 'phone'}")
    desk.tab.scheme("light")
    desk.tab.size(1280, 900)


def queue(client, name):
    return client.get(f"/v1/queues/{name}").expect(200)


def check_actions(desk, acme, operator):
    tab = desk.tab
    with lib.check("a queue is paused and resumed, after it was asked for"):
        desk.page("queues", "acme:mail")
        tab.press("Pause")
        tab.sees("No more of its")
        desk.confirm("Pause", "acme:mail: paused.")
        lib.equal(queue(acme, "mail")["mode"], "paused")
        tab.press("Resume")
        desk.confirm("Resume", "acme:mail: resumed.")
        lib.equal(queue(acme, "mail")["mode"], "open")
        events = operator.get("/v1/organizations/audit/logs?limit=20").expect(200)["results"]
        assert "acme:mail" in [event["resource_id"] for event in events], events
    with lib.check("a node is cordoned and given tasks again"):
        desk.page("nodes", "Groups")
        tab.press("Cordon")
        desk.confirm("Cordon", "told to cordon")
        tab.sees("cordoned")
        tab.press("Uncordon")
        desk.confirm("Uncordon", "told to uncordon")
    with lib.check("a replica is restarted, and another takes its place"):
        acme.post("/v1/inference", {"inference_name": "text_hash_v1",
                                    "inputs": {"text": "warm"}}).expect(200)
        desk.page("extractors", "Restart")
        tab.press("Restart")
        tab.sees("It finishes the")
        desk.confirm("Restart", "has been told to end")
        acme.post("/v1/inference", {"inference_name": "text_hash_v1",
                                    "inputs": {"text": "tea"}}).expect(200)
    with lib.check("what happens is seen without a reload, as it happens"):
        desk.page("events", "node joined")
        seen = tab.run("document.querySelectorAll('ol.time > li').length")
        operator.post("/v1/tenants", {"tenant_id": "hooli", "name": "hooli", "plan": "scale",
                                      "isolation_level": "logical"}).expect(201)
        tab.sees("hooli")
        assert tab.run("document.querySelectorAll('ol.time > li').length") > seen
        desk.page("nodes", "Groups")
    with lib.check("a group is scaled, and a number that is too large is refused in words"):
        tab.press("Scale")
        tab.wait("a dialog", "!!document.querySelector('dialog[open] input')")
        tab.run("document.querySelector('dialog input').value = 0")
        desk.confirm("Scale", "is set to 0")
        group = operator.get("/v1/cluster").expect(200)["groups"]
        lib.equal([g["is_manual"] for g in group if g["group"] == "cpu"], [True])
    with lib.check("what an apply would change is shown, and nothing is changed by looking"):
        values = operator.get("/v1/cluster/config").expect(200)["values"]
        desk.page("config", "In force")
        tab.run("document.querySelector('#overrides').value = 'cluster: {batch-workers: "
                "{minReplicas: 0, maxReplicas: 5}}'")
        tab.press("Show what would change")
        tab.wait("the difference", "[...document.querySelectorAll('ins')].some(e => "
                                   "e.textContent.includes('5'))")
        lib.equal(operator.get("/v1/cluster/config").expect(200)["values"], values)
        tab.run("document.querySelector('#overrides').value = 'cluster: {batch: {minReplica: 1}}'")
        tab.press("Show what would change")
        tab.wait("why not", "!!document.querySelector('main [role=alert]')")
        tab.errors.clear()  # Chromium notes the refusal.


def check_dead(desk, acme):
    tab = desk.tab
    with lib.check("dead letters are shown as they are, and redriven"):
        tab.run("(() => { const e = document.querySelector('#who select'); e.value = 'acme'; "
                "e.dispatchEvent(new Event('change')); })()")
        desk.page("dead", "no such mailbox: <img src=x onerror=window.pwned=1><script>")
        desk.check_access("dead letters")
        desk.shoot("dead-letters")
        lib.equal(queue(acme, "mail")["counts"]["dead"], 6)
        tab.press("Redrive all")
        desk.confirm("Redrive", "6 jobs of mail begin again")
        lib.equal(queue(acme, "mail")["counts"]["dead"], 0)
    with lib.check("jobs are opened, with where their time went: a batch, and one of a queue"):
        desk.page("jobs", "completed")
        for place in (0, 1):
            tab.run(f"document.querySelectorAll('main table.list')[{place}]"
                    ".querySelector('td button').click()")
            tab.wait("where its time went", "document.querySelectorAll('.fall rect').length >= "
                                            f"{2 - place}")
            tab.sees("Waits for its turn")
            if place == 0:
                tab.sees("The run that took longest")
                tab.sees("compute")
                desk.shoot("job")
            desk.check_access("job")
            tab.press("Close")
            tab.wait("it is closed", "!document.querySelector('.fall')")
    with lib.check("a slow request is opened, with where its time went"):
        desk.page("requests", "POST /v1/")
        desk.check_access("requests")
        tab.run("document.querySelector('main td button').click()")
        tab.sees("Its lines")
        tab.wait("its phases", "document.querySelectorAll('.card > .fall rect').length >= 2")
        tab.sees("commit")
        desk.check_access("request")
        desk.shoot("request")
        tab.press("Close")
        tab.wait("it is closed", "!document.querySelector('#request-title')")
    with lib.check("a tenant is opened, with quota and cost"):
        desk.page("tenants", "What it was used for")
        tab.sees("Calls by day")
        desk.check_access("tenant")
    with lib.check("lines of processes are searched and followed; script in one is text"):
        desk.page("logs", "")
        tab.wait("it is drawn", "!!document.querySelector('main .card')")
        tab.run("(() => { const q = document.querySelector('input[name=q]'); q.value = 'said='; "
                "q.dispatchEvent(new Event('change')); })()")
        tab.sees(SCRIPT)
        log_text(acme, acme.logged, "again")
        tab.wait("the second line has come", "document.querySelectorAll('main ol.time li').length "
                                             "=== 2")
    with lib.check("no script that a tenant named has run, and none of ours has failed"):
        lib.equal(tab.run("typeof window.pwned"), "undefined")
        lib.equal(tab.errors, [])


def focused(tab):
    return tab.run("(document.activeElement.textContent || document.activeElement.value || "
                   "document.activeElement.id).trim()")


def tab_to(tab, words, most=60):
    for _ in range(most):
        tab.key("Tab")
        if focused(tab) == words:
            return
    raise AssertionError(f"{words!r} was not reached by keyboard; at {focused(tab)!r}")


def check_keyboard(desk):
    """From the address to a paused queue: no mouse."""
    tab = desk.tab
    desk.open()
    tab.wait("the login", "document.activeElement && document.activeElement.id === 'key'")
    tab.type(desk.key)
    tab.key("Enter")
    tab.sees("What changed")
    tab.run("document.body.focus()")
    tab_to(tab, "Queues")
    tab.key("Enter")
    tab.sees("acme:mail")
    tab_to(tab, "Pause")
    tab.key("Enter")
    tab.wait("a dialog", "!!document.querySelector('dialog[open]')")
    for _ in range(8):
        tab.key("Tab")
        assert tab.run("document.activeElement === document.body || "
                       "!!document.activeElement.closest('dialog')"), "the focus left the dialog"
    tab.key("Escape")
    tab.wait("the dialog is closed", "!document.querySelector('dialog')")
    lib.equal(focused(tab), "Pause", "what has the focus after the dialog")
    tab.key("Enter")
    tab_to(tab, "Pause", 4)
    tab.key("Enter")
    tab.wait("the queue is paused",
             "[...document.querySelectorAll('main button')].some(e => e.textContent === 'Resume')")
    tab_to(tab, "Log out")
    tab.key("Enter")
    tab.wait("logged out", "!!document.querySelector('#key')")


def check_tenant(desk):
    tab = desk.tab
    desk.open()
    desk.log_in()
    tab.sees("What waits, and why")
    names = tab.run("[...document.querySelectorAll('nav a')].map(e => e.textContent).join()")
    lib.equal(names, "Overview,Extractors,Queues,Jobs,Requests,Dead letters,Models and memory,"
              "Tenants,Events,Logs")
    for path in ("", "extractors", "queues", "jobs", "requests", "dead", "memory", "tenants",
                 "events", "logs"):
        desk.page(path, "")
        tab.wait("it is drawn", "!!document.querySelector('main .card')")
        assert "acme" not in tab.text() and "mail" not in tab.text(), (path, tab.text())
    lib.equal(tab.errors, [])
    lib.equal(tab.run("fetch('/v1/cluster/nodes', {headers: {'X-Sluice-Dashboard': '1'}})"
                      ".then(r => r.status)"), 403)


def check_restart(desk):
    """The head is killed while a tab is open; the tab says so and comes back."""
    tab = desk.tab
    desk.page("queues", "acme:mail")
    desk.server.process.send_signal(signal.SIGKILL)
    desk.server.process.wait(60)
    tab.sees("no answer: these figures are old")
    tab.sees("acme:mail")
    desk.server.kill_all()
    desk.server.start()
    tab.wait("it is back", "document.getElementById('state').innerText === 'live'", 60)
    assert not tab.run("!!document.querySelector('#key')"), "the session is not over"
    tab.sees("acme:mail", 60)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--axe")
    parser.add_argument("--shots")
    options = parser.parse_args()
    axe = None
    if options.axe:
        with open(options.axe, encoding="utf-8") as file:
            axe = file.read() + "; true"
    else:
        lib.skip("axe-core: it is not there")
    with (tempfile.TemporaryDirectory() as folder,
          tempfile.NamedTemporaryFile("w", suffix=".yaml") as file):
        compile_plugin(folder, "log_extractor", "log_plugin.c")
        file.write(CONFIG.format(folder=folder))
        file.flush()
        server = lib.Server(config=file.name).start()
        acme, globex = fill(server)
        operator = server.operator()
        browser = chromium.Browser()
        print(browser.version, flush=True)
        desk = Desk(browser, server, operator.key, axe, options.shots)
        with lib.check("who has a key logs in, and no script can read what stands for it"):
            check_login(desk)
        with lib.check(f"the overview weighs at most {BYTES_MAX} bytes, all of this server"):
            check_weight(desk)
        check_pages(desk)
        check_actions(desk, acme, operator)
        check_dead(desk, acme)
        with lib.check("a queue is paused without a mouse"):
            check_keyboard(Desk(browser, server, operator.key, None, None))
        with lib.check("a tenant sees its own part alone"):
            check_tenant(Desk(browser, server, globex.key, None, None))
        with lib.check("a tab says that the head is gone, and comes back with it"):
            desk.tab.run("(() => { const e = document.querySelector('#who select'); e.value = ''; "
                         "e.dispatchEvent(new Event('change')); })()")
            check_restart(desk)
        browser.close()
    lib.finish()


if __name__ == "__main__":
    main()
