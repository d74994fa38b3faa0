/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "actors/served.h"
#include "runtime/alloc.h"

static struct sl_served *served;
static struct sl_served_node *nodes[2000];
static struct sl_buf text, next;
static struct sl_json_doc *doc;

static const char *
name_of(void *arg, uint64_t tenant)
{
    (void)arg;
    return tenant == 7 ? "acme" : NULL;
}

static void
setup(void)
{
    served = sl_served_create();
    sl_served_know(served, sl_slice_str("{\"text\":\"t\",\"image\":\"\"}"));
}

static void
finish(void)
{
    for (size_t i = 0; i < SL_COUNT_OF(nodes); i++)
        sl_served_forget(served, &nodes[i]);
    sl_served_destroy(&served);
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
    sl_buf_deinit(&next);
}

TestSuite(served, .init = setup, .fini = finish);

static struct sl_served_ask
ask_all(void)
{
    return (struct sl_served_ask){.limit = 100, .name = name_of};
}

typedef enum sl_err write_fn(const struct sl_served *s, const struct sl_served_ask *ask,
                             struct sl_jsonw *w, struct sl_buf *ret_next);

static struct sl_json
look(write_fn *write, const struct sl_served_ask *ask)
{
    struct sl_jsonw w;
    sl_json_destroy(&doc);
    sl_buf_clear(&text);
    sl_buf_clear(&next);
    sl_jsonw_init(&w, &text);
    sl_jsonw_array(&w);
    cr_assert_eq(write(served, ask, &w, &next), SL_OK);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    cr_assert_eq(sl_json_parse(sl_buf_slice(&text), &doc, NULL), SL_OK);
    return sl_json_root(doc);
}

static struct sl_json
at(struct sl_json rows, const char *path)
{
    return sl_json_path(rows, sl_slice_str(path));
}

static uint64_t
count(struct sl_json rows, const char *path)
{
    uint64_t value = UINT64_MAX;
    cr_assert_eq(sl_json_u64(at(rows, path), &value), SL_OK, "%s in %s", path, sl_buf_text(&text));
    return value;
}

static void
replica(struct sl_buf *out, const char *extractor, uint64_t tenant, uint32_t id, const char *more)
{
    sl_buf_printf(out, "%s{\"extractor\":\"%s\",\"tenant\":%llu,\"id\":%u,\"pid\":%u,%s}",
                  out->size == 0 ? "" : ",", extractor, (unsigned long long)tenant, id, 100 + id,
                  more);
}

static void
beat(uint32_t node, const char *replicas)
{
    char *array = sl_format("[%s]", replicas);
    struct sl_served_word word = {node, sl_slice_str(array), 50000};
    sl_served_take_replicas(served, &nodes[node], &word);
    sl_free(array);
}

static void
pools(uint32_t node, const char *of)
{
    char *array = sl_format("[%s]", of);
    struct sl_served_word word = {node, sl_slice_str(array), 60000};
    sl_served_take_pools(served, &nodes[node], &word);
    sl_free(array);
}

#define READY                                                                                      \
    "\"state\":\"ready\",\"ongoing\":2,\"waiting\":3,\"is_first\":true,\"age_ms\":1000,"           \
    "\"answered\":10,\"failed\":1,\"cold_start_ms\":70,\"memory\":{\"resident_bytes\":5},"         \
    "\"times\":{\"calls\":{\"count\":4,\"total\":{\"p50_ms\":1.5,\"p95_ms\":2,\"p99_ms\":3}}}"
#define NEXT "\"state\":\"warming\",\"ongoing\":0,\"waiting\":3,\"is_first\":false"

