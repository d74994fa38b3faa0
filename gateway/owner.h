/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner.h - who has a data directory open: a line in DIR/owner, for whoever finds it locked. The
 * lock is the store's; this is only a name.
 */
#ifndef SL_GATEWAY_OWNER_H
#define SL_GATEWAY_OWNER_H

#include "runtime/base.h"

/* After the store was opened: "sluice VERB, process PID on HOST". Blocking; a failure is no harm.
 */
void sl_owner_write(const char *directory, const char *verb);
/* That line, printable whatever lies there; "another sluice" when there is none. Owned by the
 * caller. */
char *sl_owner_read(const char *directory);

#endif
