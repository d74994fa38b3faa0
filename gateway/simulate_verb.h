/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_verb.h - `sluice simulate`: seeded runs of the job path with faults; see
 * actors/simulate.h. It needs no server and touches no data.
 */
#ifndef SL_GATEWAY_SIMULATE_VERB_H
#define SL_GATEWAY_SIMULATE_VERB_H

/*
 * argv[0] is the verb: simulate [--seeds A..B] [--faults all|none|NAME,...] [--minutes M]. The exit
 * code: 0 when all seeds pass, 1 when one fails (told with its last events), 2 for bad arguments.
 */
int sl_simulate_main(int argc, char **argv);

#endif