Test(served, what_is_known_is_there_without_a_replica)
{
    struct sl_served_ask ask = ask_all();
    struct sl_json rows = look(sl_served_write_entries, &ask);
    cr_assert_eq(sl_json_count(rows), 2);
    cr_expect(sl_json_is(at(rows, "0.extractor"), "image"));
    cr_expect(sl_json_is(at(rows, "1.state"), "cold"));
    sl_served_configure(served, sl_slice_str("{\"text\":{\"disabled\":true}}"));
    rows = look(sl_served_write_entries, &ask);
    cr_expect(sl_json_is(at(rows, "1.state"), "disabled"));
    sl_served_configure(served, sl_slice_str("{}"));
    cr_expect(sl_json_is(at(look(sl_served_write_entries, &ask), "1.state"), "cold"));
}

Test(served, an_extractors_row_sums_what_its_nodes_told)
{
    struct sl_buf one = {0};
    replica(&one, "text", 0, 1, READY);
    replica(&one, "text", 0, 2, NEXT);
    beat(5, sl_buf_text(&one));
    beat(9, sl_buf_text(&one));
    beat(9, sl_buf_text(&one)); /* Again: it counts once. */
    struct sl_served_ask ask = ask_all();
    ask.extractor = sl_slice_str("text");
    struct sl_json rows = look(sl_served_write_entries, &ask);
    cr_assert_eq(sl_json_count(rows), 1);
    cr_expect(sl_json_is(at(rows, "0.state"), "ready"));
    cr_expect_eq(count(rows, "0.replicas_total"), 4);
    cr_expect_eq(count(rows, "0.counts.ready"), 2);
    cr_expect_eq(count(rows, "0.ongoing_requests"), 4);
    cr_expect_eq(count(rows, "0.queued_requests"), 6);
    cr_expect_eq(count(rows, "0.cold_start_ms"), 70);
    cr_expect_eq(count(rows, "0.nodes"), 2);
    cr_expect(sl_slice_is(sl_json_raw(at(rows, "0.error_rate")), "0.1"));
    cr_expect(sl_slice_is(sl_json_raw(at(rows, "0.p50_ms")), "1.5"));
    cr_expect_eq(sl_json_count(at(rows, "0.replicas")), 4);
    sl_served_forget(served, &nodes[9]);
    rows = look(sl_served_write_entries, &ask);
    cr_expect_eq(count(rows, "0.replicas_total"), 2);
    cr_expect(sl_json_is(at(rows, "0.replicas.0.started_at"), "1970-01-01T00:00:49.000Z"), "%s",
              sl_buf_text(&text));
    sl_buf_deinit(&one);
}

Test(served, its_state_says_what_holds_it)
{
    struct sl_buf one = {0};
    struct sl_served_ask ask = ask_all();
    ask.extractor = sl_slice_str("text");
    pools(5, "{\"extractor\":\"text\",\"tenant\":0,\"wanted\":1,\"life\":{\"state\":\"crashed\","
             "\"crashed\":3}}");
    struct sl_json rows = look(sl_served_write_entries, &ask);
    cr_expect(sl_json_is(at(rows, "0.state"), "failed"));
    cr_expect_eq(count(rows, "0.counts.crashed"), 3);
    replica(&one, "text", 0, 1, READY);
    beat(5, sl_buf_text(&one));
    pools(5, "{\"extractor\":\"text\",\"tenant\":0,\"last\":{\"settings\":{\"min_replicas\":1,"
             "\"max_replicas\":4,\"target_ongoing_requests\":2,\"downscale_delay_s\":30},"
             "\"decision\":{\"reason\":\"at_max\"}},\"life\":{\"state\":\"ready\"}}");
    rows = look(sl_served_write_entries, &ask);
    cr_expect(sl_json_is(at(rows, "0.state"), "saturated"));
    cr_expect_eq(count(rows, "0.max_replicas"), 4);
    cr_expect_eq(count(rows, "0.downscale_delay_s"), 30);
    beat(5, ""); /* How long it took stays told. */
    rows = look(sl_served_write_entries, &ask);
    cr_expect(sl_json_is(at(rows, "0.state"), "cold"));
    cr_expect_eq(count(rows, "0.cold_start_ms"), 70);
    sl_buf_deinit(&one);
}

