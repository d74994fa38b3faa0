/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/cert_verb.h"
#include "gateway/cli.h"
#include "runtime/alloc.h"
#include "runtime/cert.h"

static char directory[64];

static void
setup(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
    snprintf(directory, sizeof(directory), "/tmp/sluice-cert-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void
clean(void)
{
    char *command = sl_format("rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(cert_verb, .init = setup, .fini = clean, .timeout = 60);

static int
run(const char *a, const char *b, const char *c, const char *d)
{
    char *argv[] = {"cert", (char *)a, (char *)b, (char *)c, (char *)d, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    return sl_cert_main(argc, argv);
}

Test(cert_verb, makes_a_certificate_that_can_be_shown)
{
    struct sl_cert cert;
    char *path = sl_format("%s/gpu-1", directory), *secret = sl_format("%s_secret", path);
    cr_assert_eq(run("new", path, NULL, NULL), SL_EXIT_OK);
    cr_assert_eq(sl_cert_load(secret, &cert), SL_OK);
    cr_assert_str_eq(cert.name, "gpu-1");
    cr_assert_eq(run("show", path, NULL, NULL), SL_EXIT_OK);
    cr_assert_eq(run("show", secret, NULL, NULL), SL_EXIT_OK);
    cr_assert_eq(run("new", path, NULL, NULL), SL_EXIT_FAILED, "it is there already");
    sl_free(path);
    sl_free(secret);
}

Test(cert_verb, names_the_files_in_a_directory_after_the_certificate)
{
    struct sl_cert cert;
    char *path = sl_format("%s/head", directory);
    cr_assert_eq(run("new", directory, "--name", "head"), SL_EXIT_OK);
    cr_assert_eq(sl_cert_load(path, &cert), SL_OK);
    cr_assert_eq(run("new", directory, "--name", "../head"), SL_EXIT_USAGE);
    sl_free(path);
}

Test(cert_verb, says_what_is_wrong)
{
    char *path = sl_format("%s/none", directory);
    cr_assert_eq(run("show", path, NULL, NULL), SL_EXIT_FAILED);
    cr_assert_eq(run("new", NULL, NULL, NULL), SL_EXIT_USAGE);
    cr_assert_eq(run("new", path, "--name", NULL), SL_EXIT_USAGE);
    cr_assert_eq(run("old", path, NULL, NULL), SL_EXIT_USAGE);
    cr_assert_eq(run("new", "/nowhere/at/all", NULL, NULL), SL_EXIT_FAILED);
    sl_free(path);
}
