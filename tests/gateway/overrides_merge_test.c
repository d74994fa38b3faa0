/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/overrides/merge.h"
#include "runtime/alloc.h"

struct world {
    struct sl_config *base, *config;
    struct sl_overrides *o;
    struct sl_buf said, changes;
};

/* `key` of the base configuration has `value`; NULL: all defaults. */
static struct world
merge_on(const char *key, const char *value, const char *text)
{
    struct world w = {0};
    char *error = NULL;
    w.base = sl_up_options_load(NULL, &error);
    cr_assert_not_null(w.base);
    if (key != NULL)
        cr_assert_eq(sl_config_set(w.base, key, value, &error), SL_OK, "%s", error);
    w.config = sl_up_options_merge(w.base, sl_slice_str(text), &w.o);
    sl_overrides_print(w.o, "f", true, &w.said);
    if (w.config != NULL) {
        struct sl_config_changes changes = sl_config_changes(w.base, w.config);
        sl_config_changes_print(&changes, &w.changes);
        sl_config_changes_deinit(&changes);
    }
    return w;
}

static void
drop(struct world *w)
{
    sl_config_destroy(&w->base);
    sl_config_destroy(&w->config);
    sl_overrides_destroy(&w->o);
    sl_buf_deinit(&w->said);
    sl_buf_deinit(&w->changes);
}

static void
expect_changes(const char *key, const char *value, const char *text, const char *changes)
{
    struct world w = merge_on(key, value, text);
    cr_expect_not_null(w.config, "%s: %s", text, sl_buf_text(&w.said));
    cr_expect_str_eq(sl_buf_text(&w.changes), changes, "%s: %s", text, sl_buf_text(&w.changes));
    drop(&w);
}

static void
expect_fault(const char *key, const char *value, const char *text, const char *said)
{
    struct world w = merge_on(key, value, text);
    cr_expect_null(w.config, "%s", text);
    cr_expect_not_null(strstr(sl_buf_text(&w.said), said), "%s: %s", text, sl_buf_text(&w.said));
    drop(&w);
}

Test(overrides_merge, an_extractor_goes_by_four_names)
{
    static const char *const names[] = {"text_extractor", "text_extractor_v1",
                                        "mixpeek__text_extractor", "acme__text_extractor_v1"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        char *text =
            sl_format("overrides: {%s: {autoscaling_config: {max_replicas: 6}}}", names[i]);
        expect_changes(
            NULL, NULL, text,
            "extractors.text_extractor.autoscaling_config.max_replicas: (not set) -> 6\n");
        sl_free(text);
    }
}

static void
expect_said(const char *key, const char *value, const char *text, const char *said)
{
    struct world w = merge_on(key, value, text);
    cr_expect_not_null(w.config, "%s", text);
    cr_expect_not_null(strstr(sl_buf_text(&w.said), said), "%s: %s", text, sl_buf_text(&w.said));
    drop(&w);
}

Test(overrides_merge, pools_of_celery_are_nodes_of_the_group_that_takes_their_tasks)
{
    static const char key[] = "cluster.groups";
    static const char local[] =
        "{\"cpu\":{\"provider\":\"local\"},\"batch\":{\"provider\":\"local\"}}";
    expect_changes(key, local,
                   "celery: {batch: {replicas: 3, concurrency: 2, autoscaling: {minReplicas: 3, "
                   "maxReplicas: 6}}, general: {replicas: 1, concurrency: 4}}",
                   "cluster.groups.batch.max: (not set) -> 6\n"
                   "cluster.groups.batch.min: (not set) -> 3\n"
                   "cluster.groups.batch.tasks: (not set) -> 2\n"
                   "cluster.groups.cpu.max: (not set) -> 1\n"
                   "cluster.groups.cpu.min: (not set) -> 1\n"
                   "cluster.groups.cpu.tasks: (not set) -> 4\n");
    expect_changes(key, local,
                   "celery: {batch: {replicas: 2, autoscaling: {enabled: false, minReplicas: 3, "
                   "maxReplicas: 6}}}",
                   "cluster.groups.batch.max: (not set) -> 2\n"
                   "cluster.groups.batch.min: (not set) -> 2\n");
    expect_changes(key, local,
                   "celery: {batch: {autoscaling: {minReplicas: 3, maxReplicas: 6}}}\n"
                   "cluster: {batch-workers: {maxReplicas: 5}}\n",
                   "cluster.groups.batch.max: (not set) -> 5\n"
                   "cluster.groups.batch.min: (not set) -> 3\n");
    expect_said(key, local,
                "celery: {batch: {autoscaling: {minReplicas: 3, maxReplicas: 6}}}\n"
                "cluster: {batch-workers: {maxReplicas: 5}}\n",
                "celery.batch.autoscaling.maxReplicas: accepted; no effect: "
                "cluster.batch-workers.maxReplicas says it");
    expect_fault(key, local, "celery: {batch: {autoscaling: {minReplicas: 7, maxReplicas: 6}}}",
                 "f:1: ");
    expect_said(NULL, NULL, "celery: {general: {replicas: 2}}",
                "f:1: note: celery.general.replicas: accepted; no effect: nodes of the group cpu "
                "are not started by demand");
    expect_changes(NULL, NULL, "celery: {general: {replicas: 2, concurrency: 3}}", "");
}

