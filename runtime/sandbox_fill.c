/* SPDX-License-Identifier: Apache-2.0 */
/* How many threads a process may have is only known by starting them. */
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "runtime/sandbox.h"

static void *
sleep_for_ever(void *arg)
{
    for (;;)
        (void)pause();
    return arg;
}

int
sl_sandbox_fill_threads(uint32_t threads_max, uint32_t *ret_count)
{
    pthread_attr_t small;
    pthread_t thread;
    int error = pthread_attr_init(&small);
    *ret_count = 0;
    if (error != 0)
        return error;
    (void)pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
    (void)pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    while (error == 0 && *ret_count < threads_max) {
        error = pthread_create(&thread, &small, sleep_for_ever, NULL);
        *ret_count += error == 0;
    }
    (void)pthread_attr_destroy(&small);
    return error;
}
