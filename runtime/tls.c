/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handshake under way uses the pair that it was shown until its end, without a count that would
 * tell. So pairs that were replaced stay for longer than a handshake may take.
 */
#include "runtime/tls.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define FILE_BYTES_MAX SL_MIB
#define CHAIN_MAX      16u
#define KEY_ID_SIZE    64u
#define LOOK_NS        SL_SECOND_NS
#define KEEP_NS        (600 * SL_SECOND_NS)

struct stamp { /* Of a file: another one has another. */
    uint64_t device, inode, size, changed_ns;
};

struct pair {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_count;
    gnutls_privkey_t key;
    struct pair *next; /* An older one. */
    uint64_t replaced_ns;
};

static struct {
    pthread_mutex_t lock; /* Of all below. */
    char *cert, *key;     /* Paths; NULL: not open. */
    struct pair *pair, *replaced;
    struct stamp stamps[2];
    uint64_t looked_ns, loaded;
} tls = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- files --------------------------------------------------------------------------------- */

static void
say(char *why, const char *path, const char *what)
{
    (void)snprintf(why, SL_TLS_WHY_SIZE, "%.160s: %.80s", path, what);
}

static struct stamp
stamp_of(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return (struct stamp){0};
    return (struct stamp){s.st_dev, s.st_ino, (uint64_t)s.st_size,
                          (uint64_t)s.st_mtim.tv_sec * SL_SECOND_NS + (uint64_t)s.st_mtim.tv_nsec};
}

static bool
is_same(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed_ns == b->changed_ns;
}

static bool
read_file(const char *path, gnutls_datum_t *ret, char *why)
{
    FILE *file = fopen(path, "re");
    uint8_t *bytes = sl_alloc(FILE_BYTES_MAX);
    size_t size = file == NULL ? 0 : fread(bytes, 1, FILE_BYTES_MAX, file);
    bool is_ok = file != NULL && !ferror(file) && size < FILE_BYTES_MAX;
    if (file == NULL)
        say(why, path, strerror(errno));
    else if (!is_ok)
        say(why, path, "it cannot be read, or is larger than 1 MiB");
    if (file != NULL)
        (void)fclose(file);
    if (is_ok)
        *ret = (gnutls_datum_t){.data = bytes, .size = (unsigned)size};
    else
        sl_free(bytes);
    return is_ok;
}

/* Keys must not stay in memory that is given back. */
static void
wipe(gnutls_datum_t *datum)
{
    if (datum->data != NULL)
        gnutls_memset(datum->data, 0, datum->size);
    sl_free(datum->data);
    datum->data = NULL;
}

/* ---- a pair -------------------------------------------------------------------------------- */

static void
pair_destroy(struct pair *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->chain_count; i++)
        gnutls_pcert_deinit(&p->chain[i]);
    if (p->key != NULL)
        gnutls_privkey_deinit(p->key);
    sl_free(p);
}

static bool
is_of(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
    uint8_t a[KEY_ID_SIZE], b[KEY_ID_SIZE];
    size_t a_size = sizeof(a), b_size = sizeof(b);
    return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, a, &a_size) == 0 &&
           gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, b, &b_size) == 0 &&
           a_size == b_size && memcmp(a, b, a_size) == 0;
}

static bool
is_valid_now(gnutls_x509_crt_t crt, char *why)
{
    uint64_t now_s = sl_time_wall_ms() / 1000;
    char at[SL_TIME_TEXT_SIZE], text[80];
    uint64_t from_s = (uint64_t)gnutls_x509_crt_get_activation_time(crt);
    uint64_t until_s = (uint64_t)gnutls_x509_crt_get_expiration_time(crt);
    if (now_s >= from_s && now_s < until_s)
        return true;
    sl_time_format(1000 * (now_s < from_s ? from_s : until_s), at);
    (void)snprintf(text, sizeof(text), "the certificate %s %s",
                   now_s < from_s ? "is not valid before" : "expired on", at);
    say(why, tls.cert, text);
    return false;
}

static bool
take_chain(struct pair *p, gnutls_x509_crt_t *crts, unsigned count, char *why)
{
    for (p->chain_count = 0; p->chain_count < count; p->chain_count++) {
        if (gnutls_pcert_import_x509(&p->chain[p->chain_count], crts[p->chain_count], 0) == 0)
            continue;
        say(why, tls.cert, "a certificate of it cannot be used");
        return false;
    }
    return true;
}

