/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/sessions.h"
#include "runtime/alloc.h"

static struct sl_sessions *sessions;
static uint8_t found[32];

static void
setup(void)
{
    sessions = sl_sessions_create(NULL);
}

static void
teardown(void)
{
    sl_sessions_destroy(&sessions);
    cr_assert_null(sessions);
    sl_sessions_destroy(&sessions);
}

TestSuite(sessions, .init = setup, .fini = teardown);

struct token {
    char text[SL_SESSION_TOKEN_SIZE + 1];
};

static struct token
opened(uint64_t tenant, uint8_t key, uint64_t now_ms)
{
    struct sl_identity who = {.scope = {tenant}, .digest = {key}};
    struct token token;
    sl_sessions_open(sessions, &who, now_ms, token.text);
    return token;
}

static bool
is_live(const struct token *token, uint64_t now_ms)
{
    return sl_sessions_find(sessions, sl_slice_str(token->text), now_ms, found) == SL_OK;
}

Test(sessions, stands_for_its_key)
{
    struct token one = opened(1, 11, 100), other = opened(1, 12, 100);
    cr_assert_str_neq(one.text, other.text);
    cr_assert_eq(strlen(one.text), SL_SESSION_TOKEN_SIZE);
    cr_assert(is_live(&one, 101));
    cr_assert_eq(found[0], 11);
    cr_assert(is_live(&other, 101));
    cr_assert_eq(found[0], 12);
}

Test(sessions, is_none_for_what_was_not_opened)
{
    struct token token = opened(1, 11, 100);
    cr_assert_eq(sl_sessions_find(sessions, sl_slice("", 0), 101, found), SL_EDENIED);
    cr_assert_eq(sl_sessions_find(sessions, sl_slice(NULL, 0), 101, found), SL_EDENIED);
    cr_assert_eq(
        sl_sessions_find(sessions, sl_slice(token.text, SL_SESSION_TOKEN_SIZE - 1), 101, found),
        SL_EDENIED);
    token.text[3] = token.text[3] == 'a' ? 'b' : 'a';
    cr_assert_not(is_live(&token, 101));
}

Test(sessions, ends_when_it_is_not_used)
{
    struct token token = opened(1, 11, 100);
    cr_assert(is_live(&token, 100 + SL_SESSION_IDLE_MS - 1));
    cr_assert(is_live(&token, 100 + 2 * SL_SESSION_IDLE_MS - 2));
    cr_assert_not(is_live(&token, 100 + 3 * SL_SESSION_IDLE_MS));
    cr_assert_eq(sl_sessions_count(sessions), 0);
}

Test(sessions, a_look_does_not_keep_it_alive)
{
    struct token token = opened(1, 11, 100);
    uint64_t late_ms = 100 + SL_SESSION_IDLE_MS - 1;
    cr_assert_eq(sl_sessions_look(sessions, sl_slice_str(token.text), late_ms, found), SL_OK);
    cr_assert_not(is_live(&token, late_ms + 1));
}

Test(sessions, ends_however_much_it_is_used)
{
    struct token token = opened(1, 11, 0);
    for (uint64_t now_ms = 0; now_ms < SL_SESSION_MS; now_ms += SL_SESSION_IDLE_MS / 2)
        cr_assert(is_live(&token, now_ms));
    cr_assert_not(is_live(&token, SL_SESSION_MS));
}

Test(sessions, ends_by_its_owner_alone)
{
    struct token one = opened(1, 11, 0), two = opened(1, 11, 0), other = opened(1, 12, 0);
    sl_sessions_close(sessions, sl_slice_str(one.text));
    sl_sessions_close(sessions, sl_slice_str(one.text));
    cr_assert_not(is_live(&one, 1));
    cr_assert(is_live(&two, 1));
    cr_assert(is_live(&other, 1));
}

Test(sessions, a_tenant_has_so_many_and_takes_none_of_others)
{
    struct token other = opened(2, 99, 0), first = opened(1, 0, 1);
    for (uint32_t i = 1; i < SL_SESSIONS_TENANT_MAX; i++)
        (void)opened(1, (uint8_t)i, 1 + i);
    cr_assert(is_live(&first, 50));
    (void)opened(1, 200, 51); /* The second one has not been used for longest now. */
    cr_assert_eq(sl_sessions_count(sessions), SL_SESSIONS_TENANT_MAX + 1);
    cr_assert(is_live(&first, 52));
    cr_assert(is_live(&other, 52));
}

Test(sessions, there_are_never_more_than_may_be)
{
    for (uint64_t i = 0; i < 2 * SL_SESSIONS_MAX; i++)
        (void)opened(i, 1, i);
    cr_assert_eq(sl_sessions_count(sessions), SL_SESSIONS_MAX);
    struct token last = opened(7, 1, 5000);
    cr_assert(is_live(&last, 5000));
}

/* ---- over a restart ------------------------------------------------------------------------ */

static char directory[64], *path;

static void
begin(void)
{
    snprintf(directory, sizeof(directory), "/tmp/sessions-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    path = sl_format("%s/sessions", directory);
    sessions = sl_sessions_create(path);
}

static void
restart(void)
{
    sl_sessions_destroy(&sessions);
    sessions = sl_sessions_create(path);
}

static void
finish(void)
{
    sl_sessions_destroy(&sessions);
    unlink(path);
    rmdir(directory);
    sl_free(path);
}

TestSuite(sessions_file, .init = begin, .fini = finish);

Test(sessions_file, keeps_them_over_a_restart_and_not_those_that_ended)
{
    struct token one = opened(1, 11, 100), other = opened(2, 12, 100), out = opened(3, 13, 100);
    sl_sessions_close(sessions, sl_slice_str(out.text));
    restart();
    cr_assert_eq(sl_sessions_count(sessions), 2);
    cr_assert(is_live(&one, 101));
    cr_assert_eq(found[0], 11);
    cr_assert(is_live(&other, 101));
    cr_assert_not(is_live(&out, 101));
    cr_assert_not(is_live(&one, 101 + SL_SESSION_IDLE_MS), "it ends as it would have");
}

Test(sessions_file, is_there_without_a_last_word)
{
    struct token token = opened(1, 11, 100);
    struct sl_sessions *killed = sessions;
    sessions = sl_sessions_create(path);
    cr_assert(is_live(&token, 101));
    sl_sessions_destroy(&killed);
}

Test(sessions_file, holds_no_token)
{
    struct token token = opened(1, 11, 100);
    char bytes[4096];
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    cr_assert_gt(size, 88);
    cr_assert_null(memmem(bytes, size, token.text, 16));
}

/* Each byte of it, and each length: then nobody is in, and nothing falls over. */
Test(sessions_file, is_ignored_when_damaged)
{
    char bytes[4096];
    struct token token = opened(1, 11, 100);
    FILE *file = fopen(path, "re");
    size_t size = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t at = 0; at < 2 * size; at++) {
        bytes[at % size] ^= 0x10;
        file = fopen(path, "we");
        cr_assert_eq(fwrite(bytes, 1, at < size ? size : at - size, file),
                     at < size ? size : at - size);
        fclose(file);
        bytes[at % size] ^= 0x10;
        struct sl_sessions *damaged = sl_sessions_create(path);
        cr_assert_eq(sl_sessions_count(damaged), 0, "byte %zu", at);
        sl_sessions_destroy(&damaged);
    }
    cr_assert(is_live(&token, 101));
}
