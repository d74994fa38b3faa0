# SPDX-License-Identifier: Apache-2.0
"""A `sluice up` of its own, for benchmarks that look at it from outside: started, asked over HTTP,
its processes' memory added up, stopped."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "build/bin/sluice"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """`config`: lines of its configuration file."""

    def __init__(self, folder, config=""):
        path = os.path.join(folder, "config.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self.data, self.port = os.path.join(folder, "data"), free_port()
        self.log = open(os.path.join(folder, "log"), "wb")
        self.process = subprocess.Popen(
            [PROGRAM, "up", "--config", path, "--data", self.data,
             "--http", f"127.0.0.1:{self.port}", "--dashboard", f"127.0.0.1:{free_port()}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        self.key = self.namespace = None  # A namespace: sent with each call.
        for _ in range(300):
            with contextlib.suppress(OSError, http.client.HTTPException):
                with open(os.path.join(self.data, "admin.key"), encoding="ascii") as file:
                    self.key = file.read().strip()
                if self.call("GET", "/v1/namespaces")[0] == 200:
                    return
            time.sleep(0.1)
        raise SystemExit("sluice did not start: " + self.log.name)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.log.close()

    def pids(self):
        """Of all its processes: they are of its session."""
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    if os.getsid(int(name)) == self.process.pid:
                        yield name

    def memory_bytes(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                    total += sum(int(line.split()[1]) for line in file
                                 if line.startswith("RssAnon:"))
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                    total += sum(int(line.split()[1]) for line in file
                                 if line.startswith("Pss_Shmem:"))
        return total * 1024

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        if self.namespace is not None:
            headers["X-Namespace"] = self.namespace
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text) if text else None

    def expect(self, method, path, body=None):
        status, reply = self.call(method, path, body)
        if status // 100 != 2:
            raise SystemExit(f"{method} {path}: {status} {reply}")
        return reply

    def upload(self, path, archive, fields):
        """Parts in the order that curl sends them; the file goes by sendfile."""
        mark = "sluice-benchmark-part"
        head = (f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="m.tar.gz"\r\n'
                "Content-Type: application/gzip\r\n\r\n").encode()
        tail = "".join(
            f'\r\n--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}'
            for name, value in fields.items()).encode() + f"\r\n--{mark}--\r\n".encode()
        size = len(head) + os.path.getsize(archive) + len(tail)
        with socket.create_connection(("127.0.0.1", self.port)) as s, open(archive, "rb") as file:
            s.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}"
                      f"\r\nContent-Type: multipart/form-data; boundary={mark}\r\n"
                      f"Content-Length: {size}\r\nConnection: close\r\n\r\n".encode() + head)
            s.sendfile(file)
            s.sendall(tail)
            reply = http.client.HTTPResponse(s)
            reply.begin()
            text = json.loads(reply.read())
        if reply.status != 200:
            raise SystemExit(f"upload: {reply.status} {text}")
        return text["model_id"]


class Watch(threading.Thread):
    """The most memory that the server had while it ran."""

    def __init__(self, server):
        super().__init__()
        self.server, self.peak, self.is_over = server, 0, threading.Event()

    def run(self):
        while not self.is_over.wait(0.05):
            self.peak = max(self.peak, self.server.memory_bytes())
