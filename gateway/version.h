/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SL_GATEWAY_VERSION_H
#define SL_GATEWAY_VERSION_H

#define SL_VERSION     "0.1.0"
#define SL_DATA_FORMAT 1 /* Of a data directory, as its file `format` says. */

#endif
