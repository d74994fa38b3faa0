/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over real sockets, pairs that cannot be used, and whom proxies may speak for. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/front.h"
#include "gateway/http_client.h"
#include "gateway/transport.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/time.h"
#include "runtime/tls.h"

#define DAY_S 86400

static char directory[64], cert[96], key[96], why[SL_TLS_WHY_SIZE];
static struct sl_transport transport;
static struct sl_front *front;
static struct sl_keyring *keyring;
static const struct sl_identity acme = {
    .scope = {7}, .permissions = SL_PERMIT_BIT(SL_PERMIT_READ), .tenant_id = "acme"};

/* ---- certificates -------------------------------------------------------------------------- */

static void
write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(data, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

static void
fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t private, int serial, long from_s, long until_s)
{
    const uint8_t loopback[4] = {127, 0, 0, 1}, number[] = {(uint8_t)serial};
    time_t now = (time_t)(sl_time_wall_ms() / 1000);
    cr_assert_eq(gnutls_x509_crt_set_version(crt, 3), 0);
    cr_assert_eq(gnutls_x509_crt_set_serial(crt, number, sizeof(number)), 0);
    cr_assert_eq(gnutls_x509_crt_set_activation_time(crt, now + from_s), 0);
    cr_assert_eq(gnutls_x509_crt_set_expiration_time(crt, now + until_s), 0);
    cr_assert_eq(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, "test", 4), 0);
    cr_assert_eq(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, loopback,
                                                      sizeof(loopback), GNUTLS_FSAN_SET),
                 0);
    cr_assert_eq(gnutls_x509_crt_set_ca_status(crt, 1), 0);
    cr_assert_eq(gnutls_x509_crt_set_key(crt, private), 0);
    cr_assert_eq(gnutls_x509_crt_sign2(crt, crt, private, GNUTLS_DIG_SHA256, 0), 0);
}

/* A pair of its own, valid from and until so many seconds after now. */
static void
make_pair(const char *to_cert, const char *to_key, long from_s, long until_s)
{
    static int serial;
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t private;
    uint8_t pem[8192];
    size_t size = sizeof(pem);
    cr_assert_eq(gnutls_x509_privkey_init(&private), 0);
    cr_assert_eq(gnutls_x509_privkey_generate(private, GNUTLS_PK_ECDSA,
                                              GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
                 0);
    cr_assert_eq(gnutls_x509_crt_init(&crt), 0);
    fill(crt, private, ++serial, from_s, until_s);
    cr_assert_eq(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_PEM, pem, &size), 0);
    write_file(to_cert, pem, size);
    size = sizeof(pem);
    cr_assert_eq(gnutls_x509_privkey_export(private, GNUTLS_X509_FMT_PEM, pem, &size), 0);
    write_file(to_key, pem, size);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(private);
}

static bool
page(void *arg, const char *path, struct sl_page *ret_page)
{
    (void)arg;
    if (ret_page->is_wanted)
        sl_buf_append_str(&ret_page->body, "{}");
    return strcmp(path, "/page") == 0;
}

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/transport-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(cert, sizeof(cert), "%s/cert", directory);
    snprintf(key, sizeof(key), "%s/key", directory);
    make_pair(cert, key, -DAY_S, DAY_S);
}

static void
teardown(void)
{
    sl_front_stop(&front);
    sl_keyring_destroy(&keyring);
    sl_tls_close();
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(directory);
}

TestSuite(transport, .init = setup, .fini = teardown);

static void
serve(void)
{
    struct sl_transport_files files = {.cert = cert, .key = key, .proxies = ""};
    struct sl_front_options options = {
        .address = "127.0.0.1:0", .page = page, .head_s = 1, .transport = &transport};
    cr_assert(sl_transport_open("test", &files, &transport));
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
}

/* The status of the page, for who trusts the certificate that lies there now; 0: none came. */
static long
ask(const char *scheme)
{
    char *url = sl_format("%s://127.0.0.1:%u", scheme, sl_front_port(front));
    struct sl_http_client *client = sl_http_client_create(url, NULL);
    struct sl_http_request request = {.method = "GET", .path = "/page"};
    struct sl_http_reply reply = {0};
    sl_http_client_trust(client, cert);
    enum sl_err err = sl_http_send(client, &request, &reply);
    cr_assert_eq(err == SL_OK, reply.status != 0);
    sl_buf_deinit(&reply.body);
    sl_http_client_destroy(&client);
    sl_free(url);
    return reply.status;
}

/* ---- TLS ----------------------------------------------------------------------------------- */

Test(transport, a_page_comes_over_tls_and_not_without)
{
    serve();
    cr_expect_eq(ask("https"), 200);
    cr_expect_eq(ask("http"), 0);
    cr_expect_eq(ask("https"), 200);
}

Test(transport, who_does_not_trust_the_certificate_gets_nothing)
{
    char other[96];
    serve();
    snprintf(other, sizeof(other), "%s/other", directory);
    make_pair(cert, other, -DAY_S, DAY_S); /* What the client trusts; the server looks at a pair. */
    cr_expect_eq(ask("https"), 0);
    (void)unlink(other);
}

