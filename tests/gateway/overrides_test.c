/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/overrides.h"

/* What users' files look like: names and values as they have them. */
static const char whole[] =
    "auto_deploy: false\n"
    "disabled:\n"
    "  - mixpeek__playwright\n"
    "  - laion__clap_htsat_tiny\n"
    "  - insightface__arcface\n"
    "overrides:\n"
    "  intfloat__multilingual_e5_large_instruct:\n"
    "    autoscaling_config: {min_replicas: 2, max_replicas: 6}\n"
    "    resources: {memory: 2Gi, cpu: 500m}\n"
    "    concurrency: 4\n"
    "cluster:\n"
    "  cpu-workers:\n"
    "    minReplicas: 1\n"
    "    maxReplicas: 4\n"
    "    resources: {limits: {memory: \"48Gi\", nvidia.com/gpu: 1}}\n"
    "  batch-workers: {minReplicas: 0, maxReplicas: 5}\n"
    "  gpu-workers: {minReplicas: 0, maxReplicas: 3}\n"
    "head: {cpu: 2, memory: 4Gi}\n"
    "celery:\n"
    "  batch:\n"
    "    replicas: 3\n"
    "    concurrency: 2\n"
    "    autoscaling: {minReplicas: 3, maxReplicas: 6}\n"
    "  general: {replicas: 1, concurrency: 4, queues: [default, 'acme:cpu']}\n"
    "redis: {memory: 1Gi, persistence: aof}\n"
    "mvs: {wal: {enabled: true}, index: {m: 16}}\n"
    "node_pools:\n"
    "  cpu-workers: {machine_type: n2-highmem-8, min_nodes: 1, max_nodes: 5, spot: true}\n"
    "  gpu-workers: {accelerator: {type: nvidia-l4, count: 1}}\n"
    "env: {LOG_LEVEL: debug, BATCH: 32}\n"
    "spec: {serviceUnhealthySecondThreshold: 900}\n";

static struct sl_overrides *
read_text(const char *text)
{
    return sl_overrides_read(sl_slice_str(text));
}

static const struct sl_override *
find(const struct sl_overrides *o, const char *path)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (strcmp(o->items[i].path, path) == 0)
            return &o->items[i];
    }
    return NULL;
}

Test(overrides, takes_a_file_as_users_have_it)
{
    struct sl_overrides *o = read_text(whole);
    struct sl_buf said = {0};
    sl_overrides_print(o, "f", false, &said);
    cr_assert_eq(o->errors, 0, "%s", sl_buf_text(&said));
    cr_expect_str_eq(find(o, "disabled")->text, "mixpeek__playwright");
    const struct sl_override *most = find(
        o, "overrides.intfloat__multilingual_e5_large_instruct.autoscaling_config.max_replicas");
    cr_assert_not_null(most);
    cr_expect_str_eq(most->names[0], "intfloat__multilingual_e5_large_instruct");
    cr_expect_str_eq(most->names[1], "max_replicas");
    cr_expect_str_eq(most->text, "6");
    cr_expect_eq(most->line, 8);
    cr_expect_float_eq(find(o, "cluster.cpu-workers.resources.limits.memory")->number, 48 * 0x1p30,
                       1);
    cr_expect_eq(find(o, "cluster.cpu-workers.resources.limits.nvidia.com/gpu")->number, 1);
    cr_expect_eq(find(o, "celery.batch.autoscaling.maxReplicas")->number, 6);
    cr_expect_str_eq(find(o, "env.BATCH")->text, "32");
    cr_expect_eq(find(o, "node_pools.cpu-workers.spot")->number, 1);
    sl_buf_deinit(&said);
    sl_overrides_destroy(&o);
}

Test(overrides, says_what_has_no_effect_and_what_has_says_nothing)
{
    struct sl_overrides *o = read_text("redis: {maxmemory: 3Gi}\n"
                                       "cluster: {gpu-workers: {maxReplicas: 3}}\n");
    struct sl_buf said = {0};
    sl_overrides_print(o, "f.yaml", true, &said);
    cr_expect_eq(o->errors, 0);
    cr_expect_eq(o->notes_count, 1);
    cr_expect_not_null(
        strstr(sl_buf_text(&said), "f.yaml:1: note: redis.maxmemory: accepted; no effect: "), "%s",
        sl_buf_text(&said));
    sl_buf_deinit(&said);
    sl_overrides_destroy(&o);
}

