/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sessions.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/hash.h"
#include "runtime/random.h"

#define SESSIONS_MAGIC 0x73657373u
#define NOTE_MS        (UINT64_C(600) * 1000) /* A use is written once in so long. */
#define FILE_MAGIC     0x31736573u            /* ses1 */

struct session {
    uint8_t token[32]; /* Its SHA-256: a memory dump is no list of cookies. */
    uint8_t digest[32];
    uint64_t tenant;
    uint64_t opened_ms, used_ms, noted_ms; /* noted: that use was written to the file. */
};

struct sl_sessions {
    uint32_t magic;
    uint32_t count;
    char *path;                          /* NULL: in memory alone. */
    struct session all[SL_SESSIONS_MAX]; /* [0, count) are open, in no order. */
};

/* ---- the file ------------------------------------------------------------------------------ */

static void
write_all(const struct sl_sessions *s, struct sl_buf *out)
{
    uint8_t sum[SL_SHA256_SIZE];
    sl_buf_append_u32(out, FILE_MAGIC);
    sl_buf_append_u32(out, s->count);
    for (uint32_t i = 0; i < s->count; i++) {
        sl_buf_append(out, s->all[i].token, sizeof(s->all[i].token));
        sl_buf_append(out, s->all[i].digest, sizeof(s->all[i].digest));
        sl_buf_append_u64(out, s->all[i].tenant);
        sl_buf_append_u64(out, s->all[i].opened_ms);
        sl_buf_append_u64(out, s->all[i].used_ms);
    }
    sl_sha256(sl_buf_slice(out), sum);
    sl_buf_append(out, sum, sizeof(sum));
}

/*
 * What cannot be written is lost with the process, and nothing older is kept in its place: whoever
 * was in logs in again, and who logged out stays out.
 */
static void
save(const struct sl_sessions *s)
{
    struct sl_buf text = {0};
    if (s->path == NULL)
        return;
    char *temporary = sl_format("%s.new", s->path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    write_all(s, &text);
    bool is_written =
        fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size && fdatasync(fd) == 0;
    if (fd >= 0)
        is_written = close(fd) == 0 && is_written;
    if (!is_written || rename(temporary, s->path) != 0) {
        (void)unlink(temporary);
        (void)unlink(s->path);
    }
    sl_buf_deinit(&text);
    sl_free(temporary);
}

static void
read_all(struct sl_sessions *s, struct sl_slice text)
{
    uint8_t sum[SL_SHA256_SIZE];
    if (text.size < sizeof(sum))
        return;
    struct sl_slice body = sl_slice(text.data, text.size - sizeof(sum));
    sl_sha256(body, sum);
    if (memcmp(sum, text.data + body.size, sizeof(sum)) != 0)
        return;
    struct sl_reader r = sl_reader(body);
    uint32_t magic = sl_read_u32(&r), count = sl_read_u32(&r);
    if (magic != FILE_MAGIC || count > SL_SESSIONS_MAX || body.size != 8 + count * (size_t)88)
        return;
    for (; s->count < count; s->count++) {
        struct session *session = &s->all[s->count];
        memcpy(session->token, sl_read_bytes(&r, 32).data, 32);
        memcpy(session->digest, sl_read_bytes(&r, 32).data, 32);
        session->tenant = sl_read_u64(&r);
        session->opened_ms = sl_read_u64(&r);
        session->used_ms = session->noted_ms = sl_read_u64(&r);
    }
}

static void
load(struct sl_sessions *s)
{
    uint8_t bytes[8 + SL_SESSIONS_MAX * 88 + SL_SHA256_SIZE + 1];
    FILE *file = fopen(s->path, "re");
    if (file == NULL)
        return;
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    read_all(s, sl_slice(bytes, size));
}

struct sl_sessions *
sl_sessions_create(const char *path)
{
    struct sl_sessions *s = sl_zalloc(sizeof(*s));
    s->magic = SESSIONS_MAGIC;
    s->path = path == NULL ? NULL : sl_strdup(path);
    if (path != NULL)
        load(s);
    return s;
}

void
sl_sessions_destroy(struct sl_sessions **sessions)
{
    struct sl_sessions *s = *sessions;
    if (s == NULL)
        return;
    sl_assert(s->magic == SESSIONS_MAGIC);
    *sessions = NULL;
    s->magic = 0;
    save(s); /* With when they were used last. */
    sl_free(s->path);
    sl_free(s);
}

static void
remove_at(struct sl_sessions *s, uint32_t index)
{
    sl_assert(index < s->count);
    s->all[index] = s->all[--s->count];
}

/* The clock may be set back: then nothing is over before its time comes again. */
static bool
is_over(const struct session *session, uint64_t now_ms)
{
    return now_ms >= session->opened_ms + SL_SESSION_MS ||
           now_ms >= session->used_ms + SL_SESSION_IDLE_MS;
}

static uint32_t
count_of(const struct sl_sessions *s, uint64_t tenant)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->count; i++)
        count += s->all[i].tenant == tenant;
    return count;
}

