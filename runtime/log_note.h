/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_note.h - up to where the log was durable, beside the log. For the log's files.
 *
 * A record that is bad could be the end of a sync that never returned, unless something proves that
 * it had. Records of later syncs do, but the last one has none behind it: its proof is this note.
 * It is written after every sync, and synced itself seldom (sl_log_settle), for a sync each would
 * double what a lone commit waits. So a process may die at any time; a power cut can take the proof
 * of what was synced in the last second, but no more than that.
 *
 * Two slots, written in turn, each in a sector of its own: magic u32, crc32c u32, position u64.
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_LOG_NOTE_H
#define SL_RUNTIME_LOG_NOTE_H

#include "runtime/file.h"

#define SL_LOG_NOTE_NAME "durable"

struct sl_log_note {
    struct sl_file *file;
    uint64_t position; /* 0: nothing is known. */
    bool is_dirty;     /* Written and not synced. */
    uint32_t slot;     /* Of the next write. */
};

/* Open the note, or make it, and read it. A slot that is damaged counts as none. SL_EIO. */
SL_MUST_CHECK enum sl_err sl_log_note_open(const struct sl_disk *disk,
                                           struct sl_log_note *ret_note);
void sl_log_note_close(const struct sl_disk *disk, struct sl_log_note *note);

SL_MUST_CHECK enum sl_err sl_log_note_write(const struct sl_disk *disk, struct sl_log_note *note,
                                            uint64_t position);
SL_MUST_CHECK enum sl_err sl_log_note_sync(const struct sl_disk *disk, struct sl_log_note *note);

#endif