static void
refuse(const char *text, const char *said_at, const char *part)
{
    struct sl_overrides *o = read_text(text);
    struct sl_buf said = {0};
    sl_overrides_print(o, "f", false, &said);
    cr_expect_eq(o->errors, 1, "%s: %u: %s", text, o->errors, sl_buf_text(&said));
    cr_expect(strncmp(sl_buf_text(&said), said_at, strlen(said_at)) == 0, "%s: %s", text,
              sl_buf_text(&said));
    cr_expect_not_null(strstr(sl_buf_text(&said), part), "%s: %s", text, sl_buf_text(&said));
    sl_buf_deinit(&said);
    sl_overrides_destroy(&o);
}

Test(overrides, refuses_each_bad_value_with_its_line_and_what_was_meant)
{
    refuse("disable: [a]\n", "f:1: disable: no such key; is disabled meant?", "");
    refuse("\ncluster:\n  cpu-worker: {minReplicas: 1}\n",
           "f:3: cluster.cpu-worker:", "is cpu-workers meant?");
    refuse("cluster:\n  cpu-workers:\n    minReplica: 1\n",
           "f:3: cluster.cpu-workers.minReplica:", "is minReplicas meant?");
    refuse("overrides:\n  x:\n    autoscaling_config:\n      min_replica: 1\n",
           "f:4: ", "is min_replicas meant?");
    refuse("overrides: {x: {autoscaling_config: {max_replicas: many}}}\n", "f:1: ", "many");
    refuse("overrides: {x: {autoscaling_config: {max_replicas: 5000}}}\n", "f:1: ", "5000");
    refuse("xyzzy: 1\n", "f:1: xyzzy: no such key\n", "");
    refuse("cluster: {cpu-workers: {minReplicas: -1}}\n", "f:1: ", "whole number");
    refuse("cluster: {cpu-workers: {minReplicas: 1.5}}\n", "f:1: ", "whole number");
    refuse("cluster: {cpu-workers: {minReplicas: \"1\"}}\n", "f:1: ", "the text \"1\"");
    refuse("cluster: {cpu-workers: {minReplicas: [1]}}\n", "f:1: ", "got a list");
    refuse("cluster: {cpu-workers: {minReplicas: {a: 1}}}\n", "f:1: ", "got keys");
    refuse("cluster: {cpu-workers: {minReplicas: }}\n", "f:1: ", "no value");
    refuse("cluster: {cpu-workers: 3}\n", "f:1: cluster.cpu-workers: expected keys", "");
    refuse("cluster:\n  cpu-workers:\n    resources: {limits: {memory: 48GiB}}\n", "f:3: ", "48Gi");
    refuse("cluster: {cpu-workers: {resources: {limits: {memory: 0}}}}\n",
           "f:1: ", "between 1 and 1Pi");
    refuse("cluster: {cpu-workers: {minReplicas: 10000000}}\n", "f:1: ", "0 and 999999");
    refuse("auto_deploy: yes\n", "f:1: auto_deploy: expected true or false", "");
    refuse("disabled: [a, {b: c}]\n", "f:1: disabled: expected a name", "");
    refuse("disabled:\n- a b\n", "f:2: disabled: \"a b\" is no name", "");
    refuse("env: {LD_PRELOAD: x}\n", "f:1: env.LD_PRELOAD: ", "not taken");
    refuse("env: {1X: x}\n", "f:1: env.1X: ", "letters");
    refuse("overrides: {'a b': {concurrency: 1}}\n", "f:1: ", "a name has");
    refuse("a: [\n", "f:2: ", "");
    refuse("- a\n", "f:1: expected keys", "");
    refuse("cluster: {cpu-workers: {minReplicas: 5, maxReplicas: 4}}\n",
           "f:1: ", "minReplicas: 5 is more than maxReplicas in line 1, 4");
    refuse("node_pools:\n  a:\n    min_nodes: 3\n    max_nodes: 2\n", "f:3: ", "line 4");
    refuse("overrides: {x: {num_replicas: 3, min_replicas: 1}}\n", "f:1: ", "not both");
    refuse("celery.batch.replicas: 1\ncelery: {batch: {replicas: 2}}\n",
           "f:2: ", "given twice, first in line 1");
}

