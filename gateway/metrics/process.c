/* SPDX-License-Identifier: Apache-2.0 */
/* What the system says of this process, under the names that Prometheus' own clients give it. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "gateway/metrics/write.h"

#define FDS "/proc/self/fd"

/* Linux 6.2 and later say the number as the directory's size; before, it has to be read. */
static double
open_fds(void)
{
    struct stat st;
    double count = 0;
    if (stat(FDS, &st) == 0 && st.st_size > 0)
        return (double)st.st_size;
    DIR *dir = opendir(FDS);
    if (dir == NULL)
        return 0;
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        count += e->d_name[0] != '.';
    (void)closedir(dir);
    return count - 1; /* Without the one that reads. */
}

/* Pages in all, and of them resident. False: not known. */
static bool
memory_of(uint64_t *ret_pages, uint64_t *ret_resident)
{
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL)
        return false;
    int found = fscanf(file, "%" SCNu64 " %" SCNu64, ret_pages, ret_resident);
    (void)fclose(file);
    return found == 2;
}

static bool
threads_of(uint64_t *ret_count)
{
    struct stat st;
    bool is_known = stat("/proc/self/task", &st) == 0 && st.st_nlink > 2;
    *ret_count = is_known ? st.st_nlink - 2 : 0;
    return is_known;
}

static double
cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static bool
disk_of(const struct sl_gateway *g, bool is_free, double *ret_bytes)
{
    struct statvfs fs;
    if (g->data_directory == NULL || statvfs(g->data_directory, &fs) != 0)
        return false;
    *ret_bytes = (double)(is_free ? fs.f_bavail : fs.f_blocks) * (double)fs.f_frsize;
    return true;
}

static bool
value_of(const struct sl_metrics *m, enum sl_metric_field field, double *ret_value)
{
    struct rlimit limit;
    uint64_t pages = 0, resident = 0, threads = 0;
    bool is_known = true;
    switch (field) {
    case FIELD_CPU:
        *ret_value = cpu_seconds();
        break;
    case FIELD_RESIDENT:
    case FIELD_VIRTUAL:
        is_known = memory_of(&pages, &resident);
        *ret_value =
            (double)(field == FIELD_VIRTUAL ? pages : resident) * (double)sysconf(_SC_PAGESIZE);
        break;
    case FIELD_OPEN_FDS:
        *ret_value = open_fds();
        break;
    case FIELD_MAX_FDS:
        is_known = getrlimit(RLIMIT_NOFILE, &limit) == 0;
        *ret_value = is_known ? (double)limit.rlim_cur : 0;
        break;
    case FIELD_THREADS:
        is_known = threads_of(&threads);
        *ret_value = (double)threads;
        break;
    case FIELD_DISK:
    case FIELD_DISK_FREE:
        return disk_of(m->source->gateway, field == FIELD_DISK_FREE, ret_value);
    default:
        *ret_value = (double)m->source->gateway->started_ms / 1000;
        break;
    }
    return is_known;
}

void
sl_metrics_process(struct sl_metrics *m, enum sl_metric_field field)
{
    double value;
    struct sl_sample sample = sl_metrics_sample(m);
    if (value_of(m, field, &value))
        sl_sample_write(&sample, value, m->out);
}
