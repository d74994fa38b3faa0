/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cert_verb.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/cli.h"
#include "runtime/alloc.h"
#include "runtime/cert.h"

static int
usage(FILE *to)
{
    (void)fputs(
        "usage: sluice cert new PATH [--name NAME]\n"
        "       sluice cert show FILE\n"
        "Make or show a certificate of a node: its key for tcp links between machines.\n\n"
        "new writes PATH, the public half, which is copied to the directory of allowed\n"
        "certificates of the nodes it connects to (and from a head to those that connect to it),\n"
        "and PATH" SL_CERT_SECRET_TAIL ", which stays where it is, mode 0600. Where PATH is a\n"
        "directory the files are named NAME.\n\n"
        "  --name NAME    whose it is, for reports (PATH's last part; in a directory the host's)\n"
        "  --help         print this\n",
        to);
    return to == stdout ? SL_EXIT_OK : SL_EXIT_USAGE;
}

static bool
is_directory(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static const char *
last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int
make(const char *where, const char *name)
{
    char host[HOST_NAME_MAX + 1] = "node";
    bool is_inside = is_directory(where);
    struct sl_cert cert;
    (void)gethostname(host, sizeof(host) - 1);
    if (name == NULL)
        name = is_inside ? host : last_part(where);
    if ((is_inside && strchr(name, '/') != NULL) || sl_cert_create(name, &cert) != SL_OK) {
        sl_cli_error("\"%s\" cannot be a certificate's name: 1 to 63 printable characters", name);
        return SL_EXIT_USAGE;
    }
    char *path = is_inside ? sl_format("%s/%s", where, name) : sl_strdup(where);
    enum sl_err err = sl_cert_save(&cert, path);
    if (err == SL_OK)
        printf("%s\n%s%s\n", path, path, SL_CERT_SECRET_TAIL);
    else
        sl_cli_error("no certificate was written at %s: the cause is %s", path, sl_err_text(err));
    explicit_bzero(&cert, sizeof(cert));
    sl_free(path);
    return err == SL_OK ? SL_EXIT_OK : SL_EXIT_FAILED;
}

static int
show(const char *path)
{
    struct sl_cert cert;
    enum sl_err err = sl_cert_load(path, &cert);
    if (err == SL_EDENIED) {
        sl_cli_error("%s holds a secret, and others than its owner may read it", path);
        return SL_EXIT_FAILED;
    }
    if (err != SL_OK) {
        sl_cli_error("%s is no certificate: the cause is %s", path, sl_err_text(err));
        return SL_EXIT_FAILED;
    }
    printf("name        %s\npublic key  %s\nsecret key  %s\n", cert.name, cert.public_key,
           cert.secret_key[0] == '\0' ? "not in this file" : "in this file");
    explicit_bzero(&cert, sizeof(cert));
    return SL_EXIT_OK;
}

int
sl_cert_main(int argc, char **argv)
{
    if (argc >= 2 && strcmp(argv[argc - 1], "--help") == 0)
        return usage(stdout);
    if (argc == 3 && strcmp(argv[1], "show") == 0)
        return show(argv[2]);
    bool has_name = argc == 5 && strcmp(argv[3], "--name") == 0;
    if ((argc != 3 && !has_name) || strcmp(argv[1], "new") != 0 || argv[2][0] == '-')
        return usage(stderr);
    return make(argv[2], has_name ? argv[4] : NULL);
}
