/* SPDX-License-Identifier: Apache-2.0 */
/* Planted: an actor that asks the clock, through a table of handlers and a static function. */
#include <time.h>

static long
look(void)
{
    return (long)time(NULL);
}

struct handler {
    int id;
    long (*call)(void);
};
static const struct handler table[] = {{1, look}};

long handle(unsigned at);
long
handle(unsigned at)
{
    return table[at % 1].call();
}
