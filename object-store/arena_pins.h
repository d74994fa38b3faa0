/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena_pins.h - a reader's pins: the file that it writes and the store reads (arena_index.h has
 * the other half).
 */
#ifndef SL_OBJECT_STORE_ARENA_PINS_H
#define SL_OBJECT_STORE_ARENA_PINS_H

#include "object-store/arena_index.h"

struct sl_object_arena_pins {
    _Atomic uint32_t used;    /* Slots below it may be taken. */
    _Atomic uint32_t revoked; /* By the store: it looks at these pins no more. */
    uint32_t reserved[14];
    _Atomic uint32_t touched[SL_ARENA_TOUCHED]; /* Entries it asked for lately, plus 1: a hint. */
    _Atomic uint64_t slots[];                   /* 0, or sl_object_arena_pin_word. */
};
static_assert(sizeof(struct sl_object_arena_pins) + 248 * sizeof(uint64_t) == 4096,
              "248 fit in a page");

#define SL_ARENA_PIN_ENTRY_BITS 24
static_assert(SL_ARENA_ENTRIES_MAX < 1u << SL_ARENA_PIN_ENTRY_BITS, "an entry fits in a pin");

/* Who pins: the entry and the low 40 bits of its object's birth. Never 0. */
static inline uint64_t
sl_object_arena_pin_word(uint32_t entry, uint64_t birth)
{
    return birth << SL_ARENA_PIN_ENTRY_BITS | (entry + 1);
}

#endif