Test(overrides_merge, thresholds_of_health_are_durations_that_a_running_server_takes)
{
    expect_changes(NULL, NULL,
                   "spec: {serviceUnhealthySecondThreshold: 90, "
                   "deploymentUnhealthySecondThreshold: 1.5}",
                   "health.extractor: 5m -> 1500ms\nhealth.service: 15m -> 90s\n");
    expect_fault(NULL, NULL, "spec: {serviceUnhealthySecondThreshold: 0}", "f:1: ");
}

Test(overrides_merge, who_is_not_installed_is_kept_and_told)
{
    struct world w = merge_on(NULL, NULL, "disabled:\n- laion__clap_htsat_tiny\n- text_extracto\n");
    cr_assert_not_null(w.config);
    cr_expect_not_null(strstr(sl_buf_text(&w.changes),
                              "extractors.laion__clap_htsat_tiny.disabled: (not set) -> true\n"));
    cr_expect_not_null(strstr(sl_buf_text(&w.said), "f:2: note: disabled: no extractor here is "
                                                    "called laion__clap_htsat_tiny; it counts"),
                       "%s", sl_buf_text(&w.said));
    cr_expect_not_null(strstr(sl_buf_text(&w.said), "f:3: note: disabled: no extractor here is "
                                                    "called text_extracto (is text_extractor "
                                                    "meant?)"),
                       "%s", sl_buf_text(&w.said));
    drop(&w);
}

Test(overrides_merge, keeps_what_the_configuration_says_of_the_same_extractor)
{
    struct world w = merge_on(
        "extractors",
        "{\"text_extractor\":{\"labels\":{\"zone\":\"b\"},\"autoscaling_config\":{\"max_replicas\":"
        "\"3\",\"min_replicas\":\"1\"}}}",
        "overrides: {text_extractor: {autoscaling_config: {max_replicas: 6}}}\n"
        "disabled: [passthrough_extractor]\n");
    cr_assert_not_null(w.config);
    cr_expect_str_eq(sl_config_string(w.config, SL_UP_extractors),
                     "{\"text_extractor\":{\"labels\":{\"zone\":\"b\"},\"autoscaling_config\":{"
                     "\"min_replicas\":\"1\",\"max_replicas\":\"6\"}},\"passthrough_extractor\":{"
                     "\"disabled\":\"true\"}}");
    cr_expect_str_eq(sl_buf_text(&w.changes),
                     "extractors.passthrough_extractor.disabled: (not set) -> true\n"
                     "extractors.text_extractor.autoscaling_config.max_replicas: 3 -> 6\n");
    drop(&w);
}

Test(overrides_merge, a_setting_goes_by_all_of_its_names)
{
    struct world w =
        merge_on("extractors",
                 "{\"text_extractor\":{\"autoscaling_config\":{\"minReplicas\":\"1\","
                 "\"max_replicas\":\"3\"}}}",
                 "overrides: {text_extractor: {autoscaling_config: {min-scale: 2}}}\n");
    cr_expect_str_eq(sl_config_string(w.config, SL_UP_extractors),
                     "{\"text_extractor\":{\"autoscaling_config\":{\"max_replicas\":\"3\","
                     "\"min_replicas\":\"2\"}}}");
    drop(&w);
    expect_fault(NULL, NULL,
                 "overrides:\n  text_extractor:\n    max_replicas: 2\n"
                 "    autoscaling_config: {maxReplicas: 3}\n",
                 "f:4: overrides.text_extractor.autoscaling_config.maxReplicas: text_extractor was "
                 "set otherwise in line 3");
}

Test(overrides_merge, memory_of_replicas_is_an_extractors)
{
    expect_changes("extractors", "{\"text_extractor\":{\"memory\":\"1GiB\"}}",
                   "overrides:\n"
                   "  text_extractor: {resources: {memory: 1.5Gi}}\n"
                   "  passthrough_extractor: {resources: {limits: {memory: 500M}}}\n",
                   "extractors.passthrough_extractor.memory: (not set) -> 500000000\n"
                   "extractors.text_extractor.memory: 1GiB -> 1610612736\n");
    expect_fault(NULL, NULL,
                 "overrides:\n  text_extractor:\n    resources: {memory: 1Gi}\n"
                 "    ray_actor_options: {memory: 2Gi}\n",
                 "f:4: overrides.text_extractor.ray_actor_options.memory: text_extractor was set "
                 "otherwise in line 3");
}

