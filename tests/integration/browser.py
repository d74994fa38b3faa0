#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The status page as a browser shows it: it is drawn, it is live, and no script of it fails."""
import re
import subprocess
import tempfile

import sluice_testlib as lib


def dump(url, profile):
    """The page's document after its scripts have run, and what the browser logged."""
    done = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--disable-background-networking", "--no-first-run", f"--user-data-dir={profile}",
         "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", url],
        capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, done.stderr


def main():
    server = lib.Server().start()
    client = server.tenant("browser")
    client.namespace = client.make("namespace", "seen", feature_extractors=lib.BOTH)
    with tempfile.TemporaryDirectory() as profile:
        page, log = dump(f"http://127.0.0.1:{server.dashboard_port}/", profile)
    with lib.check("the status page is drawn, with its numbers filled in"):
        body = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.S)
        assert "sluice" in body, page[:2000]
        assert re.search(r"\d", body), body[:2000]
    with lib.check("no script of it fails"):
        errors = [line for line in log.split("\n") if "CONSOLE" in line and "rror" in line]
        lib.equal(errors, [], "errors in the console")
    lib.finish()


if __name__ == "__main__":
    main()