Test(transport, a_pair_that_has_changed_is_shown_to_the_next_and_a_bad_one_is_not)
{
    serve();
    cr_assert_eq(ask("https"), 200);
    make_pair(cert, key, -DAY_S, 2 * DAY_S);
    sl_tls_reload();
    cr_expect_eq(sl_tls_loaded(), 2);
    cr_expect_eq(ask("https"), 200);

    char trusted[8192];
    FILE *file = fopen(cert, "r");
    size_t size = fread(trusted, 1, sizeof(trusted), file);
    (void)fclose(file);
    write_file(cert, trusted, size / 2); /* Truncated, as by a copy that is under way. */
    sl_tls_reload();
    cr_expect_eq(sl_tls_loaded(), 2);
    write_file(cert, trusted, size);
    cr_expect_eq(ask("https"), 200);
}

Test(transport, files_that_change_are_seen_without_being_told)
{
    serve();
    cr_assert_eq(ask("https"), 200);
    make_pair(cert, key, -DAY_S, 2 * DAY_S);
    while (ask("https") != 200) /* It looks once a second. */
        sl_time_sleep_ns(20 * SL_MILLI_NS);
    cr_expect_eq(sl_tls_loaded(), 2);
}

static void
expect_refused(const char *said)
{
    why[0] = '\0';
    cr_expect_eq(sl_tls_open(cert, key, why), SL_EINVAL);
    cr_expect_not_null(strstr(why, said), "%s: %s", said, why);
    cr_expect_not(sl_tls_is_open());
}

Test(transport, a_pair_that_cannot_be_used_is_refused_with_the_reason)
{
    char other[96];
    snprintf(other, sizeof(other), "%s/other", directory);
    make_pair(cert, key, -2 * DAY_S, -DAY_S);
    expect_refused("expired on");
    make_pair(cert, key, DAY_S, 2 * DAY_S);
    expect_refused("is not valid before");
    make_pair(cert, key, -DAY_S, DAY_S);
    make_pair(other, key, -DAY_S, DAY_S);
    expect_refused("the key is not that of the certificate");
    write_file(key, "junk", 4);
    expect_refused("no private key");
    write_file(cert, "-----BEGIN CERTIFICATE-----\nMIIB", 32);
    expect_refused(cert);
    write_file(cert, "", 0);
    expect_refused(cert);
    (void)unlink(cert);
    expect_refused("No such file");
    (void)unlink(other);
}

/* One that never ends, or is no handshake: the connection is closed, and others are served. */
Test(transport, a_handshake_that_does_not_end_is_ended)
{
    static const char *const starts[] = {"", "\x16\x03\x01\x02", "GET /page HTTP/1.1\r\n\r\n"};
    serve();
    for (size_t i = 0; i < SL_COUNT_OF(starts); i++) {
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons(sl_front_port(front)),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char byte[64];
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
        cr_assert_eq(send(fd, starts[i], strlen(starts[i]), MSG_NOSIGNAL),
                     (ssize_t)strlen(starts[i]));
        cr_expect_eq(ask("https"), 200);
        while (recv(fd, byte, sizeof(byte), 0) > 0) /* Until it is closed. */
            ;
        (void)close(fd);
    }
    cr_expect_eq(ask("https"), 200);
}

/* ---- what requests say of who sends them ----------------------------------------------------- */

static void
tell(void *arg, struct sl_call *call)
{
    (void)arg;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_slice(&call->out, "client", call->client);
    sl_jsonw_member_slice(&call->out, "site", call->site);
    sl_jsonw_end(&call->out);
    sl_front_reply(front, &call);
}

static void
serve_calls(char secret[static SL_SECRET_SIZE + 1])
{
    uint8_t digest[SL_SHA256_SIZE];
    keyring = sl_keyring_create();
    sl_secret_mint(secret);
    sl_sha256(sl_slice_str(secret), digest);
    sl_keyring_put(keyring, digest, &acme, 0);
    struct sl_front_options options = {.address = "127.0.0.1:0",
                                       .planes = {{.keyring = keyring}},
                                       .planes_count = 1,
                                       .post = tell,
                                       .transport = &transport};
    cr_assert_eq(sl_front_start(&options, &front), SL_OK);
}

