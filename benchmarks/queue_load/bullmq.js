/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bullmq.js PORT SECONDS: the phases of load.c for BullMQ. Windows are filled by addBulk; its worker
 * is a process of its own, which tells this one how many jobs are completed.
 */
"use strict";
const { fork } = require("node:child_process");
const { Queue, Worker } = require("bullmq");

const [port, seconds, role] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
const payload = "x".repeat(200);
const options = { removeOnComplete: true, removeOnFail: true };
const IDLE_MS = 2;
const LATE = 4;
const CONCURRENCY = 100;

/* The same clock in each process of the machine. */
const now_us = () => Number(process.hrtime.bigint()) / 1e3;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const jobs = (count) =>
  Array.from({ length: count }, () => ({ name: "j", data: { sent: 0, payload }, opts: options }));

function work() {
  let completed = 0;
  let is_told = true;
  const tell = () => {
    process.send({ completed });
    completed = 0;
    is_told = true;
  };
  const pick = async (job) => {
    if (job.data.sent > 0) process.send({ picked: now_us() - job.data.sent });
  };
  const worker = new Worker("load", pick, { connection, concurrency: CONCURRENCY });
  worker.on("completed", () => {
    completed++;
    if (is_told) setImmediate(tell);
    is_told = false;
  });
  worker.waitUntilReady().then(() => process.send({ is_ready: true }));
}

function report(phase, count, took_us, samples) {
  const line = { phase, count, rate: (count / took_us) * 1e6 };
  if (samples) {
    samples.sort((a, b) => a - b);
    line.p50_us = samples[Math.floor(samples.length / 2)];
    line.p99_us = samples[Math.floor((samples.length * 99) / 100)];
  }
  console.log(JSON.stringify(line));
}

async function enqueue_alone(queue, share_us) {
  const samples = [];
  const start = now_us();
  while (now_us() - start < share_us) {
    const sent = now_us();
    await queue.add("j", { sent: 0, payload }, options);
    samples.push(now_us() - sent);
  }
  report("enqueue_1", samples.length, now_us() - start, samples);
}

async function enqueue(queue, window, share_us) {
  let count = 0;
  const start = now_us();
  for (; now_us() - start < share_us; count += window) await queue.addBulk(jobs(window));
  report(`enqueue_${window}`, count, now_us() - start);
}

async function pickup(queue, hear, share_us) {
  const samples = [];
  const start = now_us();
  while (now_us() - start < share_us) {
    await sleep(IDLE_MS);
    const picked = hear("picked");
    await queue.add("j", { sent: now_us(), payload }, options);
    samples.push(await picked);
  }
  report("pickup", samples.length, now_us() - start, samples);
}

async function flow(queue, hear, window, share_us) {
  let [put, done] = [0, 0];
  const start = now_us();
  for (let took = 0; took < share_us || (done < window && took < LATE * share_us); ) {
    const room = window - (put - done);
    if (room >= window / 4) {
      put += room;
      await queue.addBulk(jobs(room));
    } else {
      done += await hear("completed");
    }
    took = now_us() - start;
    done += hear.rest();
  }
  report(`e2e_${window}`, done, now_us() - start);
  while (done < put) done += (await hear("completed")) + hear.rest();
}

/* What the worker's process says: a count is summed up until it is heard. */
function listener(child) {
  let waiting = null;
  let completed = 0;
  child.on("message", (message) => {
    completed += message.completed ?? 0;
    if (waiting === null || message[waiting.key] === undefined) return;
    const { resolve, key } = waiting;
    waiting = null;
    if (key === "completed") completed -= message.completed;
    resolve(message[key]);
  });
  const hear = (key) => {
    const said = new Promise((resolve) => {
      waiting = { key, resolve };
    });
    if (key === "completed" && completed > 0) {
      waiting.resolve(hear.rest());
      waiting = null;
    }
    return said;
  };
  hear.rest = () => {
    const count = completed;
    completed = 0;
    return count;
  };
  return hear;
}

async function main() {
  const queue = new Queue("load", { connection });
  await queue.waitUntilReady();
  const share_us = seconds * 1e6;
  await enqueue_alone(queue, 0.15 * share_us);
  await queue.obliterate({ force: true });
  const child = fork(__filename, [String(port), String(seconds), "worker"]);
  const hear = listener(child);
  await hear("is_ready");
  await pickup(queue, hear, 0.15 * share_us);
  await sleep(100);
  hear.rest();
  await flow(queue, hear, 64, 0.2 * share_us);
  await flow(queue, hear, 1024, 0.2 * share_us);
  child.kill();
  for (const window of [64, 1024]) {
    await enqueue(queue, window, 0.15 * share_us);
    await queue.obliterate({ force: true });
  }
  process.exit(0);
}

if (role === "worker") work();
else main();
