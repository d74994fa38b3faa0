/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.h - every table of the catalogue, its key and its value. Keys are made by sl_key: parts
 * joined by a NUL byte (parts hold none), so that a prefix of whole parts is a prefix of bytes.
 *
 * System scope (0) holds what is looked up before a tenant is known; all else lies in the tenant's.
 * Numbers are on disk: never reuse one.
 */
#ifndef SL_ACTORS_ROWS_H
#define SL_ACTORS_ROWS_H

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/catalogue.h"

enum sl_table {
    /* system scope */
    SL_TABLE_SYSTEM = 1,  /* name -> counter: "boot", "next_scope" */
    SL_TABLE_TENANT = 2,  /* tenant_id -> JSON; "scope" is its scope's number */
    SL_TABLE_KEY = 3,     /* SHA-256 of the secret (32 bytes) -> JSON of the API key */
    SL_TABLE_GARBAGE = 4, /* scope (8 bytes), table, prefix of keys -> task id or nothing */
    SL_TABLE_OPENING = 5, /* scope (8 bytes, big endian), job id (16 bytes) -> JSON: a tier whose
                             tasks are yet to be made (chain.h) */
    SL_TABLE_DUE = 6,     /* webhook, 16 hex digits of a time, delivery -> scope (8 bytes) */

    SL_TABLE_PASSAGE = 7, /* tenant_id -> JSON: onboarding or offboarding under way (passage.h) */

    /* a tenant's scope: what actors/ knows */
    SL_TABLE_COUNT = 16,      /* "records", collection | "sources", bucket | "bytes", bucket |
                                 "job-records", job | "events" ->
                                 counter (i64, sl_txn_add) */
    SL_TABLE_SOURCE = 17,     /* bucket, object -> sl_source (source.h) */
    SL_TABLE_EXTRACTION = 18, /* collection -> sl_extraction as JSON (extraction.h) */
    SL_TABLE_RECORD = 19,     /* collection, record id -> sl_record (record.h) */
    SL_TABLE_VECTOR = 20,     /* collection, index, record id -> float32[] little endian */
    SL_TABLE_JOB = 21,        /* job id (16 bytes) -> sl_job_row (job_row.h) */
    SL_TABLE_FAILURE = 22,    /* job id as UUID text, task id as 16 hex digits -> JSON */
    SL_TABLE_MODEL = 23,      /* namespace, model_id -> JSON */
    SL_TABLE_TIER = 24,       /* batch, run, collection, record id -> nothing: what a tier wrote */
    SL_TABLE_JOB_LOG = 26,    /* job id as UUID text -> lines (job_log.h) */
    SL_TABLE_WEBHOOK = 27,    /* webhook -> JSON */
    SL_TABLE_DELIVERY = 28,   /* webhook, delivery -> sl_delivery (delivery.h) */
    SL_TABLE_PART = 29,       /* job id as UUID text, task id as 16 hex digits -> records so far
                                 (u64), where the plugin goes on (settle.h) */
    SL_TABLE_LEDGER = 30,     /* what was used: ledger.h */
    SL_TABLE_EVENT = 31,      /* what happened, of the tenant; the system's: of all (journal.h) */

    /* a tenant's scope: what only gateway/ knows; values are JSON */
    SL_TABLE_USER = 64,       /* email */
    SL_TABLE_USER_KEY = 65,   /* email, key name -> SHA-256 of the secret */
    SL_TABLE_NAMESPACE = 66,  /* namespace */
    SL_TABLE_NAME = 67,       /* kind, parent id ("" for none), name -> id: unique names */
    SL_TABLE_BUCKET = 68,     /* namespace, bucket */
    SL_TABLE_UNIQUE = 69,     /* bucket, 64 hex digits of the unique key's SHA-256 -> object id */
    SL_TABLE_COLLECTION = 70, /* namespace, collection */
    SL_TABLE_BATCH = 71,      /* bucket, batch */
    SL_TABLE_BATCH_OBJECTS = 72, /* bucket, batch -> object ids, one a line */
    SL_TABLE_RETRIEVER = 73,     /* namespace, retriever */
    SL_TABLE_EXECUTION = 74,     /* retriever, execution */
    SL_TABLE_IDEMPOTENT = 75,    /* method, path, key -> stored reply */
    SL_TABLE_DOCUMENT = 76,      /* record id -> collection: GET /v1/documents/{id}. Written with
                                    the record by the dispatcher. */
    SL_TABLE_BATCH_OF = 77,      /* batch id -> bucket id */
    SL_TABLE_UPLOAD = 84,        /* bucket, upload */
    SL_TABLE_AUDIT = 87,         /* events and settings of the audit log (gateway/audit.h) */
    SL_TABLE_HELD = 86,          /* queue -> what the operator has set about it (own_hold.c) */
    SL_TABLE_HEAD = 88,          /* "tenant" -> whose scope this is (onboard.c); home.h */
    SL_TABLE_CONTENT = 85,       /* bucket, 64 hex digits of a content's SHA-256 -> object id */
};

/* Ids of the projections that events are handed to. In the log: never reuse one. */
#define SL_PROJECTION_QUEUE 1

#define SL_SCOPE_SYSTEM     ((struct sl_scope){0})

/* Join `count` parts (C strings) into `out`, cleared first. The last sl_key of a buffer is
 * borrowed. */
struct sl_slice sl_key(struct sl_buf *out, uint32_t count, ...);
/* The same with a trailing NUL: the prefix of all keys that continue these parts. */
struct sl_slice sl_key_prefix(struct sl_buf *out, uint32_t count, ...);
/* Part `index` of a key; empty when there is none. Borrowed from the key. */
struct sl_slice sl_key_part(struct sl_slice key, uint32_t index);

#endif
