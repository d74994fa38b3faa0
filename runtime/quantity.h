/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantity.h - amounts as Kubernetes writes them: "48Gi", "500m", "1.5", "2e3".
 *
 * Threading: pure.
 */
#ifndef SL_RUNTIME_QUANTITY_H
#define SL_RUNTIME_QUANTITY_H

#include "runtime/base.h"

/* No sign, a decimal number, and n, u, m, k, M, G, T, P, E, Ki to Ei, or an exponent. False: it is
 * none, or more than 1e18. */
bool sl_quantity_read(const char *text, double *ret_value);

#endif
