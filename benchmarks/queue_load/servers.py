# SPDX-License-Identifier: Apache-2.0
"""The servers that queue_peers measures: fetched if need be, started on free ports of 127.0.0.1
over a directory of their own, killed and started anew on it, and stopped."""
import contextlib
import functools
import glob
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
START_S = 60
STOP_S = 10


class Absent(Exception):
    """It cannot be had here, and why."""


@functools.cache
def fetched(*what):
    """What benchmarks/peers prints for this set."""
    result = subprocess.run([str(ROOT / "benchmarks/peers"), *what], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0:
        raise Absent(" ".join(result.stderr.split())[-300:] or "benchmarks/peers failed")
    return result.stdout.strip()


def package(name):
    return fetched("debian", name)


def installed_or(command, name, path):
    """A program of the machine, or of the package unpacked in the cache."""
    return shutil.which(command) or f"{package(name)}/{path}"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def libraries(root):
    """The environment for a program of an unpacked package."""
    return {"LD_LIBRARY_PATH": ":".join(glob.glob(f"{root}/usr/lib/*-linux-gnu*"))}


class Server:
    """One server: a directory, a port, and processes in a session of their own."""

    user = None
    must_settle = False  # It forgets a queue made since its last orderly stop when it is killed.

    def __init__(self, data, *how):
        self.folder = tempfile.mkdtemp(prefix="queue-peer-", dir=data)
        self.port, self.how, self.process = free_port(), how, None
        self.log = open(f"{self.folder}/peer.log", "wb")
        self.environment = {**os.environ}

    @staticmethod
    def program():
        """Its path; fetched, if it is not there yet."""
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def address(self):
        return str(self.port)

    def spawn(self, command):
        kwargs = {}
        if self.user:
            kwargs = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid,
                      "extra_groups": []}
        return subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=self.log,
                                stderr=self.log, stdin=subprocess.DEVNULL, start_new_session=True,
                                **kwargs)

    def start(self):
        self.process = self.spawn(self.command())
        deadline = time.monotonic() + START_S
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Absent("it does not start here: " + self.said())
            time.sleep(0.02)

    def said(self):
        text = pathlib.Path(f"{self.folder}/peer.log").read_text("utf-8", "replace")
        return " ".join(text.split())[-300:]

    def is_ready(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self, sign=signal.SIGTERM):
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=STOP_S)
        with contextlib.suppress(ProcessLookupError):  # Whatever of its session is left.
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def kill(self):
        self.stop(signal.SIGKILL)

    def close(self):
        self.stop()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Beanstalkd(Server):
    @staticmethod
    def program():
        return installed_or("beanstalkd", "beanstalkd", "usr/bin/beanstalkd")

    def command(self):
        where = ["-b", self.folder] if self.how else []
        return [self.program(), "-l", "127.0.0.1", "-p", str(self.port), *where, *self.how]


class Redis(Server):
    """how: what `appendfsync` says, or nothing for no log at all."""

    @staticmethod
    def program():
        return installed_or("redis-server", "redis-server", "usr/bin/redis-server")

    def command(self):
        how = ["yes", "--appendfsync", *self.how] if self.how else ["no"]
        return [self.program(), "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", self.folder, "--save", "", "--appendonly", *how]

    def is_ready(self):  # It listens before it has read its log.
        with contextlib.suppress(OSError), \
                socket.create_connection(("127.0.0.1", self.port), 1) as s:
            s.sendall(b"PING\r\n")
            return s.recv(64).startswith(b"+PONG")
        return False


class RedisOf(Redis):
    """For clients that want an address."""

    def address(self):
        return f"127.0.0.1:{self.port}"


class Nats(Server):
    """how: its sync_interval, if it is not to be the default, which only the newer one has."""

    @staticmethod
    def program():
        try:
            return fetched("nats")
        except Absent:
            return installed_or("nats-server", "nats-server", "usr/sbin/nats-server")

    def command(self):
        path = f"{self.folder}/nats.conf"
        pathlib.Path(path).write_text(
            f'host: 127.0.0.1\nport: {self.port}\njetstream {{ store_dir: "{self.folder}"'
            + "".join(f", sync_interval: {how}" for how in self.how) + " }\n", "utf-8")
        return [self.program(), "-c", path]


