/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_entry.h - a line that is kept (report_ring.h): what it says, who wrote it, and whom and
 * what it is about. Also how one goes from a process to the head: a record, which begins with the
 * sizes and has the texts behind each other.
 *
 * Threading: plain functions.
 */
#ifndef SL_RUNTIME_REPORT_ENTRY_H
#define SL_RUNTIME_REPORT_ENTRY_H

#include "runtime/buf.h"
#include "runtime/report.h"

enum sl_report_field {
#define FIELD(name, size, key, shown) SL_REPORT_##name,
#include "runtime/report_field.def"
    SL_REPORT_FIELDS
};

struct sl_report_entry {
    uint64_t sequence; /* Of the ring's; 0: it is in none yet. */
    uint64_t at_ms;
    uint64_t scope; /* Of the tenant that it is about; 0: no known one, or texts[tenant]'s. */
    uint32_t pid;
    uint32_t missed; /* Lines that its process could not tell before this one. */
    uint8_t level;   /* enum sl_report_level */
    bool is_output;  /* A child printed it: `message` is its line, not looked at yet. */
    const char *texts[SL_REPORT_FIELDS]; /* NULL reads as "". */
};

#define SL_REPORT_RECORD_MAX 3072u

extern const char *const sl_report_level_names[]; /* As they stand in lines. */
/* Of a field in replies and queries. */
const char *sl_report_field_shown(enum sl_report_field field);

/* What is too long for a field is cut. Returns the size; a multiple of 8. */
size_t sl_report_entry_write(const struct sl_report_entry *entry,
                             uint8_t ret_record[SL_REPORT_RECORD_MAX]);
/* False: it is no record. The texts are borrowed from `record`, which is 8-aligned. */
bool sl_report_entry_read(struct sl_slice record, struct sl_report_entry *ret_entry);

/* Memory of texts that were found in others. */
struct sl_report_found {
    char texts[SL_REPORT_FIELDS][128];
    char message[2048];
};
/*
 * Find in the message what the line is about, where its writer did not say: key=value, or members
 * of an object of JSON; of a child's own line of report.h also level and event. Then blank what
 * looks like an API key.
 */
void sl_report_entry_complete(struct sl_report_entry *entry, struct sl_report_found *memory);

#endif
