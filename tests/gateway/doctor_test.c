/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/doctor.h"
#include "gateway/version.h"
#include "runtime/alloc.h"

/* A machine on which nothing is to be changed. */
static struct sl_doctor_facts
fit(void)
{
    return (struct sl_doctor_facts){
        .kernel = "Linux 6.1.0",
        .kernel_major = 6,
        .kernel_minor = 1,
        .cgroups = 2,
        .cpus = 4,
        .has_avx2 = true,
        .memory_bytes = 8 * SL_GIB,
        .memory_free_bytes = 4 * SL_GIB,
        .files_soft = 1024,
        .files_hard = UINT64_MAX,
        .processes_max = UINT64_MAX,
        .data = "/data",
        .filesystem = "ext4",
        .disk_bytes = 100 * SL_GIB,
        .disk_free_bytes = 50 * SL_GIB,
        .sync_p50_ns = SL_MILLI_NS,
        .sync_p99_ns = 2 * SL_MILLI_NS,
        .format = 1,
        .format_known = 1,
        .http = {.address = "127.0.0.1:1"},
        .dashboard = {.address = "127.0.0.1:2"},
        .libraries = {{"a", "1.2.3", "1.2.3"}, {"b", "4", "4"}, {"c", "5", "5"}},
        .wall_ms = UINT64_C(1800000000000),
        .is_synchronized = true,
        .clock_source = "tsc",
        .clock_read_ns = 30,
    };
}

static struct sl_doctor_finding
judge(const struct sl_doctor_facts *x, enum sl_doctor_check check)
{
    static struct sl_doctor_finding all[SL_DOCTOR_CHECKS];
    sl_doctor_judge(x, all);
    for (unsigned i = 0; i < SL_DOCTOR_CHECKS; i++) {
        cr_assert(i == check || (all[i].state == SL_DOCTOR_OK && all[i].advice[0] == '\0'),
                  "%s: %s", all[i].check, all[i].advice);
        cr_assert_neq(all[i].found[0], '\0', "%s", all[i].check);
    }
    return all[check];
}

Test(doctor, finds_nothing_to_change_on_a_fit_machine)
{
    struct sl_doctor_facts x = fit();
    for (unsigned i = 0; i < SL_DOCTOR_CHECKS; i++)
        cr_assert_eq(judge(&x, (enum sl_doctor_check)i).state, SL_DOCTOR_OK);
}