class Gearmand(Server):
    @staticmethod
    def program():
        return installed_or("gearmand", "gearman-job-server", "usr/sbin/gearmand")

    def command(self):
        if shutil.which("gearmand") is None:
            self.environment |= libraries(package("gearman-job-server"))
        return [self.program(), "-L", "127.0.0.1", "-p", str(self.port), "-l", "stderr"]


class Rabbitmq(Server):
    """Its own port mapper comes with it, so that none is left behind."""

    must_settle = True

    @staticmethod
    def program():
        root = package("rabbitmq-server")
        scripts = glob.glob(f"{root}/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server")
        if not scripts:
            raise Absent("its package has no rabbitmq-server")
        return scripts[0]

    def command(self):
        root = package("rabbitmq-server")
        mappers = glob.glob(f"{root}/usr/lib/erlang/erts-*/bin/epmd") + \
            glob.glob("/usr/lib/erlang/erts-*/bin/epmd")
        if not mappers:
            raise Absent("there is no Erlang for it")
        mapper_port, distribution_port = free_port(), free_port()
        self.environment |= {
            **libraries(root), "HOME": self.folder, "ERL_EPMD_PORT": str(mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "PATH": f"{root}/usr/lib/erlang/bin:{os.environ['PATH']}",
            "RABBITMQ_MNESIA_BASE": self.folder, "RABBITMQ_LOG_BASE": self.folder,
            "RABBITMQ_NODENAME": "peer@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # The mapper is the shell's child, in the same session: both end with it.
        return ["/bin/sh", "-c", '"$0" -port "$1" -address 127.0.0.1 & exec "$2"', mappers[0],
                str(mapper_port), self.program()]


class Sluice(Server):
    """Ours: a head without workers of its own."""

    @staticmethod
    def program():
        path = ROOT / "build/bin/sluice"
        if not path.exists() or not (ROOT / "build/benchmarks/sluice-load").exists():
            raise Absent("it is not built: ninja -C build")
        return str(path)

    def command(self):
        pathlib.Path(f"{self.folder}/config").write_text("nodes: 0\n", "ascii")
        return [self.program(), "up", "--data", f"{self.folder}/data", "--http", "127.0.0.1:0",
                "--dashboard", "127.0.0.1:0", "--config", f"{self.folder}/config"]

    def start(self):
        pathlib.Path(f"{self.folder}/data/address").unlink(missing_ok=True)
        super().start()

    def is_ready(self):
        return os.path.exists(f"{self.folder}/data/address")

    def address(self):
        with open(f"{self.folder}/data/address", encoding="ascii") as file:
            return dict(line.strip().split("=", 1) for line in file)["head"]


class Postgres(Server):
    """how: settings. It refuses to be run by root, so that then somebody else runs it."""

    def __init__(self, data, *how):
        super().__init__(data, *how)
        if os.geteuid() == 0:
            self.user = "nobody"
            shutil.chown(self.folder, "nobody")

    @staticmethod
    def program():
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not found:
            found = glob.glob(f"{package('postgresql-15')}/usr/lib/postgresql/*/bin")
        return f"{found[-1]}/postgres"

    def beside(self, name):
        return f"{os.path.dirname(self.program())}/{name}"

    def command(self):
        database = f"{self.folder}/database"
        if not os.path.exists(database):
            made = self.spawn([self.beside("initdb"), "-D", database, "-A", "trust", "-U",
                               "peer", "--no-sync"])
            if made.wait() != 0:
                raise Absent("initdb: " + self.said())
        settings = [part for setting in self.how for part in ("-c", setting)]
        return [self.program(), "-D", database, "-p", str(self.port), "-k", self.folder,
                "-c", "listen_addresses=127.0.0.1", *settings]

    def is_ready(self):
        done = subprocess.run([self.beside("pg_isready"), "-q", "-h", "127.0.0.1", "-p",
                               str(self.port)], check=False)
        return done.returncode == 0

    def address(self):
        return f"postgres://peer@127.0.0.1:{self.port}/postgres"

    def stop(self, sign=signal.SIGINT):  # Fast: it does not wait for its clients.
        super().stop(sign)
