/* SPDX-License-Identifier: Apache-2.0 */
/* Planted: two threads that count in one unguarded number. */
#include <pthread.h>
#include <stddef.h>

static long count;

static void *
add(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10000; i++)
        count++;
    return NULL;
}

int
main(void)
{
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, add, NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return count == 0;
}
