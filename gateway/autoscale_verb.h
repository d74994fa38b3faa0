/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autoscale_verb.h - `sluice autoscale`: the autoscaler (actors/autoscaler.h) on a load from a
 * file, and decisions that were written down, made again. It needs no server and touches no data.
 */
#ifndef SL_GATEWAY_AUTOSCALE_VERB_H
#define SL_GATEWAY_AUTOSCALE_VERB_H

/*
 * argv[0] is the verb: autoscale simulate --trace FILE [--set NAME=VALUE]..., autoscale replay
 * FILE. The exit code: 0; 1 when a file cannot be read or a decision comes out otherwise; 2 for bad
 * arguments.
 */
int sl_autoscale_main(int argc, char **argv);

#endif
