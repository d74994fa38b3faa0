/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation/attack.h - the attacks of isolation.def that a process makes on another. They run in
 * the probe (isolation/probe.h), which is confined as a replica is, and in tests, which are not.
 * Nothing is harmed: a signal is 0, what could be written is not.
 *
 * Threading: one at a time; the attacker has no other threads, so that it can give up what it took.
 */
#ifndef SL_GATEWAY_ISOLATION_ATTACK_H
#define SL_GATEWAY_ISOLATION_ATTACK_H

#include "gateway/isolation.h"

struct sl_attack_target { /* Strings and the document are borrowed. */
    int pid;              /* Of the tenant's process. */
    uint64_t address;     /* Of a page of its memory. */
    int memory_fd;        /* A memory file there. */
    uint64_t user;        /* Who it is: sl_attack_user. */
    uint32_t uid;
    int server_pid;
    const char *socket;                /* Of the head; NULL: none. */
    const char *api;                   /* Where it listens: "127.0.0.1:8080"; NULL: unknown. */
    const char *data;                  /* The data directory. */
    struct sl_json paths;              /* What lies there: an array of absolute paths. */
    uint64_t memory_bytes, file_bytes; /* What a replica may have; 0 of memory: any. */
    /* A socket of the attacker's to a store of objects, and whose it has one of; -1: none. */
    int object_fd;
    uint64_t object_tenant;
    int own_fd; /* A socket that the attacker has of right. */
};

#define SL_ATTACK_OBJECT "isolation-probe" /* The name of that object. */

/* Who this process is to the kernel: the uid, in the user namespace. */
uint64_t sl_attack_user(void);
void sl_attack_run(enum sl_attack attack, const struct sl_attack_target *target,
                   struct sl_attack_result *ret_result);

#endif