Test(overrides_merge, groups_are_limited_and_the_others_stay_open)
{
    expect_changes(NULL, NULL, "cluster: {cpu-workers: {minReplicas: 1, maxReplicas: 4}}",
                   "cluster.groups.cpu.max: (not set) -> 4\n"
                   "cluster.groups.cpu.min: (not set) -> 1\n");
    expect_changes("cluster.groups", "cpu", "cluster: {gpu-workers: {maxReplicas: 3}}",
                   "cluster.groups.gpu: none may join -> (not set)\n"
                   "cluster.groups.gpu.max: (not set) -> 3\n");
    expect_changes("cluster.groups", "{\"cpu\":{\"min\":\"2\",\"max\":\"8\"}}",
                   "cluster: {cpu-workers: {maxReplicas: 5}}", "cluster.groups.cpu.max: 8 -> 5\n");
    expect_changes(NULL, NULL, "celery: {batch: {replicas: 3}}", "");
}

Test(overrides_merge, what_only_groups_take_that_are_started_here_is_told)
{
    struct world w =
        merge_on(NULL, NULL, "cluster: {cpu-workers: {resources: {limits: {memory: 48Gi}}}}");
    cr_expect_str_eq(sl_buf_text(&w.changes), "");
    cr_expect_not_null(strstr(sl_buf_text(&w.said), "f:1: note: cluster.cpu-workers.resources."
                                                    "limits.memory: accepted; no effect: "));
    drop(&w);
}

Test(overrides_merge, the_environment_is_merged_and_not_told)
{
    expect_changes("env", "{\"A\":\"1\",\"B\":\"2\"}", "env: {B: 3, C: secret}",
                   "env.B: (not shown) -> (not shown) (after a restart)\n"
                   "env.C: (not set) -> (not shown) (after a restart)\n");
}

Test(overrides_merge, what_may_be_secret_is_written_for_nobody)
{
    struct world w =
        merge_on("traces.headers", "{\"Authorization\":\"Bearer hush\"}", "env: {A: hush}");
    struct sl_buf out = {0};
    struct sl_jsonw json;
    sl_jsonw_init(&json, &out);
    sl_config_write(w.config, &json);
    sl_jsonw_done(&json);
    cr_expect_not_null(strstr(sl_buf_text(&out), "\"env.A\":\"(not shown)\""));
    cr_expect_not_null(
        strstr(sl_buf_text(&out), "\"traces.headers.Authorization\":\"(not shown)\""));
    cr_expect_null(strstr(sl_buf_text(&out), "hush"), "%s", sl_buf_text(&out));
    sl_buf_deinit(&out);
    drop(&w);
}

Test(overrides_merge, refuses_what_does_not_fit_the_configuration)
{
    expect_fault("cluster.groups", "{\"cpu\":{\"max\":\"2\"}}",
                 "cluster:\n  cpu-workers:\n    minReplicas: 3\n",
                 "f:3: cluster: with what the configuration has: cluster.groups.cpu: has a min ");
    expect_fault(NULL, NULL, "overrides:\n  text_extractor:\n    min_replicas: 3\n",
                 "f:3: overrides.text_extractor.autoscaling_config: min_replicas is more than");
    expect_fault(
        NULL, NULL,
        "overrides:\n  text_extractor: {max_replicas: 2}\n  a__text_extractor: "
        "{max_replicas: 3}\n",
        "f:3: overrides.a__text_extractor.max_replicas: text_extractor was set otherwise in "
        "line 2");
    expect_changes(NULL, NULL, "overrides: {text_extractor: {num_replicas: 2}}",
                   "extractors.text_extractor.autoscaling_config.max_replicas: (not set) -> 2\n"
                   "extractors.text_extractor.autoscaling_config.min_replicas: (not set) -> 2\n");
}

