/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ThreadSanitizer keeps to itself in every *_tsan.c. libzmq is not instrumented: how its
 * threads hand things over is not seen, and what it calls is its own business; so is what it calls
 * through the C++ library, which nothing else here uses. Our side of it is reported.
 */
const char *__tsan_default_suppressions(void);
const char *
__tsan_default_suppressions(void)
{
    return "called_from_lib:libzmq.so\n"
           "called_from_lib:libstdc++.so\n";
}
