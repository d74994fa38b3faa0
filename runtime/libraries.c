/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/libraries.h"

#include <lmdb.h>
#include <stdio.h>
#include <zmq.h>

static void
write_version(char ret_text[static 24], int major, int minor, int patch)
{
    (void)snprintf(ret_text, 24, "%d.%d.%d", major, minor, patch);
}

void
sl_runtime_libraries(struct sl_library ret_libraries[static SL_RUNTIME_LIBRARIES])
{
    int major, minor, patch;
    ret_libraries[0] = (struct sl_library){.name = "libzmq"};
    write_version(ret_libraries[0].built, ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR, ZMQ_VERSION_PATCH);
    zmq_version(&major, &minor, &patch);
    write_version(ret_libraries[0].found, major, minor, patch);
    ret_libraries[1] = (struct sl_library){.name = "lmdb"};
    write_version(ret_libraries[1].built, MDB_VERSION_MAJOR, MDB_VERSION_MINOR, MDB_VERSION_PATCH);
    (void)mdb_version(&major, &minor, &patch);
    write_version(ret_libraries[1].found, major, minor, patch);
}