/* What each part of a file makes, where another part of it is bad. */
Test(overrides_merge, what_does_not_fit_is_left_out_and_the_rest_counts)
{
    static const char text[] = "disabled: [passthrough_extractor, no name]\n"
                               "overrides:\n"
                               "  text_extractor: {min_replicas: 3, memoryy: 1, ray_actor_options: "
                               "{memory: 1Gi}}\n"
                               "cluster:\n"
                               "  cpu-workers: {minReplicas: 3}\n"
                               "  gpu-workers: {minReplicas: 4, maxReplicas: 3}\n"
                               "env: {LD_PRELOAD: x, GOOD: y}\n";
    struct world w = merge_on("cluster.groups", "{\"cpu\":{\"max\":\"2\"}}", "");
    sl_config_destroy(&w.config);
    sl_overrides_destroy(&w.o);
    w.config = sl_up_options_merge_good(w.base, sl_slice_str(text), &w.o);
    cr_assert_not_null(w.config);
    sl_overrides_print(w.o, "f", false, &w.said);
    struct sl_config_changes changes = sl_config_changes(w.base, w.config);
    sl_config_changes_print(&changes, &w.changes);
    sl_config_changes_deinit(&changes);
    cr_expect_str_eq(sl_buf_text(&w.changes),
                     "cluster.groups.gpu: none may join -> (not set)\n"
                     "cluster.groups.gpu.max: (not set) -> 3\n"
                     "env.GOOD: (not set) -> (not shown) (after a restart)\n"
                     "extractors.passthrough_extractor.disabled: (not set) -> true\n"
                     "extractors.text_extractor.memory: (not set) -> 1073741824\n",
                     "%s", sl_buf_text(&w.changes));
    cr_expect_eq(w.o->errors, 6, "%s", sl_buf_text(&w.said));
    drop(&w);
}

Test(overrides_merge, how_one_scales_that_is_not_installed_is_no_fault)
{
    struct world w = merge_on("extractors", "{\"acme__mine\":{\"disabled\":\"true\"}}",
                              "overrides: {acme__mine: {min_replicas: 3}}\n");
    cr_assert_not_null(w.config, "%s", sl_buf_text(&w.said));
    cr_expect_not_null(strstr(sl_buf_text(&w.said), "left out until there is such an extractor"),
                       "%s", sl_buf_text(&w.said));
    cr_expect_str_eq(sl_buf_text(&w.changes), "");
    drop(&w);
}

Test(overrides_merge, tells_keys_that_a_file_changed_too)
{
    char *error = NULL;
    struct sl_config *a = sl_up_options_load(NULL, &error), *b = sl_config_copy(a);
    struct sl_buf out = {0};
    cr_assert_eq(sl_config_set(b, "drain", "5s", &error), SL_OK);
    cr_assert_eq(sl_config_set(b, "plans", "{\"scale\":{\"models\":\"10\"}}", &error), SL_OK);
    struct sl_config_changes changes = sl_config_changes(a, b);
    sl_config_changes_print(&changes, &out);
    cr_expect_str_eq(sl_buf_text(&out), "drain: 30s -> 5s (after a restart)\n"
                                        "plans.scale.models: (not set) -> 10 (after a restart)\n");
    sl_config_changes_deinit(&changes);
    sl_buf_deinit(&out);
    sl_config_destroy(&a);
    sl_config_destroy(&b);
}

Test(overrides_merge, says_how_batches_are_formed)
{
    expect_changes(NULL, NULL,
                   "overrides:\n"
                   "  text_extractor:\n"
                   "    num_replicas: 2\n"
                   "    batching: {units: 4096, items: 64, delay_ms: 2.5}\n",
                   "extractors.text_extractor.autoscaling_config.max_replicas: (not set) -> 2\n"
                   "extractors.text_extractor.autoscaling_config.min_replicas: (not set) -> 2\n"
                   "extractors.text_extractor.batching.delay: (not set) -> 2500us\n"
                   "extractors.text_extractor.batching.items: (not set) -> 64\n"
                   "extractors.text_extractor.batching.units: (not set) -> 4096\n");
    expect_changes("extractors", "{\"text_extractor\":{\"batching\":{\"units\":\"10\"}}}",
                   "overrides: {text_extractor: {batching: {items: 1}}}\n",
                   "extractors.text_extractor.batching.items: (not set) -> 1\n");
    expect_changes("extractors", "{\"text_extractor\":{\"batching\":{\"units\":\"10\"}}}",
                   "overrides: {text_extractor: {batching: {units: 20}}}\n",
                   "extractors.text_extractor.batching.units: 10 -> 20\n");
    expect_fault(NULL, NULL, "overrides: {text_extractor: {batching: {units: 0}}}\n", "f:1:");
    expect_fault(NULL, NULL, "overrides: {text_extractor: {batching: {items: 257}}}\n", "256");
    expect_fault(NULL, NULL, "overrides: {text_extractor: {batching: {delay_ms: 1001}}}\n", "1000");
    expect_fault(NULL, NULL, "overrides: {text_extractor: {batching: {unit: 4}}}\n", "units");
}
