/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum sl_err
sl_replica_memory_read(struct sl_replica_memory *ret)
{
    char text[128];
    unsigned long long resident = 0, shared = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return SL_EUNAVAIL;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0)
        return SL_EUNAVAIL;
    text[size] = '\0';
    if (sscanf(text, "%*u %llu %llu", &resident, &shared) != 2)
        return SL_EUNAVAIL;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    ret->resident = resident * page;
    ret->private = resident > shared ? (resident - shared) * page : 0;
    return SL_OK;
}
