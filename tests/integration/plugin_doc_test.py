#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/plugin.md, followed to the letter in an empty folder: its files are written, its commands
are run in their order by one shell. Only the block that says where sluice lies is ours."""
import os
import re
import subprocess
import tempfile

import sluice_testlib as lib

END = "-- end of block --"
BLOCK = re.compile(r"^```(\w+) ?([\w.]*)\n(.*?)^```$", re.M | re.S)


def blocks():
    with open(os.path.join(lib.ROOT, "docs/plugin.md"), encoding="utf-8") as file:
        return BLOCK.findall(file.read())


class Terminal:
    """A shell that is typed into: what one block sets, the next one has."""

    def __init__(self, folder, first):
        self.shell = subprocess.Popen(["bash"], cwd=folder, stdin=subprocess.PIPE, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.run("set -o pipefail -E; trap FAILED=1 ERR\n" + first)

    def run(self, text):
        """0, or 1 when a command failed; and what was printed."""
        self.shell.stdin.write(f"FAILED=0\n{text}\necho; echo {END} $FAILED\n")
        self.shell.stdin.flush()
        out = ""
        for line in self.shell.stdout:
            if line.startswith(END):
                return int(line.split()[-1]), out
            out += line
        raise AssertionError("the shell ended: " + out)

    def close(self):
        self.shell.stdin.close()
        self.shell.wait(60)


class Reader:
    """Does what a reader does: files, then commands, the server in a terminal of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.server = None
        # The document says build/bin/sluice; the tests may run another build of it.
        sluice = os.path.join(folder, ".sluice")
        os.makedirs(os.path.join(sluice, "build"))
        os.symlink(os.path.dirname(os.path.realpath(lib.BINARY)), os.path.join(sluice, "build/bin"))
        os.symlink(os.path.join(lib.ROOT, "extractors"), os.path.join(sluice, "extractors"))
        self.setup = f"export SLUICE={sluice} PORT={lib.free_port()}\n"
        self.terminal = Terminal(folder, self.setup)

    def serve(self, text):
        text = self.setup + text.replace('\n"$SLUICE', '\nexec "$SLUICE')
        self.server = subprocess.Popen(["bash", "-c", text], cwd=self.folder, text=True,
                                       stdout=subprocess.PIPE)
        line = self.server.stdout.readline()
        assert line.startswith("ready"), line

    def stop(self):
        self.terminal.close()
        if self.server is not None:
            self.server.terminate()
            self.server.communicate(timeout=60)


def follow(reader):
    number = 0
    for kind, name, text in blocks():
        if name == "setup":
            continue
        if kind == "c":
            with open(os.path.join(reader.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
            continue
        number += 1
        with lib.check(f"docs/plugin.md, block {number}"):
            if name == "server":
                reader.serve(text)
                continue
            failed, out = reader.terminal.run(text)
            lib.equal(failed, name == "fails", f"whether a command failed; it printed {out}")
            if name == "fails":
                assert "text_missing" in out, out
    return number


def main():
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader(folder)
        try:
            number = follow(reader)
        finally:
            reader.stop()
        with lib.check("every block of docs/plugin.md was run, and the server stopped"):
            lib.equal((number, reader.server.returncode), (9, 0))
    lib.finish()


if __name__ == "__main__":
    main()