Test(overrides, tells_all_faults_of_a_file_in_the_order_of_its_lines)
{
    struct sl_overrides *o = read_text("cluster: {cpu-workers: {minReplicas: 5, maxReplicas: 4}}\n"
                                       "nope: 1\n"
                                       "auto_deploy: 3\n");
    struct sl_buf said = {0};
    sl_overrides_print(o, "f", false, &said);
    cr_expect_eq(o->errors, 3);
    const char *first = strstr(sl_buf_text(&said), "f:1: "),
               *last = strstr(sl_buf_text(&said), "f:3: ");
    cr_assert(first != NULL && last != NULL && first < last, "%s", sl_buf_text(&said));
    sl_buf_deinit(&said);
    sl_overrides_destroy(&o);
}

Test(overrides, keeps_a_bounded_number_of_notes_of_a_file_full_of_faults)
{
    struct sl_buf text = {0}, said = {0};
    for (int i = 0; i < 3000; i++)
        sl_buf_printf(&text, "x%d: 1\n", i);
    struct sl_overrides *o = sl_overrides_read(sl_buf_slice(&text));
    cr_expect_eq(o->errors, SL_OVERRIDE_ERRORS_MAX);
    cr_expect_eq(o->notes_count, SL_OVERRIDE_ERRORS_MAX);
    sl_overrides_print(o, "f", true, &said);
    cr_expect_not_null(strstr(sl_buf_text(&said), "there is more"));
    sl_buf_deinit(&text);
    sl_buf_deinit(&said);
    sl_overrides_destroy(&o);
}

Test(overrides, takes_a_bounded_number_of_values)
{
    for (uint32_t more = 0; more < 2; more++) {
        struct sl_buf text = {0};
        sl_buf_append_str(&text, "disabled:\n");
        for (uint32_t i = 0; i < SL_OVERRIDES_MAX + more; i++)
            sl_buf_printf(&text, "- x%u\n", i);
        struct sl_overrides *o = sl_overrides_read(sl_buf_slice(&text));
        cr_expect_eq(o->count, SL_OVERRIDES_MAX);
        cr_expect_eq(o->errors, more);
        sl_buf_deinit(&text);
        sl_overrides_destroy(&o);
    }
}

Test(overrides, remarks_leave_room_for_faults)
{
    struct sl_buf text = {0}, said = {0};
    sl_buf_append_str(&text, "node_pools:\n");
    for (uint32_t i = 0; i < SL_OVERRIDE_NOTES_MAX; i++)
        sl_buf_printf(&text, "  p%u: {spot: true}\n", i);
    sl_buf_append_str(&text, "nonsense: 1\n");
    struct sl_overrides *o = sl_overrides_read(sl_buf_slice(&text));
    cr_expect_eq(o->errors, 1);
    sl_overrides_print(o, "f", false, &said);
    cr_expect_not_null(strstr(sl_buf_text(&said), "nonsense: no such key"));
    sl_buf_deinit(&text);
    sl_buf_deinit(&said);
    sl_overrides_destroy(&o);
}

Test(overrides, holds_an_empty_file)
{
    static const char *const texts[] = {"", "# nothing\n", "cluster:\n",
                                        "disabled: []\ncelery: {}\n"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct sl_overrides *o = read_text(texts[i]);
        cr_expect_eq(o->errors, 0);
        cr_expect_eq(o->count, 0);
        sl_overrides_destroy(&o);
    }
}

/* Each row of the table can be said, and each has something to say. */
Test(overrides, has_a_reference_of_all_its_keys)
{
    uint32_t count;
    const struct sl_override_row *rows = sl_override_rows(&count);
    struct sl_buf out = {0};
    sl_overrides_reference(&out);
    for (uint32_t i = 0; i < count; i++) {
        char cell[160];
        snprintf(cell, sizeof(cell), "| `%s` |", rows[i].path);
        cr_expect_not_null(strstr(sl_buf_text(&out), cell), "%s", cell);
        cr_expect(rows[i].doc[0] != '\0' && rows[i].target[0] != '\0');
    }
    sl_buf_deinit(&out);
}
