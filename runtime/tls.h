/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - the certificate and key that this process shows whoever connects to its HTTP ports. One
 * pair of files (PEM; the certificate first, then those that signed it), read again when they have
 * changed: looked for once a second at most, when somebody connects, or when told to. A new pair
 * that cannot be used leaves the old one in place, and that is reported.
 *
 *     open --> (hand shakes, reload)... --> close
 *
 * The functions of the library that serves HTTP take no argument, so there is one at a time.
 *
 * Threading: any; one lock inside. open and close: before the first listener and after the last.
 */
#ifndef SL_RUNTIME_TLS_H
#define SL_RUNTIME_TLS_H

#include "runtime/base.h"

#define SL_TLS_WHY_SIZE 256

/*
 * Read the pair. SL_EINVAL: it cannot be used: no file, none of PEM, a key of another certificate,
 * not valid yet or any more. *ret_why says which, and of which file, for a person.
 */
SL_MUST_CHECK enum sl_err sl_tls_open(const char *cert, const char *key,
                                      char ret_why[static SL_TLS_WHY_SIZE]);
void sl_tls_close(void); /* Nothing where none is open. */
bool sl_tls_is_open(void);
void sl_tls_reload(void);       /* Now, and whether or not the files have changed. */
uint64_t sl_tls_loaded(void);   /* How many pairs have been put in place. */
const char *sl_tls_rules(void); /* What is spoken, as GnuTLS calls it. Static. */
/* A gnutls_certificate_retrieve_function2: what shows the pair. */
void *sl_tls_callback(void);

#endif
