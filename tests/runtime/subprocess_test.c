/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/subprocess.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/time.h"
#include "tests/runtime/descriptors.h"

static struct sl_buf out;

static enum sl_err
shell(const char *script, bool is_error_read, uint64_t timeout_ns)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    sl_buf_clear(&out);
    return sl_subprocess_run(&(struct sl_subprocess){.program = "/bin/sh",
                                                     .argv = argv,
                                                     .input_fd = -1,
                                                     .is_error_read = is_error_read,
                                                     .timeout_ns = timeout_ns,
                                                     .output_size_max = 100},
                             &out);
}

static void
clear(void)
{
    sl_buf_deinit(&out);
}

TestSuite(subprocess, .fini = clear);

Test(subprocess, gives_what_the_child_prints_and_no_environment)
{
    uint32_t open_count = descriptors_open();
    cr_assert_eq(setenv("SECRET", "x", 1), 0);
    cr_assert_eq(shell("echo out $SECRET; echo err >&2", false, 60 * SL_SECOND_NS), SL_OK);
    cr_expect_str_eq(sl_buf_text(&out), "out\n");
    cr_assert_eq(shell("echo err >&2", true, 60 * SL_SECOND_NS), SL_OK);
    cr_expect_str_eq(sl_buf_text(&out), "err\n");
    cr_expect_eq(descriptors_open(), open_count);
}

Test(subprocess, reads_its_input_from_the_descriptor)
{
    int fds[2];
    const char *const argv[] = {"cat", NULL};
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "hello", 5), 5);
    cr_assert_eq(close(fds[1]), 0);
    cr_assert_eq(sl_subprocess_run(&(struct sl_subprocess){.program = "/bin/cat",
                                                           .argv = argv,
                                                           .input_fd = fds[0],
                                                           .timeout_ns = 10 * SL_SECOND_NS,
                                                           .output_size_max = 100},
                                   &out),
                 SL_OK);
    cr_expect_str_eq(sl_buf_text(&out), "hello");
    (void)close(fds[0]);
}

Test(subprocess, says_how_a_child_failed)
{
    cr_expect_eq(shell("echo why; exit 3", false, 60 * SL_SECOND_NS), SL_ECRASHED);
    cr_expect_str_eq(sl_buf_text(&out), "why\n");
    cr_expect_eq(shell("kill -SEGV $$", false, 60 * SL_SECOND_NS), SL_ECRASHED);
    const char *const argv[] = {"no-such-program", NULL};
    cr_expect_neq(sl_subprocess_run(&(struct sl_subprocess){.program = "/no/such/program",
                                                            .argv = argv,
                                                            .input_fd = -1,
                                                            .timeout_ns = SL_SECOND_NS,
                                                            .output_size_max = 100},
                                    &out),
                  SL_OK);
}

Test(subprocess, kills_what_takes_too_long_or_prints_too_much)
{
    cr_expect_eq(shell("exec sleep 60", false, SL_SECOND_NS / 10), SL_ETIMEOUT);
    cr_expect_eq(shell("exec sleep 60 >/dev/null 2>&1", false, SL_SECOND_NS / 10), SL_ECRASHED,
                 "closed, and stays");
    cr_expect_eq(shell("while :; do echo 0123456789; done", false, 60 * SL_SECOND_NS), SL_ETOOBIG);
}
