#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""celery_load.py PORT SECONDS: the phases of load.c for Celery on the Redis at a port.

Its client sends one task at a time, so that a window is filled one by one and enqueueing has no
windows. Tasks are acknowledged after they ran (acks_late), as those of every other peer are; the
worker is prefork with a process for each core.
"""
import json
import os
import signal
import subprocess
import sys
import time

import celery
import redis

PORT = int(os.environ.get("PEER_PORT") or sys.argv[1])
PAYLOAD = "x" * 200
IDLE_S = 0.002
LATE = 4
START_S = 30
LOOK_S = 0.005  # Between two looks at how many tasks are unfinished.

app = celery.Celery("celery_load", broker=f"redis://127.0.0.1:{PORT}/0")
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=32,
                worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
store = redis.Redis(port=PORT)


@app.task(name="load")
def work(payload, sent):
    if sent:
        store.rpush("picked", time.monotonic() - sent)


def report(phase, count, took, samples=()):
    line = {"phase": phase, "count": count, "rate": count / took}
    if samples:
        samples = sorted(samples)
        line["p50_us"] = samples[len(samples) // 2] * 1e6
        line["p99_us"] = samples[len(samples) * 99 // 100] * 1e6
    print(json.dumps(line), flush=True)


def unfinished():
    pipe = store.pipeline()
    pipe.llen("celery")
    pipe.hlen("unacked")
    return sum(pipe.execute())


def enqueue_alone(share):
    samples, start = [], time.monotonic()
    while time.monotonic() - start < share:
        sent = time.monotonic()
        work.delay(PAYLOAD, 0)
        samples.append(time.monotonic() - sent)
    report("enqueue_1", len(samples), time.monotonic() - start, samples)


def pick():
    work.delay(PAYLOAD, time.monotonic())
    picked = store.blpop("picked", timeout=START_S)
    if picked is None:
        sys.exit("celery: its worker does not start")
    return float(picked[1])


def pickup(share):
    samples, start = [], time.monotonic()
    while time.monotonic() - start < share:
        time.sleep(IDLE_S)
        samples.append(pick())
    report("pickup", len(samples), time.monotonic() - start, samples)


def flow(window, share):
    put = done = 0
    start = time.monotonic()
    took = 0
    while took < share or (done < window and took < LATE * share):
        for _ in range(window - (put - done)):
            work.delay(PAYLOAD, 0)
            put += 1
            if time.monotonic() - start > share:
                break
        done = put - unfinished()
        if put - done == window:
            time.sleep(LOOK_S)
        took = time.monotonic() - start
    report(f"e2e_{window}", done, took)
    while unfinished() > 0:
        time.sleep(LOOK_S)


def main():
    seconds = float(sys.argv[2])
    enqueue_alone(0.15 * seconds)
    store.flushall()
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "celery_load", "worker", "-l", "ERROR", "-P",
         "prefork", "-c", str(os.cpu_count()), "--without-gossip", "--without-mingle",
         "--without-heartbeat"],
        env={**os.environ, "PEER_PORT": str(PORT), "PYTHONPATH": os.path.dirname(__file__)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        pick()
        pickup(0.15 * seconds)
        flow(64, 0.2 * seconds)
        flow(1024, 0.2 * seconds)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


if __name__ == "__main__":
    main()
