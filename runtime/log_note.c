/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_note.h"

#include <endian.h>

#include "runtime/hash.h"

#define MAGIC     0x65746f6eu /* "note" */
#define SLOT_SIZE 16u
#define SLOTS     2u
#define SECTOR    512u

static void
encode(uint8_t *slot, uint64_t position)
{
    uint32_t magic = htole32(MAGIC);
    uint64_t number = htole64(position);
    memcpy(slot, &magic, sizeof(magic));
    memcpy(slot + 8, &number, sizeof(number));
    uint32_t crc = htole32(sl_crc32c(MAGIC, slot + 8, sizeof(number)));
    memcpy(slot + 4, &crc, sizeof(crc));
}

/* The position in a slot; 0: it has none that is whole. */
static uint64_t
decode(const uint8_t *slot)
{
    uint8_t again[SLOT_SIZE];
    uint64_t position;
    memcpy(&position, slot + 8, sizeof(position));
    position = le64toh(position);
    encode(again, position);
    return memcmp(slot, again, SLOT_SIZE) == 0 ? position : 0;
}

enum sl_err
sl_log_note_open(const struct sl_disk *disk, struct sl_log_note *ret_note)
{
    uint8_t bytes[SLOTS * SECTOR] = {0};
    size_t size = 0;
    struct sl_log_note note = {0};
    enum sl_err err = disk->open(disk->self, SL_LOG_NOTE_NAME, &note.file);
    if (err == SL_OK)
        err = disk->read(note.file, 0, bytes, sizeof(bytes), &size);
    /* All its bytes are there from the start: a full disk must not be what stops a write. */
    if (err == SL_OK && size < sizeof(bytes))
        err = disk->write(note.file, 0, bytes, sizeof(bytes));
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint64_t position = decode(bytes + (size_t)i * SECTOR);
        if (position <= note.position)
            continue;
        note.position = position;
        note.slot = (i + 1) % SLOTS; /* The newer one stays until another is written. */
    }
    if (err != SL_OK)
        sl_log_note_close(disk, &note);
    *ret_note = note;
    return err;
}

void
sl_log_note_close(const struct sl_disk *disk, struct sl_log_note *note)
{
    if (note->file != NULL)
        disk->close(&note->file);
    *note = (struct sl_log_note){0};
}

enum sl_err
sl_log_note_write(const struct sl_disk *disk, struct sl_log_note *note, uint64_t position)
{
    uint8_t slot[SLOT_SIZE];
    encode(slot, position);
    enum sl_err err = disk->write(note->file, (uint64_t)note->slot * SECTOR, slot, sizeof(slot));
    if (err != SL_OK)
        return err;
    note->position = position;
    note->slot = (note->slot + 1) % SLOTS;
    note->is_dirty = true;
    return SL_OK;
}

enum sl_err
sl_log_note_sync(const struct sl_disk *disk, struct sl_log_note *note)
{
    if (!note->is_dirty)
        return SL_OK;
    enum sl_err err = disk->sync(note->file);
    note->is_dirty = err != SL_OK;
    return err;
}
