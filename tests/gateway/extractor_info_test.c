/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/extractor/info.h"

static void
check_json(const char *text, enum sl_json_kind kind, const char *who)
{
    struct sl_json_doc *doc = NULL;
    cr_assert_eq(sl_json_parse(sl_slice_str(text), &doc, NULL), SL_OK, "%s: %s", who, text);
    cr_assert_eq(sl_json_kind(sl_json_root(doc)), kind, "%s: %s", who, text);
    sl_json_destroy(&doc);
}

Test(extractor_info, has_only_well_formed_texts)
{
    uint32_t count;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    cr_assert_eq(count, 12);
    for (uint32_t i = 0; i < count; i++) {
        const struct sl_extractor_info *e = &infos[i];
        check_json(e->inputs, SL_JSON_OBJECT, e->id);
        check_json(e->parameters, SL_JSON_OBJECT, e->id);
        check_json(e->outputs, SL_JSON_OBJECT, e->id);
        check_json(e->inputs_required, SL_JSON_ARRAY, e->id);
        check_json(e->input_types, SL_JSON_ARRAY, e->id);
        check_json(e->inputs_max, SL_JSON_OBJECT, e->id);
        check_json(e->defaults, SL_JSON_OBJECT, e->id);
        check_json(e->costs, SL_JSON_OBJECT, e->id);
        check_json(e->position_fields, SL_JSON_ARRAY, e->id);
        for (uint32_t j = 0; j < e->indexes_count; j++)
            cr_assert_eq(strncmp(e->indexes[j].output, e->id, strlen(e->id)), 0);
    }
}

/* Members that the clients' models require. */
static const char *const required[] = {
    "feature_extractor_name",
    "version",
    "feature_extractor_id",
    "description",
    "icon",
    "input_schema",
    "output_schema",
    "parameter_schema",
    "supported_input_types",
    "max_inputs",
    "default_parameters",
    "required_vector_indexes",
    "required_payload_indexes",
};

Test(extractor_info, renders_every_member_that_clients_require)
{
    uint32_t count;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_buf out = {0};
        struct sl_jsonw w;
        sl_jsonw_init(&w, &out);
        sl_extractor_info_write(&infos[i], &w);
        sl_jsonw_done(&w);
        struct sl_json_doc *doc = NULL;
        cr_assert_eq(sl_json_parse(sl_buf_slice(&out), &doc, NULL), SL_OK);
        for (size_t j = 0; j < SL_COUNT_OF(required); j++)
            cr_assert(sl_json_has(sl_json_member(sl_json_root(doc), required[j])), "%s %s",
                      infos[i].id, required[j]);
        sl_json_destroy(&doc);
        sl_buf_deinit(&out);
    }
}

Test(extractor_info, offers_only_what_runs_here)
{
    uint32_t count, available = 0;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    for (uint32_t i = 0; i < count; i++)
        available += sl_extractor_info_is_available(&infos[i]);
    cr_assert_eq(available, 2);
    cr_assert(sl_extractor_info_is_available(
        sl_extractor_info_lookup(sl_slice_str("text_extractor"), sl_slice_str("v1"))));
    cr_assert(sl_extractor_info_is_available(
        sl_extractor_info_by_id(sl_slice_str("passthrough_extractor_v1"))));
}

Test(extractor_info, tells_versions_apart)
{
    struct sl_slice name = sl_slice_str("multimodal_extractor");
    cr_assert_str_eq(sl_extractor_info_lookup(name, sl_slice_str("v2"))->id,
                     "multimodal_extractor_v2");
    cr_assert_str_eq(sl_extractor_info_lookup(name, sl_slice("", 0))->id,
                     "multimodal_extractor_v1");
    cr_assert_null(sl_extractor_info_lookup(name, sl_slice_str("v3")));
}

Test(extractor_info, names_a_collections_index_after_its_model)
{
    struct sl_buf out = {0};
    struct sl_vector_index index = {
        .extractor = sl_extractor_info_by_id(sl_slice_str("text_extractor_v1")),
        .name = sl_slice_str("all_minilm_l6_v2"),
        .dimensions = 384,
    };
    sl_vector_index_uri(&index, &out);
    cr_assert_str_eq(sl_buf_text(&out), "mixpeek://text_extractor@v1/all_minilm_l6_v2");
    sl_buf_deinit(&out);
}

Test(extractor_info, takes_in_the_plugins_of_a_directory)
{
    static const char *const files[] = {"mine.so",  "image_extractor.so", "text_extractor.so",
                                        "Upper.so", "notes.txt",          ".so",
                                        "a b.so",   "mine.so.old"};
    char directory[] = "/tmp/sl-plugins-XXXXXX", path[128];
    uint32_t before, after;
    (void)sl_extractor_infos(&before);
    cr_assert_not_null(mkdtemp(directory));
    for (size_t i = 0; i < SL_COUNT_OF(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        FILE *file = fopen(path, "we");
        cr_assert_not_null(file);
        fclose(file);
    }
    snprintf(path, sizeof(path), "%s::/nowhere/at/all", directory);
    sl_extractor_infos_install(
        &(struct sl_extractor_plugins){.directories = path, .program = "/bin/false"});
    (void)sl_extractor_infos(&after);
    cr_assert_eq(after, before + 1);
    const struct sl_extractor_info *mine = sl_extractor_info_by_id(sl_slice_str("mine_v1"));
    cr_assert_not_null(mine);
    cr_assert(mine->is_custom);
    cr_assert_not(sl_extractor_info_is_available(mine), "nothing could be asked of it");
    cr_assert(strstr(mine->unavailable_reason, "crashed") != NULL);
    cr_assert_not_null(sl_extractor_info_lookup(sl_slice_str("mine"), sl_slice_str("v1")));
    cr_assert_null(sl_extractor_info_lookup(sl_slice_str("mine"), sl_slice_str("v2")));
    const struct sl_extractor_info *image =
        sl_extractor_info_by_id(sl_slice_str("image_extractor_v1"));
    cr_assert(image->is_custom && sl_extractor_info_is_available(image));
    cr_assert_not(sl_extractor_info_by_id(sl_slice_str("text_extractor_v1"))->is_custom);
    for (size_t i = 0; i < SL_COUNT_OF(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}