Test(served, a_tenant_sees_its_own_and_of_shared_ones_that_they_are_there)
{
    struct sl_buf one = {0};
    replica(&one, "text", 0, 1, READY);
    replica(&one, "text", 7, 2, READY);
    replica(&one, "text", 8, 3, READY);
    beat(5, sl_buf_text(&one));
    struct sl_served_ask ask = ask_all();
    ask.is_tenant = true;
    ask.tenant = 7;
    struct sl_json rows = look(sl_served_write_entries, &ask);
    cr_assert_eq(sl_json_count(rows), 3, "%s", sl_buf_text(&text));
    cr_expect(sl_json_is(at(rows, "1.extractor"), "text"));
    cr_expect_not(sl_json_has(at(rows, "1.ongoing_requests")), "shared");
    cr_expect_not(sl_json_has(at(rows, "1.replicas")));
    cr_expect(sl_json_is(at(rows, "2.tenant_id"), "acme"));
    cr_expect_eq(count(rows, "2.replicas_total"), 1);
    rows = look(sl_served_write_replicas, &ask);
    cr_assert_eq(sl_json_count(rows), 1);
    cr_expect(sl_json_is(at(rows, "0.replica_id"), "5-2"));
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_array(&w);
    ask.tenant = 9;
    ask.extractor = sl_slice_str("text");
    cr_expect_eq(sl_served_write_decisions(served, &ask, &w, &next), SL_ENOTFOUND);
    beat(5, ""); /* Tenants' own go with their last replica. */
    ask = ask_all();
    cr_expect_eq(sl_json_count(look(sl_served_write_entries, &ask)), 2);
    sl_buf_deinit(&one);
}

#define DECISION(at, has, to)                                                                      \
    "{\"decision\":{\"at_ns\":" #at ",\"has\":" #has ",\"replicas\":" #to                          \
    ",\"reason\":\"up\",\"why\":\"more\"}}"

Test(served, each_decision_is_told_once_the_latest_first)
{
    struct sl_served_ask ask = ask_all();
    ask.extractor = sl_slice_str("text");
    pools(5, "{\"extractor\":\"text\",\"last\":{\"decision\":{\"at_ns\":3000000}},\"decisions\":"
             "[" DECISION(1000000, 0, 1) "," DECISION(2000000, 1, 2) "]}");
    struct sl_json rows = look(sl_served_write_decisions, &ask);
    cr_assert_eq(sl_json_count(rows), 2);
    cr_expect_eq(count(rows, "0.to_replicas"), 2);
    cr_expect(sl_json_is(at(rows, "0.ts"), "1970-01-01T00:00:59.999Z"), "%s", sl_buf_text(&text));
    pools(5,
          "{\"extractor\":\"text\",\"last\":{\"decision\":{\"at_ns\":5000000}},\"decisions\":"
          "[" DECISION(1000000, 0, 1) "," DECISION(2000000, 1, 2) "," DECISION(4000000, 2, 5) "]}");
    sl_served_forget(served, &nodes[5]); /* It comes back and tells all again. */
    pools(5,
          "{\"extractor\":\"text\",\"last\":{\"decision\":{\"at_ns\":5000000}},\"decisions\":"
          "[" DECISION(1000000, 0, 1) "," DECISION(2000000, 1, 2) "," DECISION(4000000, 2, 5) "]}");
    ask.limit = 2;
    rows = look(sl_served_write_decisions, &ask);
    cr_assert_eq(sl_json_count(rows), 2);
    cr_expect_eq(count(rows, "0.to_replicas"), 5);
    cr_expect(sl_json_is(at(rows, "0.message"), "more"));
    char *cursor = sl_strndup(next.data, next.size);
    ask.after = sl_slice_str(cursor);
    rows = look(sl_served_write_decisions, &ask);
    cr_assert_eq(sl_json_count(rows), 1);
    cr_expect_eq(count(rows, "0.to_replicas"), 1);
    cr_expect_eq(next.size, 0);
    sl_free(cursor);
}

