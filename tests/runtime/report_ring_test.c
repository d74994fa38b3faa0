/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/report_ring.h"

#define NOW_MS UINT64_C(1772366400000)

static struct sl_report_ring *ring;
static char seen[4096];

static void
setup(void)
{
    ring = sl_report_ring_create(NOW_MS);
}

static void
teardown(void)
{
    sl_report_ring_destroy(&ring);
}

TestSuite(report_ring, .init = setup, .fini = teardown, .timeout = 60);

static void
add_of(uint32_t pid, const char *extractor, const char *message)
{
    struct sl_report_entry e = {.at_ms = NOW_MS,
                                .level = SL_REPORT_INFO,
                                .pid = pid,
                                .is_output = extractor != NULL,
                                .texts = {[SL_REPORT_role] = "replica",
                                          [SL_REPORT_event] = "e",
                                          [SL_REPORT_extractor] = extractor,
                                          [SL_REPORT_message] = message}};
    sl_report_ring_add(ring, &e);
}

static void
take(void *arg, const struct sl_report_entry *e)
{
    (void)arg;
    size_t size = strlen(seen);
    (void)snprintf(seen + size, sizeof(seen) - size, "%s ", e->texts[SL_REPORT_message]);
}

static struct sl_report_walk
find(struct sl_report_wanted wanted)
{
    struct sl_report_walk walk;
    seen[0] = '\0';
    if (wanted.limit == 0)
        wanted.limit = 100;
    sl_report_ring_find(ring, &wanted, take, NULL, &walk);
    return walk;
}

/* Lines of 1 KiB, so many. */
static void
print_much(uint32_t pid, const char *extractor, uint32_t count)
{
    char text[1024];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (uint32_t i = 0; i < count; i++)
        add_of(pid, extractor, text);
}

static uint32_t
lines_of(const char *extractor)
{
    struct sl_report_wanted wanted = {.limit = 1000};
    struct sl_report_walk walk;
    uint32_t count = 0;
    wanted.texts[SL_REPORT_extractor] = extractor;
    do {
        walk = find(wanted);
        wanted.from = walk.walked_to;
        count += walk.count;
    } while (walk.is_more);
    return count;
}

Test(report_ring, gives_the_newest_first_and_goes_on_from_there)
{
    for (char c = 'a'; c < 'f'; c++)
        add_of(1, NULL, (char[]){c, '\0'});
    struct sl_report_walk walk = find((struct sl_report_wanted){.limit = 2});
    cr_expect_str_eq(seen, "e d ");
    cr_expect(walk.is_more);
    walk = find((struct sl_report_wanted){.limit = 2, .from = walk.walked_to});
    cr_expect_str_eq(seen, "c b ");
    walk = find((struct sl_report_wanted){.limit = 2, .from = walk.walked_to});
    cr_expect_str_eq(seen, "a ");
    cr_expect_not(walk.is_more);
}

Test(report_ring, goes_on_to_newer_ones)
{
    add_of(1, NULL, "a");
    uint64_t newest = sl_report_ring_newest(ring);
    struct sl_report_walk walk =
        find((struct sl_report_wanted){.from = newest, .is_forward = true});
    cr_expect_eq(walk.count, 0);
    cr_expect_eq(walk.walked_to, newest);
    add_of(1, NULL, "b");
    add_of(1, NULL, "c");
    walk = find((struct sl_report_wanted){.from = newest, .is_forward = true});
    cr_expect_str_eq(seen, "b c ");
    cr_expect_eq(walk.walked_to, sl_report_ring_newest(ring));
    /* The place of a ring that was there before a restart is before all of this one. */
    (void)find((struct sl_report_wanted){.from = (NOW_MS - 1000) << 16, .is_forward = true});
    cr_expect_str_eq(seen, "a b c ");
}

Test(report_ring, filters_by_each_text_and_by_parts_of_the_message)
{
    add_of(1, "one", "Lorem");
    add_of(2, "two", "ipsum");
    (void)find((struct sl_report_wanted){.texts = {[SL_REPORT_extractor] = "two"}});
    cr_expect_str_eq(seen, "ipsum ");
    (void)find((struct sl_report_wanted){.texts = {[SL_REPORT_message] = "OREM"}});
    cr_expect_str_eq(seen, "Lorem ");
    (void)find((struct sl_report_wanted){.levels = 1u << SL_REPORT_WARN});
    cr_expect_str_eq(seen, "");
    (void)find((struct sl_report_wanted){.since_ms = NOW_MS + 1});
    cr_expect_str_eq(seen, "");
}

Test(report_ring, a_tenants_lines_are_those_of_its_number_or_else_of_its_name)
{
    const struct sl_report_wanted acme = {.scope = 7, .texts = {[SL_REPORT_tenant] = "acme"}};
    struct sl_report_entry e = {.texts = {[SL_REPORT_message] = "nobodys"}};
    sl_report_ring_add(ring, &e);
    e.scope = 7;
    e.texts[SL_REPORT_message] = "number";
    sl_report_ring_add(ring, &e);
    e.scope = 8; /* It said a name, but is another's. */
    e.texts[SL_REPORT_tenant] = "acme";
    e.texts[SL_REPORT_message] = "forged";
    sl_report_ring_add(ring, &e);
    e.scope = 0;
    e.texts[SL_REPORT_message] = "name";
    sl_report_ring_add(ring, &e);
    (void)find(acme);
    cr_expect_str_eq(seen, "name number ");
    sl_report_ring_forget(ring, 7, "acme");
    (void)find(acme);
    cr_expect_str_eq(seen, "");
    (void)find((struct sl_report_wanted){0});
    cr_expect_str_eq(seen, "forged nobodys ");
}

Test(report_ring, one_that_prints_without_end_pushes_out_its_own_lines_alone)
{
    add_of(1, "quiet", "still");
    add_of(3, NULL, "mine");
    print_much(2, "noisy", 20000);
    cr_expect_eq(lines_of("quiet"), 1);
    (void)find((struct sl_report_wanted){.texts = {[SL_REPORT_message] = "mine"}});
    uint32_t kept = lines_of("noisy");
    cr_expect_leq(kept, SL_REPORT_SOURCE_BYTES / 1024);
    cr_expect_geq(kept, SL_REPORT_SOURCE_BYTES / 1024 * 3 / 4, "%u", kept);
}

Test(report_ring, many_of_one_kind_do_not_push_out_others)
{
    add_of(1, "quiet", "still");
    print_much(2, "other", 100);
    for (uint32_t pid = 100; pid < 1000; pid++)
        print_much(pid, "crashing", 20);
    cr_expect_eq(lines_of("quiet"), 1);
    cr_expect_eq(lines_of("other"), 100);
}

Test(report_ring, short_lines_are_bounded_in_number)
{
    for (uint32_t i = 0; i < 3 * SL_REPORT_RING_LINES; i++)
        add_of(i % 5, "short", "x");
    cr_expect_leq(lines_of("short"), SL_REPORT_RING_LINES);
    cr_expect_gt(lines_of("short"), 10000);
}

Test(report_ring, looks_at_so_much_in_a_call_and_says_that_there_is_more)
{
    print_much(1, "much", 2000);
    struct sl_report_walk walk =
        find((struct sl_report_wanted){.texts = {[SL_REPORT_message] = "y"}});
    cr_expect_eq(walk.count, 0);
    cr_expect(walk.is_more);
    cr_expect_eq(lines_of("nobody"), 0);
}
