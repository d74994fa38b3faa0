/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cert_verb.h - `sluice cert`: make and show the certificates by which nodes on different machines
 * know each other (runtime/cert.h).
 */
#ifndef SL_GATEWAY_CERT_VERB_H
#define SL_GATEWAY_CERT_VERB_H

/*
 * argv[0] is the verb: cert new PATH [--name NAME] | cert show FILE. A PATH that is a directory
 * gets files named after the certificate. The exit code: 0 done, 1 failed, 2 bad arguments.
 */
int sl_cert_main(int argc, char **argv);

#endif