Test(served, pages_have_every_row_once)
{
    for (uint32_t node = 0; node < 50; node++) {
        struct sl_buf one = {0};
        for (uint32_t i = 0; i < 7; i++) {
            char *name = sl_format("e%u", (node + i) % 20);
            replica(&one, name, 0, 10 - i, READY);
            sl_free(name);
        }
        beat(node, sl_buf_text(&one));
        sl_buf_deinit(&one);
    }
    struct {
        write_fn *write;
        uint32_t rows;
    } lists[] = {{sl_served_write_entries, 22}, {sl_served_write_replicas, 350}};
    for (size_t i = 0; i < SL_COUNT_OF(lists); i++) {
        struct sl_served_ask ask = ask_all();
        uint32_t rows = 0, pages = 0;
        char cursor[128] = "";
        ask.limit = 9;
        do {
            ask.after = sl_slice_str(cursor);
            rows += sl_json_count(look(lists[i].write, &ask));
            cr_assert_lt(next.size, sizeof(cursor));
            (void)snprintf(cursor, sizeof(cursor), "%s", next.size == 0 ? "" : sl_buf_text(&next));
        } while (cursor[0] != '\0' && ++pages < 100);
        cr_expect_eq(rows, lists[i].rows);
    }
    struct sl_served_place place;
    cr_assert(sl_served_find(served, sl_slice_str("3-4"), &place));
    cr_expect_eq(place.node, 3);
    cr_expect_not(sl_served_find(served, sl_slice_str("3-77"), &place));
    cr_expect_not(sl_served_find(served, sl_slice_str("3-4x"), &place));
    cr_expect_not(sl_served_find(served, sl_slice_str("-4"), &place));
    struct sl_served_sums sums;
    sl_served_sum(served, &sums);
    cr_expect_eq(sums.ready, 350);
}

Test(served, what_a_node_says_wrongly_is_left_out)
{
    static const char *const texts[] = {"[", "{}", "[1,null,{}]", "[{\"extractor\":5}]",
                                        "[{\"extractor\":\"\",\"tenant\":-1}]"};
    struct sl_served_ask ask = ask_all();
    struct sl_jsonw w;
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct sl_served_word word = {4, sl_slice_str(texts[i]), 1};
        sl_served_take_replicas(served, &nodes[4], &word);
        sl_served_take_pools(served, &nodes[4], &word);
        cr_expect_eq(sl_json_count(look(sl_served_write_entries, &ask)), 2, "%s", texts[i]);
    }
    sl_jsonw_init(&w, &text);
    sl_jsonw_array(&w);
    static const char *const cursors[] = {"x", "1", "99999999999999999999999:a"};
    for (size_t i = 0; i < SL_COUNT_OF(cursors); i++) {
        ask.after = sl_slice_str(cursors[i]);
        cr_expect_eq(sl_served_write_entries(served, &ask, &w, &next), SL_EINVAL, "%s", cursors[i]);
        cr_expect_eq(sl_served_write_replicas(served, &ask, &w, &next), SL_EINVAL);
    }
    struct sl_buf many = {0};
    for (uint32_t i = 0; i < 2 * SL_SERVED_SHARES; i++) {
        char *name = sl_format("many%u", i);
        replica(&many, name, 0, i, READY);
        sl_free(name);
    }
    beat(4, sl_buf_text(&many));
    struct sl_served_sums sums;
    sl_served_sum(served, &sums);
    cr_expect_eq(sums.ready, SL_SERVED_SHARES);
    cr_expect_eq(sums.left_out, SL_SERVED_SHARES);
    sl_buf_deinit(&many);
}
