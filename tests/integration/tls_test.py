#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""TLS on both listeners: pages and verbs over it, a new pair on SIGHUP, a bad one refused."""
import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.request

import sluice_testlib as lib


def make_pair(directory):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", f"{directory}/key",
         "-out", f"{directory}/cert", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True)


def serial_of(port, cert):
    """Of the certificate that is shown, to one who trusts `cert` alone."""
    shown = ssl.get_server_certificate(("127.0.0.1", port), ca_certs=cert, timeout=30)
    return ssl.PEM_cert_to_DER_cert(shown)


def wait_log(server, text):
    lib.wait_until(text, lambda: text in server.log(), 60)


def start_gateway(server, cert, key):
    """lib.Gateway.start asks in plain HTTP."""
    gateway = lib.Gateway(server, None, "--tls-cert", cert, "--tls-key", key)
    with open(gateway.log_path, "ab") as log:
        gateway.process = subprocess.Popen(
            [lib.BINARY, "gateway", *gateway.heads, "--http", f"127.0.0.1:{gateway.port}",
             *gateway.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, lib.MARK: server.mark}, start_new_session=True)
    context = ssl.create_default_context(cafile=cert)

    def has_joined():
        lib.equal(gateway.process.poll(), None, "its exit status")
        with contextlib.suppress(OSError):
            url = f"https://127.0.0.1:{gateway.port}/v1/health/beat"
            with urllib.request.urlopen(url, context=context, timeout=30) as reply:
                return reply.status == 200
        return False
    lib.wait_until("it has joined", has_joined, 60)
    return gateway


def check_gateway(server, directory):
    """One that is a process of its own, before the same head."""
    os.mkdir(directory)
    make_pair(directory)
    with lib.check("a gateway speaks TLS too, and takes a new pair on SIGHUP"):
        gateway = start_gateway(server, f"{directory}/cert", f"{directory}/key")
        old = serial_of(gateway.port, f"{directory}/cert")
        make_pair(directory)
        gateway.process.send_signal(signal.SIGHUP)
        lib.wait_until("the new one", lambda: "certificate-loaded" in gateway.log(), 60)
        assert serial_of(gateway.port, f"{directory}/cert") != old, "the same is shown"
        lib.equal(gateway.stop(), 0, "its exit status")


def main():
    directory = tempfile.mkdtemp(prefix="sluice-tls-")
    cert, key = f"{directory}/cert", f"{directory}/key"
    make_pair(directory)
    config = f"{directory}/config"
    with open(config, "w", encoding="ascii") as file:
        file.write(f"nodes: 0\ntls: {{cert: {cert}, key: {key}}}\n")
    server = lib.Server(config, is_split=False)
    url = f"https://127.0.0.1:{server.port}"

    def run(*arguments):
        with open(f"{server.data}/admin.key", encoding="ascii") as file:
            env = {**os.environ, "SLUICE_API_KEY": file.read().strip()}
        return subprocess.run([lib.BINARY, *arguments, "--url", url], env=env, timeout=60,
                              capture_output=True, text=True, check=False)

    try:
        server.start()
        with lib.check("verbs and pages come over TLS, to who trusts the certificate"):
            lib.equal(run("status", "--ca", cert).returncode, 0)
            lib.equal(run("status").returncode != 0, True, "who does not trust it is refused")
            context = ssl.create_default_context(cafile=cert)
            for path in (f"{url}/v1/health/liveness",
                         f"https://127.0.0.1:{server.dashboard_port}/status.json"):
                with urllib.request.urlopen(path, context=context, timeout=30) as reply:
                    lib.equal(reply.status, 200)
        with lib.check("SIGHUP brings a new pair, and a bad one leaves the old"):
            old = serial_of(server.port, cert)
            make_pair(directory)
            server.process.send_signal(signal.SIGHUP)
            wait_log(server, "certificate-loaded")
            new = serial_of(server.port, cert)
            lib.equal(new != old, True, "another certificate is shown")
            with open(key, "w", encoding="ascii") as file:
                file.write("none\n")
            server.process.send_signal(signal.SIGHUP)
            wait_log(server, "certificate-refused")
            lib.equal(serial_of(server.port, cert) == new, True, "the last good one is shown")
        with lib.check("a pair that cannot be used keeps the server from starting, and says why"):
            refused = subprocess.run(
                [lib.BINARY, "up", "--data", f"{directory}/data", "--http", "127.0.0.1:0",
                 "--dashboard", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", key],
                capture_output=True, text=True, timeout=60, check=False)
            lib.equal(refused.returncode, 1)
            lib.equal("no TLS" in refused.stderr, True, refused.stderr)
        check_gateway(server, f"{directory}/gateway")
        with lib.check("it stops"):
            lib.equal(server.stop(), 0)
    finally:
        server.remove()
        shutil.rmtree(directory, ignore_errors=True)
    lib.finish()


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        lib.skip("TLS over real processes: there is no openssl to make a certificate with")
        lib.finish()
    main()
