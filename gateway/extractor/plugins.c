/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue of extractors with what the operator has installed: each NAME.so in the plugin
 * directories is an extractor NAME, as the replica will look for it. What a plugin says of itself
 * is read in a process of its own: its code is never loaded by the one that holds the store.
 */
#include <dirent.h>

#include "gateway/extractor/describe.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define NAME_SIZE_MAX 64

static struct sl_extractor_info all[SL_EXTRACTORS_MAX];
static uint32_t all_count;
static const char *reasons[SL_EXTRACTORS_MAX]; /* Why not, were it not disabled. */
static bool is_disabled[SL_EXTRACTORS_MAX];
static struct sl_arena *texts; /* What plugins say of themselves; as long as the process. */

const struct sl_extractor_info *
sl_extractor_infos(uint32_t *ret_count)
{
    if (all_count == 0)
        return sl_extractor_infos_builtin(ret_count);
    *ret_count = all_count;
    return all;
}

/* NAME of "NAME.so"; empty: not the name of an extractor. */
static struct sl_slice
extractor_name(const char *file)
{
    size_t size = strlen(file);
    if (size <= 3 || size - 3 > NAME_SIZE_MAX || strcmp(file + size - 3, ".so") != 0)
        return (struct sl_slice){0};
    for (size_t i = 0; i < size - 3; i++) {
        bool is_letter = file[i] >= 'a' && file[i] <= 'z';
        bool is_digit = file[i] >= '0' && file[i] <= '9';
        if (!is_letter && !(i > 0 && (is_digit || file[i] == '_')))
            return (struct sl_slice){0};
    }
    return sl_slice(file, size - 3);
}

/* True: listed already, built in or from an earlier directory. */
static bool
is_listed(struct sl_slice name)
{
    for (uint32_t i = 0; i < all_count; i++) {
        if (!sl_slice_is(name, all[i].name))
            continue;
        /* Known, but nothing backed it. One that takes a built-in's place needs no word here. */
        if (all[i].unavailable_reason != NULL && !all[i].is_custom) {
            all[i].is_custom = true;
            all[i].unavailable_reason = NULL;
        }
        return true;
    }
    return false;
}

/* `name` and `end` in one text that lives as long as the catalogue. */
static const char *
keep(struct sl_slice name, const char *end)
{
    size_t end_size = strlen(end) + 1;
    char *text = sl_arena_alloc(texts, name.size + end_size);
    memcpy(text, name.data, name.size);
    memcpy(text + name.size, end, end_size);
    return text;
}

static void
add(const struct sl_extractor_plugins *plugins, const char *directory, struct sl_slice name)
{
    struct sl_cause cause = {0};
    if (is_listed(name))
        return;
    if (all_count == SL_EXTRACTORS_MAX) {
        sl_report_warn("plugin-skipped", "name=%.*s why=\"more than %d extractors\"",
                       SL_SLICE_FMT(name), SL_EXTRACTORS_MAX);
        return;
    }
    struct sl_extractor_info *info = &all[all_count++];
    *info = (struct sl_extractor_info){
        .name = keep(name, ""),
        .version = "v1",
        .id = keep(name, "_v1"),
        .description = "An extractor that the operator installed",
        .icon = "puzzle",
        .is_custom = true,
        .inputs = "{\"content\":{\"type\":\"string\",\"description\":\"What it reads when "
                  "nothing is mapped; other names go to the plugin as they are\"}}",
        .inputs_required = "[]",
        .input_types = "[\"text\",\"string\",\"image\",\"audio\",\"video\",\"pdf\"]",
        .inputs_max = "{}",
        .parameters = "{}",
        .defaults = "{}",
        .outputs = "{}",
        .costs = "{\"tier\":1,\"tier_label\":\"SIMPLE\",\"rates\":[]}",
        .position_fields = "[]",
    };
    char *path = sl_format("%s/%s.so", directory, info->name);
    if (sl_extractor_describe(plugins, path, texts, info, &cause) != SL_OK) {
        info->unavailable_reason = keep(sl_slice_str(cause.text), "");
        sl_report_warn("plugin-unusable", "file=%s why=\"%s\"", path, cause.text);
    }
    sl_free(path);
}

static void
add_directory(const struct sl_extractor_plugins *plugins, const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        sl_report_warn("plugins-unreadable", "directory=%s", path);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        struct sl_slice name = extractor_name(entry->d_name);
        if (name.size > 0)
            add(plugins, path, name);
    }
    closedir(directory);
}

void
sl_extractor_infos_install(const struct sl_extractor_plugins *plugins)
{
    const char *directories = plugins->directories;
    uint32_t count;
    const struct sl_extractor_info *builtin = sl_extractor_infos_builtin(&count);
    sl_assert(count <= SL_EXTRACTORS_MAX);
    texts = sl_arena_create();
    sl_assert(all_count == 0); /* Once, before any thread could look. */
    for (; all_count < count; all_count++)
        all[all_count] = builtin[all_count];
    while (*directories != '\0') {
        size_t size = strcspn(directories, ":");
        char *path = sl_strndup(directories, size);
        if (size > 0)
            add_directory(plugins, path);
        sl_free(path);
        directories += size + (directories[size] == ':');
    }
}

void
sl_extractor_infos_disable(struct sl_json extractors)
{
    for (uint32_t i = 0; i < all_count; i++) {
        struct sl_json own = sl_json_member(extractors, all[i].name);
        if (!is_disabled[i])
            reasons[i] = all[i].unavailable_reason;
        is_disabled[i] = sl_json_is(sl_json_member(own, "disabled"), "true");
        all[i].unavailable_reason =
            is_disabled[i] ? "it is disabled by the operator's configuration" : reasons[i];
    }
}

bool
sl_extractor_info_is_disabled(struct sl_slice name)
{
    for (uint32_t i = 0; i < all_count; i++) {
        if (is_disabled[i] && sl_slice_is(name, all[i].name))
            return true;
    }
    return false;
}
