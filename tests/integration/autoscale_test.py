#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`sluice autoscale`: loads from files, what is written down of them, and decisions made again."""
import json
import os
import subprocess
import tempfile

import sluice_testlib as lib


def autoscale(*arguments):
    return subprocess.run([lib.BINARY, "autoscale", *arguments], capture_output=True, text=True,
                          timeout=120, check=False)


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def simulate(trace, *options):
    done = autoscale("simulate", "--trace", trace, "--json", *options)
    lib.equal(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


LOADS = os.path.join(lib.ROOT, "benchmarks/loads")


def changes_after(record, seconds):
    """Changes of the wanted number, once the load has been there for so long."""
    with open(record, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file][1:]
    late = [line["replicas"] for line in lines if line["at_ns"] >= seconds * 10**9]
    return sum(a != b for a, b in zip(late, late[1:]))


def check_loads(folder):
    """With settings as they are, twenty replicas allowed, and requests of 300 ms."""
    options = ["--set", "max_replicas=20", "--service", "300"]
    for name in ("step", "ramp", "spike"):
        with lib.check(f"{name}: no more than one replica over what it needs"):
            for seed in ("1", "2", "3"):
                got = simulate(os.path.join(LOADS, name + ".csv"), "--seed", seed, *options)
                assert got["most"] <= got["needed"] + 1, (seed, got)
                assert got["most"] >= got["needed"] - 1, (seed, got)
    with lib.check("a constant load: one change in ten minutes at most"):
        record = os.path.join(folder, "constant")
        for seed in ("1", "2", "3"):
            got = simulate(os.path.join(LOADS, "constant.csv"), "--seed", seed, "--record", record,
                           *options)
            assert changes_after(record, 60) <= 1, (seed, got)
            assert got["needed"] <= got["most"] <= got["needed"] + 1, (seed, got)


def main():
    with tempfile.TemporaryDirectory() as folder:
        step = write(folder, "step.csv", "# a step\n0,0\n5,4\n20,40\n60,0\n120,0\n")
        settings = ["--set", "max_replicas=10", "--set", "downscale_delay_s=20",
                    "--set", "downscale_to_zero_delay_s=20"]
        with lib.check("a load from a file is answered"):
            got = simulate(step, *settings)
            assert got["requests"] > 1000, got
            assert 1 <= got["most"] <= 10 and got["decisions"] >= 2 * got["requests"], got
        with lib.check("equal seeds give equal runs"):
            again = simulate(step, *settings)
            lib.equal({**again, "took_s": 0}, {**got, "took_s": 0})
            assert simulate(step, "--seed", "2", *settings)["requests"] != got["requests"]
        record = os.path.join(folder, "record")
        with lib.check("what was decided is decided again"):
            simulate(step, "--record", record, *settings)
            done = autoscale("replay", record)
            lib.equal((done.returncode, done.stderr), (0, ""))
            assert done.stdout.endswith(" decisions, 0 of them come out otherwise\n"), done.stdout
        with lib.check("a decision that comes out otherwise is named by its line"):
            with open(record, encoding="utf-8") as file:
                lines = file.readlines()
            line = json.loads(lines[99])
            lines[99] = json.dumps({**line, "replicas": line["replicas"] + 1}) + "\n"
            done = autoscale("replay", write(folder, "changed", "".join(lines)))
            lib.equal(done.returncode, 1)
            assert ":100: comes out otherwise" in done.stderr, done.stderr
        with lib.check("a record that is none is refused"):
            for text in ("", "{}\n", "[]\n", lines[0] + "{\n", "".join(lines[1:3])):
                done = autoscale("replay", write(folder, "none", text))
                lib.equal(done.returncode, 1, text)
                assert "not what simulate --record writes" in done.stderr, done.stderr
        with lib.check("a bad trace is refused with its line"):
            for text, why in (("0,1\n", "line 1: a trace has two lines"),
                              ("0,1\nx\n", "line 2: expected SECONDS,REQUESTS_PER_SECOND"),
                              ("0,1\n5\n", "line 2: expected SECONDS,REQUESTS_PER_SECOND"),
                              ("5,1\n5,2\n", "line 2: its time is not after"),
                              ("0,1\n1,2e6\n", "line 2: more than a year, or than a million")):
                done = autoscale("simulate", "--trace", write(folder, "bad.csv", text))
                lib.equal(done.returncode, 1, text)
                assert why in done.stderr, done.stderr
        with lib.check("bad settings are refused, and the nearest name is told"):
            for setting, why in (("min_replica=1", "is min_replicas meant?"),
                                 ("min_replicas=x", "expected a whole number"),
                                 ("min_replicas", "expected NAME=VALUE"),
                                 ("min_replicas=9", "min_replicas is more than max_replicas")):
                done = autoscale("simulate", "--trace", step, "--set", setting)
                lib.equal(done.returncode, 2, setting)
                assert why in done.stderr, done.stderr
        check_loads(folder)
    lib.finish()


if __name__ == "__main__":
    main()