static bool
take_key(struct pair *p, gnutls_x509_crt_t crt, const gnutls_datum_t *pem, char *why)
{
    gnutls_x509_privkey_t key = NULL;
    int error = gnutls_x509_privkey_init(&key);
    sl_assert(error == 0); /* Memory. */
    error = gnutls_x509_privkey_import2(key, pem, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
    bool is_ok = error == 0;
    if (!is_ok)
        say(why, tls.key, "it holds no private key in PEM without a password");
    else if (!(is_ok = is_of(crt, key)))
        say(why, tls.key, "the key is not that of the certificate");
    if (is_ok) {
        error = gnutls_privkey_init(&p->key);
        if (error == 0)
            error = gnutls_privkey_import_x509(p->key, key, GNUTLS_PRIVKEY_IMPORT_COPY);
        is_ok = error == 0;
        if (!is_ok)
            say(why, tls.key, gnutls_strerror(error));
    }
    gnutls_x509_privkey_deinit(key);
    return is_ok;
}

static struct pair *
pair_make(const gnutls_datum_t *cert, const gnutls_datum_t *key, char *why)
{
    gnutls_x509_crt_t crts[CHAIN_MAX];
    unsigned count = CHAIN_MAX;
    /* Each must be signed by the next, so that clients can follow them. */
    int error = gnutls_x509_crt_list_import(crts, &count, cert, GNUTLS_X509_FMT_PEM,
                                            GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED |
                                                GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (error <= 0) {
        say(why, tls.cert, error == 0 ? "it holds no certificate" : gnutls_strerror(error));
        return NULL;
    }
    struct pair *p = sl_zalloc(sizeof(*p));
    bool is_ok = is_valid_now(crts[0], why) && take_chain(p, crts, (unsigned)error, why) &&
                 take_key(p, crts[0], key, why);
    for (int i = 0; i < error; i++)
        gnutls_x509_crt_deinit(crts[i]);
    if (!is_ok) {
        pair_destroy(p);
        p = NULL;
    }
    return p;
}

static struct pair *
pair_read(char *why)
{
    gnutls_datum_t cert = {0}, key = {0};
    struct pair *p = NULL;
    tls.stamps[0] = stamp_of(tls.cert);
    tls.stamps[1] = stamp_of(tls.key);
    if (read_file(tls.cert, &cert, why) && read_file(tls.key, &key, why))
        p = pair_make(&cert, &key, why);
    wipe(&cert);
    wipe(&key);
    return p;
}

/* ---- replacing ----------------------------------------------------------------------------- */

static void
drop_replaced(uint64_t now_ns, bool is_all)
{
    struct pair **at = &tls.replaced;
    while (*at != NULL) {
        struct pair *p = *at;
        if (!is_all && now_ns - p->replaced_ns < KEEP_NS) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        pair_destroy(p);
    }
}

static void
put_in_place(struct pair *p)
{
    uint64_t now_ns = sl_time_mono_ns();
    if (tls.pair != NULL) {
        tls.pair->replaced_ns = now_ns;
        tls.pair->next = tls.replaced;
        tls.replaced = tls.pair;
    }
    tls.pair = p;
    tls.loaded++;
    drop_replaced(now_ns, false);
}

/* The lock is held. */
static void
reload(void)
{
    char why[SL_TLS_WHY_SIZE];
    struct pair *p = pair_read(why);
    tls.looked_ns = sl_time_mono_ns();
    if (p == NULL) {
        sl_report_warn("certificate-refused", "why=\"%s\" action=\"the old one stays\"", why);
        return;
    }
    put_in_place(p);
    sl_report_info("certificate-loaded", "file=%s number=%" PRIu64, tls.cert, tls.loaded);
}

/* The lock is held. */
static void
look(void)
{
    uint64_t now_ns = sl_time_mono_ns();
    if (now_ns - tls.looked_ns < LOOK_NS)
        return;
    tls.looked_ns = now_ns;
    struct stamp cert = stamp_of(tls.cert), key = stamp_of(tls.key);
    /* Between two renames there is a pair that is none: it is refused, and the next look has it. */
    if (!is_same(&cert, &tls.stamps[0]) || !is_same(&key, &tls.stamps[1]))
        reload();
}

static int
show(gnutls_session_t session, const gnutls_datum_t *names, int names_count,
     const gnutls_pk_algorithm_t *algorithms, int algorithms_count, gnutls_pcert_st **ret_chain,
     unsigned *ret_count, gnutls_privkey_t *ret_key)
{
    (void)session, (void)names, (void)names_count, (void)algorithms, (void)algorithms_count;
    pthread_mutex_lock(&tls.lock);
    bool is_open = tls.cert != NULL;
    if (is_open) {
        look();
        *ret_chain = tls.pair->chain;
        *ret_count = tls.pair->chain_count;
        *ret_key = tls.pair->key;
    }
    pthread_mutex_unlock(&tls.lock);
    return is_open ? 0 : -1;
}

/* ---- for others ---------------------------------------------------------------------------- */

enum sl_err
sl_tls_open(const char *cert, const char *key, char ret_why[static SL_TLS_WHY_SIZE])
{
    pthread_mutex_lock(&tls.lock);
    sl_assert(tls.cert == NULL);
    tls.cert = sl_strdup(cert);
    tls.key = sl_strdup(key);
    struct pair *p = pair_read(ret_why);
    tls.looked_ns = sl_time_mono_ns();
    if (p != NULL)
        put_in_place(p);
    pthread_mutex_unlock(&tls.lock);
    if (p == NULL)
        sl_tls_close();
    return p == NULL ? SL_EINVAL : SL_OK;
}

void
sl_tls_close(void)
{
    pthread_mutex_lock(&tls.lock);
    pair_destroy(tls.pair);
    tls.pair = NULL;
    drop_replaced(0, true);
    sl_free(tls.cert);
    sl_free(tls.key);
    tls.cert = tls.key = NULL;
    pthread_mutex_unlock(&tls.lock);
}

bool
sl_tls_is_open(void)
{
    pthread_mutex_lock(&tls.lock);
    bool is_open = tls.cert != NULL;
    pthread_mutex_unlock(&tls.lock);
    return is_open;
}

void
sl_tls_reload(void)
{
    pthread_mutex_lock(&tls.lock);
    if (tls.cert != NULL)
        reload();
    pthread_mutex_unlock(&tls.lock);
}

uint64_t
sl_tls_loaded(void)
{
    pthread_mutex_lock(&tls.lock);
    uint64_t loaded = tls.loaded;
    pthread_mutex_unlock(&tls.lock);
    return loaded;
}

const char *
sl_tls_rules(void)
{
    return "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
}

void *
sl_tls_callback(void)
{
    return (void *)(uintptr_t)show;
}
