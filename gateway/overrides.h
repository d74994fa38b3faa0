/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overrides.h - the file in which users of a platform say what is to be otherwise on theirs: which
 * extractors are disabled, how others scale, how large groups of workers are. Its keys are a table
 * (overrides.def); what it says is checked to the last value, and each fault is told with its line.
 *
 *     text --read--> overrides --merge (overrides/merge.h)--> the effective configuration
 *
 * Threading: plain data, of one owner. Pure.
 */
#ifndef SL_GATEWAY_OVERRIDES_H
#define SL_GATEWAY_OVERRIDES_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_OVERRIDES_MAX       1024u /* Values of a file. */
#define SL_OVERRIDE_ERRORS_MAX 100u  /* Of faults: the file is read no further then. */
#define SL_OVERRIDE_NOTES_MAX  1000u /* Of faults and remarks: those are kept. */
#define SL_OVERRIDE_NAME_MAX   64u   /* Bytes of an extractor's or a pool's name. */

enum sl_override_type {
    SL_OVERRIDE_BOOL,
    SL_OVERRIDE_INT,
    SL_OVERRIDE_NUMBER,
    SL_OVERRIDE_TEXT,
    SL_OVERRIDE_CPU,      /* Cores, as a quantity of Kubernetes (runtime/quantity.h). */
    SL_OVERRIDE_MEMORY,   /* Bytes, as one. */
    SL_OVERRIDE_NAMES,    /* A list of names: a value for each. */
    SL_OVERRIDE_SCALE,    /* What actors/scale_settings.h takes by the name of the last part. */
    SL_OVERRIDE_VARIABLE, /* Of an environment: any scalar, as a text. */
};

enum sl_override_effect { SL_OVERRIDE_NONE, SL_OVERRIDE_RESTART, SL_OVERRIDE_LIVE };

struct sl_override_row {
    const char *path; /* "cluster.cpu-workers.minReplicas"; '*': a name of the user's. */
    enum sl_override_type type;
    int64_t min, max;
    enum sl_override_effect effect;
    const char *target; /* The key that it sets; of NONE: why it sets none. */
    const char *doc;
};
/* The table. */
const struct sl_override_row *sl_override_rows(uint32_t *ret_count);

/* One value of the file. */
struct sl_override {
    const struct sl_override_row *row;
    uint32_t line;
    bool is_bad;    /* It does not fit another value, and is left out. */
    char *path;     /* As the file has it. */
    char *names[2]; /* What stands for the row's '*', in order; NULL: it has fewer. */
    char *text;     /* As written. */
    double number;  /* Of INT, NUMBER, CPU and MEMORY; of BOOL 0 or 1. */
};

struct sl_override_note {
    uint32_t line;
    bool is_error; /* Else what is accepted, but has no effect. */
    char *text;    /* "PATH: what is wrong, and what to do". */
};

struct sl_overrides {
    struct sl_override *items;
    uint32_t count, capacity;
    struct sl_override_note *notes;
    uint32_t notes_count, notes_capacity;
    uint32_t errors; /* Of the file: 0: all of it is good. */
    bool is_cut;     /* There were more notes than are kept. */
    bool is_full;    /* There were more values than are taken. */
};

/*
 * Read a file's text. The result is the caller's to destroy, whatever is in the file: with
 * `errors`, what is good of it is there all the same, but for files that are no YAML.
 */
struct sl_overrides *sl_overrides_read(struct sl_slice text);
void sl_overrides_destroy(struct sl_overrides **overrides); /* NULL inside is fine. */

/* One more fault, or remark, found by who reads it further. Sorted by line with the others. */
void sl_overrides_note(struct sl_overrides *o, uint32_t line, bool is_error, const char *format,
                       ...) SL_PRINTF(4, 5);
/* Append "NAME:LINE: text" lines, faults and, if wanted, remarks ("...: note: ..."). */
void sl_overrides_print(const struct sl_overrides *o, const char *name, bool has_remarks,
                        struct sl_buf *out);

/* Why a variable of an environment is not taken; NULL: it is. Static. */
const char *sl_variable_fault(const char *name, const char *text);

/* Append the table in Markdown, for the reference. */
void sl_overrides_reference(struct sl_buf *out);

#endif