#define EXPECT(field, value, check_, state_)                                                       \
    do {                                                                                           \
        struct sl_doctor_facts x = fit();                                                          \
        x.field = value;                                                                           \
        struct sl_doctor_finding f = judge(&x, SL_DOCTOR_CHECK_##check_);                          \
        cr_assert_eq(f.state, SL_DOCTOR_##state_, #field " = " #value ": %s", f.found);            \
        cr_assert_neq(f.advice[0], '\0', #field " = " #value ": nothing is advised");              \
    } while (0)

/* Each fault is found, by the check that is about it and by no other, and something is advised. */
Test(doctor, finds_each_fault_and_says_what_to_change)
{
    EXPECT(kernel_major, 5, kernel, WARN);
    EXPECT(kernel_minor, 0, kernel, WARN);
    EXPECT(sandbox, (uint64_t)EPERM << 32, sandbox, WARN);
    EXPECT(sandbox_error, EAGAIN, sandbox, FAIL);
    EXPECT(user_namespace, EPERM, sandbox, WARN);
    EXPECT(network_namespace, EPERM, sandbox, WARN);
    EXPECT(sealed_memory, ENOSYS, memory_files, FAIL);
    EXPECT(cgroups, 1, cgroups, WARN);
    EXPECT(cgroups, 0, cgroups, WARN);
    EXPECT(cpus, 1, cpus, WARN);
    EXPECT(has_avx2, false, cpus, WARN);
    EXPECT(cpu_quota_milli, 500, cpus, WARN);
    EXPECT(memory_free_bytes, 100 * SL_MIB, memory, WARN);
    EXPECT(files_hard, 4096, descriptors, WARN);
    EXPECT(files_hard, 256, descriptors, FAIL);
    EXPECT(processes_max, 100, processes, WARN);
    EXPECT(disk_free_bytes, SL_GIB, disk_space, WARN);
    EXPECT(disk_free_bytes, SL_MIB, disk_space, FAIL);
    EXPECT(sync_p50_ns, 20 * SL_MILLI_NS, disk_sync, WARN);
    EXPECT(sync_p50_ns, 900, disk_sync, WARN);
    EXPECT(format, 2, data_format, FAIL);
    EXPECT(format, -2, data_format, FAIL);
    EXPECT(http.error, EADDRINUSE, http, WARN);
    EXPECT(http.error, EACCES, http, FAIL);
    EXPECT(dashboard.error, EADDRNOTAVAIL, dashboard, FAIL);
    EXPECT(libraries[0].built[0], '2', libraries, WARN);
    EXPECT(wall_ms, 1000, clock, FAIL);
    EXPECT(is_synchronized, false, clock, WARN);
    EXPECT(clock_read_ns, 5000, clock, WARN);
}

Test(doctor, says_which_file_systems_forget_and_which_are_elsewhere)
{
    struct sl_doctor_facts x = fit();
    (void)snprintf(x.filesystem, sizeof(x.filesystem), "tmpfs");
    cr_assert_eq(judge(&x, SL_DOCTOR_CHECK_directory).state, SL_DOCTOR_FAIL);
    (void)snprintf(x.filesystem, sizeof(x.filesystem), "nfs");
    cr_assert_eq(judge(&x, SL_DOCTOR_CHECK_directory).state, SL_DOCTOR_WARN);
}

Test(doctor, measures_nothing_where_nothing_can_be_written)
{
    static struct sl_doctor_finding all[SL_DOCTOR_CHECKS];
    struct sl_doctor_facts x = fit();
    x.data_error = EACCES;
    sl_doctor_judge(&x, all);
    cr_assert_eq(all[SL_DOCTOR_CHECK_directory].state, SL_DOCTOR_FAIL);
    cr_assert_str_eq(all[SL_DOCTOR_CHECK_disk_sync].found, "not measured");
    cr_assert_eq(all[SL_DOCTOR_CHECK_disk_space].state, SL_DOCTOR_OK);
}

/* A port that is taken, by whoever; owned. */
static char *
take_port(int *ret_fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    *ret_fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(*ret_fd, (struct sockaddr *)&at, size), 0);
    cr_assert_eq(listen(*ret_fd, 1), 0);
    cr_assert_eq(getsockname(*ret_fd, (struct sockaddr *)&at, &size), 0);
    return sl_format("127.0.0.1:%u", ntohs(at.sin_port));
}

Test(doctor, looks_at_this_machine_and_leaves_nothing_behind)
{
    char directory[] = "/tmp/sluice-doctor-XXXXXX";
    cr_assert_not_null(mkdtemp(directory));
    char *data = sl_format("%s/data", directory), *format = sl_format("%s/format", directory);
    struct sl_doctor_facts x;
    int fd;
    char *address = take_port(&fd);
    sl_doctor_look(
        &(struct sl_doctor_places){.data = data, .http = address, .dashboard = "nonsense"}, &x);
    cr_assert(x.is_data_absent);
    cr_assert_eq(x.data_error, 0);
    cr_assert_gt(x.sync_p50_ns, 0);
    cr_assert_geq(x.sync_p99_ns, x.sync_p50_ns);
    cr_assert_gt(x.disk_bytes, 0);
    cr_assert_eq(x.http.error, EADDRINUSE);
    cr_assert_eq(x.dashboard.error, EINVAL);
    cr_assert_eq(x.format, -1);
    cr_assert_eq(x.format_known, SL_DATA_FORMAT);
    cr_assert_gt(x.kernel_major, 0);
    cr_assert_gt(x.cpus, 0);
    cr_assert_gt(x.memory_bytes, x.memory_free_bytes);
    for (unsigned i = 0; i < SL_DOCTOR_LIBRARIES; i++)
        cr_assert_str_eq(x.libraries[i].built, x.libraries[i].found, "%s", x.libraries[i].name);
    close(fd);
    FILE *file = fopen(format, "w");
    cr_assert_gt(fprintf(file, "%d\n", SL_DATA_FORMAT + 1), 0);
    cr_assert_eq(fclose(file), 0);
    sl_doctor_look(
        &(struct sl_doctor_places){.data = directory, .http = "127.0.0.1:0", .dashboard = address},
        &x);
    cr_assert_not(x.is_data_absent);
    cr_assert_eq(x.http.error, 0);
    cr_assert_eq(x.format, SL_DATA_FORMAT + 1);
    cr_assert_eq(unlink(format), 0);
    cr_assert_eq(rmdir(directory), 0); /* Empty again. */
    sl_free(address);
    sl_free(format);
    sl_free(data);
}
