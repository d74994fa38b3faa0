/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_confine.h - what a replica is left with, from what the operator allows and whose it is.
 * Replicas go in by this alone, and so does the probe of the isolation's proof: what one of them
 * could do the other can.
 *
 * Threading: once, while the process has one thread. Nothing of it can be undone.
 */
#ifndef SL_EXTRACTORS_REPLICA_CONFINE_H
#define SL_EXTRACTORS_REPLICA_CONFINE_H

#include "extractors/replica_settings.h"

struct sl_replica_place { /* Strings are borrowed. */
    const char *plugin;   /* Its file, or NULL. */
    const char *blobs;    /* Of the items' inputs; NULL: none. */
    uint64_t tenant;      /* 0: it works for several. */
    bool has_objects;     /* It shares objects with others of its tenant. */
};

/* Watch its memory, and go in unless the settings leave replicas open. What is in force, as
 * sl_sandbox_enter says. */
uint64_t sl_replica_confine(const struct sl_replica_settings *settings,
                            const struct sl_replica_place *place);

#endif