/* The tenant that has most: so the few of one, as of operators, are safe from the many of others.
 */
static uint64_t
greatest(const struct sl_sessions *s)
{
    uint64_t tenant = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t count = count_of(s, s->all[i].tenant);
        if (count > most) {
            most = count;
            tenant = s->all[i].tenant;
        }
    }
    return tenant;
}

/* A tenant's one not used longest. It has one. */
static void
drop_oldest(struct sl_sessions *s, uint64_t tenant)
{
    uint32_t oldest = s->count;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->all[i].tenant != tenant)
            continue;
        if (oldest == s->count || s->all[i].used_ms < s->all[oldest].used_ms)
            oldest = i;
    }
    remove_at(s, oldest);
}

static void
make_room(struct sl_sessions *s, uint64_t tenant, uint64_t now_ms)
{
    for (uint32_t i = s->count; i-- > 0;) {
        if (is_over(&s->all[i], now_ms))
            remove_at(s, i);
    }
    if (count_of(s, tenant) >= SL_SESSIONS_TENANT_MAX)
        drop_oldest(s, tenant);
    if (s->count == SL_SESSIONS_MAX)
        drop_oldest(s, greatest(s));
}

void
sl_sessions_open(struct sl_sessions *s, const struct sl_identity *who, uint64_t now_ms,
                 char ret_token[static SL_SESSION_TOKEN_SIZE + 1])
{
    sl_assert(s != NULL && s->magic == SESSIONS_MAGIC);
    make_room(s, who->scope.id, now_ms);
    sl_random_id(ret_token, SL_SESSION_TOKEN_SIZE);
    struct session *session = &s->all[s->count++];
    *session = (struct session){
        .tenant = who->scope.id, .opened_ms = now_ms, .used_ms = now_ms, .noted_ms = now_ms};
    memcpy(session->digest, who->digest, sizeof(session->digest));
    sl_sha256(sl_slice(ret_token, SL_SESSION_TOKEN_SIZE), session->token);
    save(s);
}

/* By the hash of its token, so how long a comparison takes tells nothing of the token. Its index;
 * s->count: there is none. */
static uint32_t
find(const struct sl_sessions *s, const uint8_t hash[static 32])
{
    uint32_t i = 0;
    sl_assert(s != NULL && s->magic == SESSIONS_MAGIC);
    while (i < s->count && memcmp(s->all[i].token, hash, sizeof(s->all[i].token)) != 0)
        i++;
    return i;
}

static struct session *
lookup(struct sl_sessions *s, struct sl_slice token)
{
    uint8_t hash[32];
    sl_sha256(token, hash);
    uint32_t index = find(s, hash);
    return index == s->count ? NULL : &s->all[index];
}

enum sl_err
sl_sessions_look(struct sl_sessions *s, struct sl_slice token, uint64_t now_ms,
                 uint8_t ret_digest[static 32])
{
    struct session *session = lookup(s, token);
    if (session == NULL)
        return SL_EDENIED;
    if (is_over(session, now_ms)) {
        remove_at(s, (uint32_t)(session - s->all));
        return SL_EDENIED;
    }
    memcpy(ret_digest, session->digest, 32);
    return SL_OK;
}

enum sl_err
sl_sessions_find(struct sl_sessions *s, struct sl_slice token, uint64_t now_ms,
                 uint8_t ret_digest[static 32])
{
    enum sl_err err = sl_sessions_look(s, token, now_ms, ret_digest);
    struct session *session = err == SL_OK ? lookup(s, token) : NULL;
    if (session == NULL || now_ms <= session->used_ms)
        return err;
    bool is_worth_noting = now_ms >= session->noted_ms + NOTE_MS;
    session->used_ms = now_ms;
    if (is_worth_noting) {
        session->noted_ms = now_ms;
        save(s);
    }
    return err;
}

void
sl_sessions_close(struct sl_sessions *s, struct sl_slice token)
{
    struct session *session = lookup(s, token);
    if (session == NULL)
        return;
    remove_at(s, (uint32_t)(session - s->all));
    save(s);
}

bool
sl_sessions_is_open(const struct sl_sessions *s, const uint8_t hash[static 32], uint64_t now_ms)
{
    uint32_t index = find(s, hash);
    return index < s->count && !is_over(&s->all[index], now_ms);
}

uint32_t
sl_sessions_count(const struct sl_sessions *s)
{
    return s->count;
}
