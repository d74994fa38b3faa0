# SPDX-License-Identifier: Apache-2.0
"""The pipeline that sluice is measured beside, as one would build it: a Celery application whose
workers embed texts with sentence-transformers and keep vectors in Redis. PEER_* configure it."""
import os

from celery import Celery
from celery.signals import worker_process_init

app = Celery("pipeline_peer", broker=os.environ["PEER_REDIS"])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)
state = {}


@worker_process_init.connect
def load(**_):
    import redis
    import torch
    from sentence_transformers import SentenceTransformer
    torch.set_num_threads(int(os.environ["PEER_THREADS"]))
    state["model"] = SentenceTransformer(os.environ["PEER_MODEL"], device="cpu")
    state["redis"] = redis.Redis.from_url(os.environ["PEER_REDIS"])
    state["model"].encode(["warm"])
    state["redis"].incr("workers")


@app.task
def embed(ids, texts):
    vectors = state["model"].encode(texts, batch_size=len(texts), normalize_embeddings=True,
                                    convert_to_numpy=True, show_progress_bar=False)
    pipe = state["redis"].pipeline(transaction=False)
    for name, text, vector in zip(ids, texts, vectors):
        pipe.hset(f"doc:{name}", mapping={"text": text, "vector": vector.tobytes()})
    pipe.incrby("done", len(ids))
    pipe.execute()
