/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pull.h - one sealed file on its way to this node, in chunks from several holders at once.
 *
 *   LISTING --a list that the digest proves--> STOCKING --what is here already--> PULLING
 *      |                                                                            |
 *      |  no holder helped for `patience_ns`, or the disk failed       all verified |
 *      `------------------------> FAILED <-----------------------------.         DONE
 *
 * A chunk is WANTED, ASKED of one holder, COME (it is being checked and written elsewhere) or
 * there. One that is asked for and does not come in time, or whose holder is lost or sent a bad
 * one, is wanted again. A holder that was silent gets nothing for a while; one that sent what is
 * not what the digest says gets nothing any more. Holders that are fetching the file themselves
 * have some of it: `have` tells what, with each answer.
 *
 * Threading: plain state, one owner. It reads no clock, sends nothing and touches no file.
 */
#ifndef SL_ACTORS_PULL_H
#define SL_ACTORS_PULL_H

#include "object-store/images.h"

#define SL_PULL_HOLDERS_MAX 16
#define SL_PULL_LIST        UINT32_MAX /* As an index: the list of chunks. */

enum sl_pull_state {
    SL_PULL_LISTING,
    SL_PULL_STOCKING,
    SL_PULL_PULLING,
    SL_PULL_DONE,
    SL_PULL_FAILED
};

struct sl_pull_options {
    struct sl_image_name name;
    uint32_t holder_max;  /* Chunks asked of one holder at a time. 0: 8. */
    uint32_t overall_max; /* Asked or come, of all. 0: 16. */
    uint64_t answer_ns;   /* A holder that does not answer for so long is slow. 0: 10 s. */
    uint64_t pause_ns;    /* What it then has for a rest. 0: 5 s. */
    uint64_t patience_ns; /* Without any progress. 0: 120 s. */
    uint32_t first;       /* Where to begin, modulo the count: so that nodes that fetch at the same
                             time have different chunks for each other. */
};

struct sl_pull;

struct sl_pull_ask {
    uint32_t node;
    uint32_t index; /* Or SL_PULL_LIST. */
};

struct sl_pull *sl_pull_create(const struct sl_pull_options *options, uint64_t now_ns);
void sl_pull_destroy(struct sl_pull **pull); /* NULL inside is fine. */

enum sl_pull_state sl_pull_state(const struct sl_pull *pull);
/* FAILED: the error, and a sentence that is the pull's. */
enum sl_err sl_pull_error(const struct sl_pull *pull, const char **ret_why);
const struct sl_chunks *sl_pull_chunks(const struct sl_pull *pull); /* Empty while LISTING. */
uint32_t sl_pull_left(const struct sl_pull *pull);                  /* Chunks not verified. */
bool sl_pull_has(const struct sl_pull *pull, uint32_t index);       /* Verified. */
/* A bit for each chunk, of those that are verified: for others to know what we have. */
void sl_pull_have(const struct sl_pull *pull, struct sl_buf *out);

/* ---- holders --------------------------------------------------------------------------------- */

/* SL_EFULL: as many as there may be. SL_EDENIED: it sent bad bytes. One that is known: SL_OK. */
enum sl_err sl_pull_add(struct sl_pull *pull, uint32_t node);
void sl_pull_lose(struct sl_pull *pull, uint32_t node); /* It is gone. Unknown is fine. */
uint32_t sl_pull_holders(const struct sl_pull *pull);
/* Whether others would help: none is there, or all that are there have nothing for us. */
bool sl_pull_needs_holders(const struct sl_pull *pull, uint64_t now_ns);

/* ---- asking and hearing ---------------------------------------------------------------------- */

/* The next thing to ask for; it counts as asked. False: nothing now. */
bool sl_pull_next(struct sl_pull *pull, uint64_t now_ns, struct sl_pull_ask *ret_ask);

/* What a holder answered. `err` SL_OK: `bytes` are what was asked for. `have`: as sl_pull_have
 * writes it; empty: all. */
struct sl_pull_answer {
    uint32_t node, index;
    enum sl_err err;
    struct sl_slice bytes, have;
    uint64_t size_bytes; /* Of the whole file, with the list. */
};
/* A list was taken: state STOCKING, and sl_pull_stocked is to be called. */
void sl_pull_take_list(struct sl_pull *pull, uint64_t now_ns, const struct sl_pull_answer *answer);
/* True: check and write the bytes, then call sl_pull_wrote. False: nobody waits for them. */
bool sl_pull_take_chunk(struct sl_pull *pull, uint64_t now_ns, const struct sl_pull_answer *answer);

/* STOCKING is over: `has` has a byte for each chunk that is here from before. */
void sl_pull_stocked(struct sl_pull *pull, uint64_t now_ns, const struct sl_chunks *chunks,
                     const uint8_t *has);
/* SL_OK: it is there now. SL_ECORRUPT: it was not what it should be. Else the disk failed us. */
void sl_pull_wrote(struct sl_pull *pull, uint64_t now_ns, const struct sl_pull_ask *from,
                   enum sl_err err);
void sl_pull_fail(struct sl_pull *pull, enum sl_err err, const char *why);

/* ---- time ------------------------------------------------------------------------------------ */

void sl_pull_tick(struct sl_pull *pull, uint64_t now_ns); /* Take back what is overdue. */

struct sl_pull_counts {             /* Since it was created. */
    uint64_t taken_bytes;           /* Of chunks that were written. */
    uint32_t stocked;               /* Chunks that were here. */
    uint32_t ignored, bad, overdue; /* Answers, answers, questions. */
};
void sl_pull_counts(const struct sl_pull *pull, struct sl_pull_counts *ret_counts);

#endif
