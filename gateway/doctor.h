/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.h - whether a machine is fit for sluice: facts are looked up once (doctor_look.c), then
 * judged, by functions of the facts alone (doctor.c), each with what to change.
 *
 * Threading: plain functions; looking forks, and is for a process of one thread.
 */
#ifndef SL_GATEWAY_DOCTOR_H
#define SL_GATEWAY_DOCTOR_H

#include "runtime/libraries.h"

#define SL_DOCTOR_SYNCS     64u
#define SL_DOCTOR_LIBRARIES (SL_RUNTIME_LIBRARIES + 1)

struct sl_doctor_port {
    const char *address; /* As given. */
    int error;           /* errno of a bind; 0: it is free. */
};

/* Everything that is measured or asked of the system. Errors are errno; 0: it works. */
struct sl_doctor_facts {
    char kernel[64];
    unsigned kernel_major, kernel_minor;
    uint64_t sandbox; /* As sl_sandbox_enter tells it, of a child that went in. */
    int sandbox_error;
    int user_namespace, network_namespace, sealed_memory;
    unsigned cgroups; /* 1, 2, or 0: none. */
    uint32_t cpus;
    bool has_avx2;
    uint64_t cpu_quota_milli; /* Of the control group, in thousandths of a core; 0: none. */
    uint64_t memory_bytes, memory_free_bytes;
    uint64_t files_soft, files_hard, processes_max; /* UINT64_MAX: any number. */
    const char *data;
    int data_error;      /* Of making and writing a file there. */
    bool is_data_absent; /* Its parent was looked at instead. */
    char filesystem[16];
    uint64_t disk_bytes, disk_free_bytes;
    uint64_t sync_p50_ns, sync_p99_ns;
    int format, format_known; /* Of the data; -1: none there, -2: not to be read. */
    struct sl_doctor_port http, dashboard;
    struct sl_library libraries[SL_DOCTOR_LIBRARIES];
    uint64_t wall_ms;
    bool is_synchronized; /* The kernel's clock is disciplined, as by NTP. */
    char clock_source[32];
    uint64_t clock_read_ns; /* What reading it takes. */
};

enum sl_doctor_state { SL_DOCTOR_OK, SL_DOCTOR_WARN, SL_DOCTOR_FAIL };

struct sl_doctor_finding {
    const char *check, *about;
    enum sl_doctor_state state;
    char found[200];
    char advice[256]; /* "": nothing is to be changed. */
};

enum sl_doctor_check {
#define CHECK(name, about) SL_DOCTOR_CHECK_##name,
#include "gateway/doctor.def"
    SL_DOCTOR_CHECKS
};

const char *sl_doctor_state_name(enum sl_doctor_state state);
/* One finding for each check, in their order. */
void sl_doctor_judge(const struct sl_doctor_facts *facts,
                     struct sl_doctor_finding ret_findings[static SL_DOCTOR_CHECKS]);

struct sl_doctor_places {
    const char *data, *http, *dashboard; /* Borrowed. */
};
/* Takes about a second. Writes one file to the data directory, and removes it. */
void sl_doctor_look(const struct sl_doctor_places *places, struct sl_doctor_facts *ret_facts);

/* `sluice doctor`; argv[0] is the verb. 0: nothing failed; 1: something did; 2: bad arguments. */
int sl_doctor_main(int argc, char **argv);

#endif