/* Of GET `path` with a key: the whole reply, until the connection is closed. */
static const char *
reply_to(const char *path, const char *secret, const char *headers)
{
    static char reply[8192];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(sl_front_port(front)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *text = sl_format("GET %s HTTP/1.1\r\nHost: here:1\r\nConnection: close\r\n"
                           "Authorization: Bearer %s\r\n%s\r\n",
                           path, secret, headers);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    size_t size = 0;
    cr_assert_eq(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    for (ssize_t got; (got = recv(fd, reply + size, sizeof(reply) - 1 - size, 0)) > 0;)
        size += (size_t)got;
    reply[size] = '\0';
    (void)close(fd);
    sl_free(text);
    return reply;
}

#define PATH "/v1/namespaces/x"
#define FORWARDED                                                                                  \
    "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n"

static void
expect_reply(const char *reply, const char *wanted)
{
    cr_expect_not_null(strstr(reply, wanted), "%s: %s", wanted, reply);
}

Test(transport, what_anybody_says_of_his_client_is_ignored)
{
    char secret[SL_SECRET_SIZE + 1];
    serve_calls(secret);
    expect_reply(reply_to(PATH, secret, FORWARDED),
                 "{\"client\":\"127.0.0.1\",\"site\":\"http://here:1\"}");
}

Test(transport, what_a_trusted_proxy_says_of_its_client_counts)
{
    char secret[SL_SECRET_SIZE + 1];
    cr_assert_eq(sl_proxies_parse("127.0.0.0/8", &transport), SL_OK);
    serve_calls(secret);
    expect_reply(reply_to(PATH, secret, FORWARDED),
                 "{\"client\":\"7.7.7.7\",\"site\":\"https://here:1\"}");
    expect_reply(reply_to(PATH, secret, "X-Forwarded-For: me\r\n"), "{\"client\":\"\",");
}

/* A list of addresses is for who asks, not for whom the asker names. */
Test(transport, an_address_that_a_list_has_cannot_be_claimed)
{
    char secret[SL_SECRET_SIZE + 1];
    struct sl_door door = {.ranges_count = 1};
    serve_calls(secret);
    cr_assert_eq(sl_cidr_parse(sl_slice_str("7.7.7.7"), &door.ranges[0]), SL_OK);
    sl_keyring_door_put(keyring, acme.scope, &door);
    expect_reply(reply_to(PATH, secret, FORWARDED), "HTTP/1.1 401");
    sl_front_stop(&front);
    sl_keyring_destroy(&keyring);
    cr_assert_eq(sl_proxies_parse("127.0.0.1", &transport), SL_OK);
    serve_calls(secret);
    sl_keyring_door_put(keyring, acme.scope, &door);
    expect_reply(reply_to(PATH, secret, FORWARDED), "HTTP/1.1 200");
}

Test(transport, who_am_i_is_answered_by_the_front)
{
    char secret[SL_SECRET_SIZE + 1];
    serve_calls(secret);
    expect_reply(reply_to("/v1/whoami", secret, ""), "\"tenant_id\":\"acme\"");
    expect_reply(reply_to("/v1/whoami", secret, ""), "\"permissions\":[\"read\"]");
    expect_reply(reply_to("/v1/whoami", "sk_none", ""), "HTTP/1.1 401");
    cr_expect_eq(sl_front_posted(front), 0);
}

/* ---- proxies ------------------------------------------------------------------------------- */

static bool
is_client(const char *proxies, const char *peer, const char *first, const char *second,
          const char *wanted)
{
    struct sl_transport t = {0};
    struct sl_slice forwarded[2] = {sl_slice_str(first), sl_slice_str(second)};
    uint32_t count = (first != NULL) + (second != NULL);
    cr_assert_eq(sl_proxies_parse(proxies, &t), SL_OK, "%s", proxies);
    struct sl_slice client = sl_transport_client(&t, sl_slice_str(peer), forwarded, count);
    return sl_slice_is(client, wanted);
}

Test(transport, a_proxy_that_is_trusted_says_who_its_client_is)
{
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", "1.2.3.4", NULL, "1.2.3.4"));
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", "6.6.6.6, 1.2.3.4", NULL, "1.2.3.4"));
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", "6.6.6.6", "1.2.3.4,10.9.9.9", "1.2.3.4"));
    cr_expect(is_client("10.0.0.0/8,::1", "::1", "2001:db8::7", NULL, "2001:db8::7"));
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", NULL, NULL, "10.1.2.3"));
}

Test(transport, nobody_else_does)
{
    cr_expect(is_client("", "10.1.2.3", "1.2.3.4", NULL, "10.1.2.3"));
    cr_expect(is_client("10.0.0.0/8", "11.1.2.3", "1.2.3.4", NULL, "11.1.2.3"));
    cr_expect(is_client("10.0.0.1", "10.0.0.2", "1.2.3.4", "10.0.0.1", "10.0.0.2"));
}

Test(transport, who_is_named_wrongly_is_nobody)
{
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", "1.2.3.4, unknown", NULL, ""));
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", "", "", ""));
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", "1.2.3.4,", NULL, ""));
    cr_expect(is_client("10.0.0.0/8", "10.1.2.3", "10.1.1.1,10.2.2.2", NULL, ""));
}

Test(transport, ranges_that_are_none_are_refused)
{
    struct sl_transport t = {0};
    struct sl_buf many = {0};
    cr_expect_eq(sl_proxies_parse("10.0.0.1/8", &t), SL_EINVAL);
    cr_expect_eq(sl_proxies_parse("proxy.example", &t), SL_EINVAL);
    for (uint32_t i = 0; i <= SL_PROXIES_MAX; i++)
        sl_buf_append_str(&many, "10.0.0.0/8 ");
    cr_expect_eq(sl_proxies_parse(sl_buf_text(&many), &t), SL_EFULL);
    cr_expect_eq(t.proxies_count, 0);
    sl_buf_deinit(&many);
}
