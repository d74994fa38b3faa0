/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libraries.h - which versions of its libraries the runtime was built with, and which it found when
 * it was started.
 *
 * Threading: any.
 */
#ifndef SL_RUNTIME_LIBRARIES_H
#define SL_RUNTIME_LIBRARIES_H

#include "runtime/base.h"

#define SL_RUNTIME_LIBRARIES 2u

struct sl_library {
    const char *name; /* Static. */
    char built[24], found[24];
};

void sl_runtime_libraries(struct sl_library ret_libraries[static SL_RUNTIME_LIBRARIES]);

#endif
