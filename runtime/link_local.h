/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_local.h - links on a machine: stream sockets in the file system, without a thread between.
 *
 * A connection begins with a frame of each end's name; all frames are those of stream.h. Who may
 * connect is whoever may open the socket's file: its directory says. Threading: as link.h.
 */
#ifndef SL_RUNTIME_LINK_LOCAL_H
#define SL_RUNTIME_LINK_LOCAL_H

#include "runtime/link_carrier.h"

bool sl_link_is_local(const char *endpoint); /* "ipc://PATH" */

/* A file that a listener of before has left is replaced. SL_EINVAL: no path, or one of more than
 * 107 bytes. SL_ENOTFOUND: no such directory. SL_EDENIED, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_link_local_listen(struct sl_link_name self, const char *endpoint,
                                               struct sl_link_port **ret_port);
/* Nobody needs to listen there yet. SL_EINVAL as above. */
SL_MUST_CHECK enum sl_err sl_link_local_call(struct sl_link_name self, const char *endpoint,
                                             struct sl_link_port **ret_port);

#endif
