/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_verb.h - `sluice gateway`: the HTTP front as a process of its own, before a head that is
 * elsewhere. It holds no state: it may be killed and started at will, and several may serve a head.
 *
 *   SIGTERM: no new requests, those under way end, the head is told, exit 0.
 */
#ifndef SL_GATEWAY_GATEWAY_VERB_H
#define SL_GATEWAY_GATEWAY_VERB_H

/* The verb; argv[0] is its name. Exit codes: 0 stopped as asked, 1 failed, 2 usage. */
int sl_gateway_main(int argc, char **argv);

#endif
