# SPDX-License-Identifier: Apache-2.0
"""Prometheus and promtool of the folder that is named against docs/monitoring and a real server."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

import names
import sluice_testlib as lib

FILES = names.ROOT / "prometheus"
BIN = pathlib.Path(sys.argv[1])
# The API's contract names them so; lint says of both that `_ms` abbreviates.
ABBREVIATED = {"sluice_predicted_start_ms", "sluice_decode_time_ms"}


def promtool(*arguments, text=None, cwd=None):
    run = subprocess.run([BIN / "promtool", *arguments], input=text, cwd=cwd, text=True,
                         capture_output=True, timeout=60, check=False)
    return run.returncode, run.stdout + run.stderr


def use(server):
    """Calls, a job and its end, a batch: so that most families have samples."""
    tenant = server.tenant("acme")
    operator = server.operator()
    operator.call("PUT", "/v1/tenants/acme/quotas",
                  {"limits": {"max_requests_per_day": 1000}}).expect(200)
    tenant.call("PUT", "/v1/queues/q", {}).expect(200)
    tenant.post("/v1/queues/q/jobs", {"jobs": [{"payload": 1}, {"payload": 2}]}).expect(200)
    tenant.get("/v1/whoami").expect(200)
    tenant.get("/v1/namespaces").expect(200)


@contextlib.contextmanager
def prometheus(server):
    """One that scrapes the server as the file in docs says; yields its own port."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-prometheus-"))
    port = lib.free_port()
    text = (FILES / "prometheus.yml").read_text()
    for old, new in (("127.0.0.1:8265", f"127.0.0.1:{server.dashboard_port}"),
                     ("127.0.0.1:8080", f"127.0.0.1:{server.port}"),
                     ("/etc/prometheus/sluice.key", str(pathlib.Path(server.data) / "admin.key")),
                     ("_interval: 15s", "_interval: 1s")):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(FILES / "sluice.rules.yml", folder)
    code, said = promtool("check", "config", str(folder / "prometheus.yml"))
    lib.equal(code, 0, said)
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(
            [BIN / "prometheus", f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


def ask(port, query):
    """What an expression is now: a list of (labels, value); [] while nobody answers."""
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url, timeout=60) as reply:
            found = json.load(reply)["data"]["result"]
    except (OSError, http.client.HTTPException, ValueError):
        return []  # It is not up yet, or still reads what it has stored.
    return [(row["metric"], float(row["value"][1])) for row in found]


def main():
    with lib.check("promtool has nothing against the rules"):
        code, said = promtool("check", "rules", "--lint=all", "--lint-fatal",
                              str(FILES / "sluice.rules.yml"))
        lib.equal(code, 0, said)
    with lib.check("each alert rises when it should and is silent otherwise"):
        text = pathlib.Path(__file__).with_name("rules_test.yml")
        code, said = promtool("test", "rules", text.name, cwd=text.parent)
        lib.equal(code, 0, said)
        alerts = set(re.findall(r"- alert: (\w+)", (FILES / "sluice.rules.yml").read_text()))
        tried = re.findall(r"alertname: (\w+)\n\s+exp_alerts", text.read_text())
        lib.equal(alerts - set(tried), set(), "alerts that no test lets rise")
    server = lib.Server()
    try:
        server.start()
        use(server)
        scrapes = {"without a key": lib.Client(server.dashboard_port).get("/metrics").text.decode(),
                   "an operator's": server.operator().get("/metrics").text.decode()}
        for name, text in scrapes.items():
            with lib.check(f"promtool has nothing against a scrape, {name}"):
                _, said = promtool("check", "metrics", text=text)
                left = [line for line in said.splitlines()
                        if line.split(" ")[0] not in ABBREVIATED or name == "without a key"]
                lib.equal(left, [])
        with lib.check("boards and rules ask for series that there are"):
            lib.equal(names.unknown(scrapes["an operator's"]), [])
            assert names.asked() > 60, names.asked()
        with lib.check("boards are what Prometheus can evaluate"), prometheus(server) as port:
            lib.wait_until("both pages are scraped",
                           lambda: [v for _, v in ask(port, "up")] == [1, 1])
            lib.wait_until("one version is told", lambda: [value for _, value in ask(
                port, 'sluice_build_info{job="sluice"}')] == [1])
            lib.wait_until("the tenant's calls", lambda: any(
                labels.get("tenant") == "acme" for labels, _ in ask(port, "sluice_requests_total")))
            for where, text in names.expressions():
                if where.startswith("sluice.rules") or text.startswith("label_values"):
                    continue
                url = (f"http://127.0.0.1:{port}/api/v1/query?" +
                       urllib.parse.urlencode({"query": text.replace("$tenant", ".+")}))
                with urllib.request.urlopen(url, timeout=60) as reply:
                    lib.equal(json.load(reply)["status"], "success", where)
            lib.wait_until("the queue's two jobs", lambda: [value for _, value in ask(
                port, 'sluice_queue_depth{tenant="acme", queue="own"}')] == [2])
    finally:
        server.remove()
    lib.finish()


if __name__ == "__main__":
    main()
