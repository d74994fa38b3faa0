/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_fault.h - what fails in a simulated run, and when: a sorted list that is made before the
 * run from its seed alone. So a run can be repeated with some of its faults left out, which is how
 * a failing one is shrunk. Each kind has its own stream of random numbers: to leave out one kind
 * changes nothing about the others. Of all kinds a seed takes some; of named ones all. What a fault
 * strikes is drawn when it strikes, from `draw`. Threading: one owner.
 */
#ifndef SL_ACTORS_SIMULATE_FAULT_H
#define SL_ACTORS_SIMULATE_FAULT_H

#include "runtime/base.h"

enum sl_fault_number {
#define FAULT(NAME, name, rate, what) SL_FAULT_NUMBER_##NAME,
#include "actors/simulate_fault.def"
#undef FAULT
    SL_FAULTS_COUNT
};

/* Sets of them. */
enum sl_simulate_fault {
#define FAULT(NAME, name, rate, what) SL_FAULT_##NAME = 1 << SL_FAULT_NUMBER_##NAME,
#include "actors/simulate_fault.def"
#undef FAULT
    SL_FAULT_ALL = (1 << SL_FAULTS_COUNT) - 1
};

struct sl_fault_kind {
    const char *name, *what;
    uint32_t per_hour; /* By default. */
};
extern const struct sl_fault_kind sl_fault_kinds[SL_FAULTS_COUNT];

/* "all", "none" or names between commas; false: a name is not known. */
bool sl_fault_parse(const char *text, uint32_t *ret_faults);

struct sl_fault_event {
    uint64_t at_ns, draw;
    enum sl_fault_number number;
};

struct sl_fault_plan {
    struct sl_fault_event *events; /* By time; an event's place is its name. */
    uint32_t count;
};

void sl_fault_plan_init(struct sl_fault_plan *plan, uint64_t seed, uint32_t faults,
                        uint64_t until_ns);
void sl_fault_plan_deinit(struct sl_fault_plan *plan);

#endif
