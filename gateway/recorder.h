/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder.h - an actor that looks at the gateway and its cluster every ten seconds and adds what
 * it finds to the gateway's history. Rates are of the time since it looked last.
 */
#ifndef SL_GATEWAY_RECORDER_H
#define SL_GATEWAY_RECORDER_H

#include "gateway/gateway.h"

struct sl_recorder_options {
    struct sl_gateway *gateway; /* With its history; borrowed. */
};

extern const struct sl_actor_class sl_recorder_class; /* Argument: sl_recorder_options. */

#endif
