#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the API once more, with the head and the gateway as two processes."""
import os
import subprocess
import sys

TESTS = ("flow", "keys", "presigned", "upload", "scope")


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    failed = False
    for name in TESTS:
        done = subprocess.run([sys.executable, os.path.join(folder, f"{name}_test.py")],
                              env={**os.environ, "SLUICE_SPLIT": "1"}, check=False, timeout=500,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        sys.stdout.write(done.stdout)
        failed = failed or done.returncode != 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
