/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawner.h - the process that forks others. It is exec'ed before anything else runs, has one
 * thread and next to no memory, so that a fork of it costs a tenth of a millisecond.
 *
 *     main --(socket)--> spawner --fork--> node    --(socket of its own)--> spawner
 *                                `--fork--> replica
 *
 * Lifelines: the spawner ends when main's socket closes; every child holds the reading end of a
 * pipe whose writing end only the spawner has, and ends when that closes. A child that a node asked
 * for is killed when that node ends. So no process outlives main, however it died.
 *
 * Threading: sl_spawner_* of one client on one thread.
 */
#ifndef SL_RUNTIME_SPAWNER_H
#define SL_RUNTIME_SPAWNER_H

#include "runtime/base.h"

struct sl_report_source;

#define SL_SPAWN_TEXT_MAX 3072 /* Bytes of a child's argument text. */
#define SL_SPAWN_FDS_MAX  6

struct sl_child;

/* What a forked child runs. It never returns: its result is the exit code. */
struct sl_child_kind {
    const char *name; /* "node": the process shows as sluice-node. */
    int (*run)(const struct sl_child *child);
    /* It runs code that is not ours: it cannot ask for children, what it prints is bounded
       (child_output.h), and its first thread is its own: run calls sl_child_guard when it has
       confined itself. */
    bool is_contained;
    /* Whose lines what it prints are: fills in what its text says of that. NULL: not known. */
    void (*source)(const char *text, struct sl_report_source *source);
};

struct sl_child {
    const char *text; /* The argument, as given by who asked. */
    int spawner_fd;   /* A client's socket of its own: nodes ask for replicas with it; -1: none. */
    int lifeline_fd;  /* 0: none. */
    int fds[SL_SPAWN_FDS_MAX];
    uint32_t fds_count;
    uint32_t shown_count; /* The last so many of these main was shown as well. */
};

/*
 * Start the thread that ends this process when its lifeline closes. With `look` it is called on
 * that thread as often as it says: its result is after how many milliseconds it wants to be again.
 */
void sl_child_guard(const struct sl_child *child, uint32_t (*look)(void *arg), void *arg);

/* The spawner itself: serves until main's socket closes. Its exit code. */
int sl_spawner_main(int main_fd, const struct sl_child_kind *kinds, uint32_t kinds_count);

/* ---- for main ------------------------------------------------------------------------------ */
/* Exec PROGRAM "spawner" FD. *ret_fd is the client's socket, *ret_pid the process. A copy of
   keep_fd
   (-1: none; borrowed) is the spawner's and its children's but of contained ones. */
SL_MUST_CHECK enum sl_err sl_spawner_start(const char *program, int keep_fd, int *ret_fd,
                                           int *ret_pid);

/* ---- for any client ------------------------------------------------------------------------ */
struct sl_spawn {
    uint32_t kind; /* Index into kinds. */
    uint64_t tag;  /* Comes back with what happens to it. */
    const char *text;
    int fds[SL_SPAWN_FDS_MAX]; /* Passed on; still the caller's. */
    uint32_t fds_count;
    uint32_t shown_count; /* The last so many are shown to main, if it is another who asks. */
};
/* Ask for a child. SL_EUNAVAIL: the spawner is gone. SL_ETOOBIG: the text. */
SL_MUST_CHECK enum sl_err sl_spawner_ask(int fd, const struct sl_spawn *spawn);
/* Send a signal to a child of one's own, by tag. */
SL_MUST_CHECK enum sl_err sl_spawner_kill(int fd, uint64_t tag, int signal);

struct sl_spawn_event {
    enum { SL_SPAWN_STARTED, SL_SPAWN_EXITED, SL_SPAWN_FAILED, SL_SPAWN_SHOWN } what;
    uint64_t tag;
    uint64_t by;               /* SHOWN: the tag of the child of main's that asked for it. */
    int fds[SL_SPAWN_FDS_MAX]; /* SHOWN: copies of what it was given; the caller's now. */
    uint32_t fds_count;
    int pid;
    int exit_code; /* EXITED by itself. */
    int signal;    /* EXITED by a signal: its number; else 0. FAILED: errno in exit_code. */
};
/* The next event. SL_EBUSY: none now. SL_EUNAVAIL: the spawner is gone. */
SL_MUST_CHECK enum sl_err sl_spawner_event(int fd, struct sl_spawn_event *ret_event);

#endif
