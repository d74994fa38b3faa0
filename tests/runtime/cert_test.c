/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/cert.h"

static char directory[64];

static void
setup(void)
{
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

TestSuite(cert, .init = setup, .fini = clean, .timeout = 60);

static enum sl_err
parse(const char *text, struct sl_cert *ret_cert)
{
    return sl_cert_parse(sl_slice_str(text), ret_cert);
}

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

Test(cert, is_saved_in_two_halves_and_only_one_has_the_secret)
{
    struct sl_cert cert, public, secret;
    struct stat about;
    char *path = sl_format("%s/worker", directory), *secret_path = sl_format("%s_secret", path);
    cr_assert_eq(sl_cert_create("worker 1", &cert), SL_OK);
    cr_assert_eq(sl_cert_save(&cert, path), SL_OK);
    cr_assert_eq(sl_cert_load(path, &public), SL_OK);
    cr_assert_eq(sl_cert_load(secret_path, &secret), SL_OK);
    cr_assert_str_eq(public.public_key, cert.public_key);
    cr_assert_str_eq(public.name, "worker 1");
    cr_assert_str_empty(public.secret_key);
    cr_assert_str_eq(secret.secret_key, cert.secret_key);
    cr_assert_eq(stat(secret_path, &about), 0);
    cr_assert_eq(about.st_mode & 07777, 0600);
    cr_assert_eq(sl_cert_save(&cert, path), SL_EEXIST, "nothing is overwritten");
    cr_assert_eq(unlink(secret_path), 0);
    cr_assert_eq(sl_cert_save(&cert, path), SL_EEXIST);
    cr_assert_eq(access(secret_path, F_OK), -1, "and no half of a new one stays");
    sl_free(path);
    sl_free(secret_path);
}

Test(cert, two_are_never_the_same)
{
    struct sl_cert one, other;
    cr_assert_eq(sl_cert_create("a", &one), SL_OK);
    cr_assert_eq(sl_cert_create("a", &other), SL_OK);
    cr_assert_str_neq(one.public_key, other.public_key);
    cr_assert_str_neq(one.secret_key, other.secret_key);
}

Test(cert, names_that_would_spoil_the_file_are_refused)
{
    struct sl_cert cert;
    char *longest = sl_format("%063d", 1), *longer = sl_format("%064d", 1);
    cr_assert_eq(sl_cert_create("", &cert), SL_EINVAL);
    cr_assert_eq(sl_cert_create("a\"b", &cert), SL_EINVAL);
    cr_assert_eq(sl_cert_create("a\nb", &cert), SL_EINVAL);
    cr_assert_eq(sl_cert_create(longest, &cert), SL_OK);
    cr_assert_eq(sl_cert_create(longer, &cert), SL_EINVAL);
    sl_free(longest);
    sl_free(longer);
}

Test(cert, reads_what_other_tools_write)
{
    struct sl_cert cert;
    cr_assert_eq(parse("#   ZeroMQ CURVE Public Certificate\n#   for = others\n\nmetadata\n"
                       "    email = \"a@b.c\"\ncurve\r\n    public-key = \"" KEY "\"\r\n",
                       &cert),
                 SL_OK);
    cr_assert_str_eq(cert.public_key, KEY);
    cr_assert_str_empty(cert.name);
}

Test(cert, text_that_is_no_certificate_is_refused)
{
    struct sl_cert cert;
    cr_assert_eq(parse("", &cert), SL_EINVAL);
    cr_assert_eq(parse("=", &cert), SL_EINVAL);
    cr_assert_eq(parse("public-key = \"short\"", &cert), SL_EINVAL);
    cr_assert_eq(parse("public-key = \"" KEY "x\"", &cert), SL_EINVAL);
    cr_assert_eq(parse("public-key = \"~~~~~>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"", &cert),
                 SL_EINVAL);
    cr_assert_eq(parse("public-key = \"" KEY "\"\nsecret-key = \"\"", &cert), SL_EINVAL);
    cr_assert_eq(parse("secret-key = \"" KEY "\"", &cert), SL_EINVAL);
    cr_assert_eq(sl_cert_load(directory, &cert), SL_EINVAL);
}

Test(cert, is_found_by_its_key_among_the_allowed)
{
    struct sl_cert certs[3], found;
    for (uint32_t i = 0; i < 3; i++) {
        char *name = sl_format("n%u", i), *path = sl_format("%s/%s", directory, name);
        cr_assert_eq(sl_cert_create(name, &certs[i]), SL_OK);
        if (i < 2)
            cr_assert_eq(sl_cert_save(&certs[i], path), SL_OK);
        sl_free(name);
        sl_free(path);
    }
    char *noise = sl_format("echo nonsense > %s/noise; mkdir %s/more", directory, directory);
    cr_assert_eq(system(noise), 0);
    cr_assert(sl_cert_find(directory, certs[1].public_key, &found));
    cr_assert_str_eq(found.name, "n1");
    cr_assert_not(sl_cert_find(directory, certs[2].public_key, &found));
    cr_assert_not(sl_cert_find("/nowhere", certs[1].public_key, &found));
    sl_free(noise);
}
