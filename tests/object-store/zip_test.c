/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/zip.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "tests/object-store/torch_file.h"

static const struct torch_entry sound[] = {
    {.name = "m/data.pkl", .data = "abc", .size = 3, .crc = 7},
    {.name = "m/empty", .data = "", .size = 0},
    {.name = "m/data/0", .data = "01234567", .size = 8, .crc = 8},
};

static enum sl_err
parse(const struct torch_entry *entries, size_t count, const struct torch_archive_options *options,
      struct sl_zip *ret_zip, struct sl_cause *cause)
{
    static struct sl_buf file; /* Entries borrow it. */
    sl_buf_clear(&file);
    torch_archive_append(&file, entries, count, options);
    *cause = (struct sl_cause){0};
    /* A copy of its own, so that a sanitizer sees a read behind it. */
    static uint8_t *copy;
    sl_free(copy);
    copy = sl_memdup(file.data, file.size);
    return sl_zip_parse(sl_slice(copy, file.size), ret_zip, cause);
}

static void
refused(const struct torch_entry *entries, size_t count,
        const struct torch_archive_options *options, const char *says)
{
    struct sl_zip zip = {0};
    struct sl_cause cause;
    enum sl_err err = parse(entries, count, options, &zip, &cause);
    cr_expect_eq(err, SL_EINVAL, "%s, where '%s' is due", sl_err_name(err), says);
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    cr_expect_null(zip.entries);
}

static void
taken(const struct torch_entry *entries, size_t count, const struct torch_archive_options *options)
{
    struct sl_zip zip = {0};
    struct sl_cause cause;
    cr_expect_eq(parse(entries, count, options, &zip, &cause), SL_OK, "%s", cause.text);
    cr_expect_eq(zip.count, count);
    sl_zip_deinit(&zip);
}

Test(zip, finds_each_entry_and_its_bytes)
{
    struct sl_buf file = {0};
    struct sl_zip zip = {0};
    struct sl_cause cause = {0};
    torch_archive_append(&file, sound, SL_COUNT_OF(sound), NULL);
    cr_assert_eq(sl_zip_parse(sl_buf_slice(&file), &zip, &cause), SL_OK, "%s", cause.text);
    cr_assert_eq(zip.count, SL_COUNT_OF(sound));
    for (size_t i = 0; i < SL_COUNT_OF(sound); i++) {
        const struct sl_zip_entry *e = sl_zip_lookup(&zip, sl_slice_str(sound[i].name));
        cr_assert_not_null(e);
        cr_expect(e->is_stored);
        cr_expect(sl_slice_equal(sl_slice(file.data + e->offset, e->size),
                                 sl_slice(sound[i].data, sound[i].size)));
    }
    cr_expect_null(sl_zip_lookup(&zip, sl_slice_str("m/data/1")));
    cr_expect_null(sl_zip_lookup(&zip, sl_slice_str("m/data/")));
    cr_expect_null(sl_zip_lookup(&zip, sl_slice_str("")));
    sl_zip_deinit(&zip);
    sl_buf_deinit(&file);
}

Test(zip, takes_what_other_writers_do)
{
    taken(sound, 3, &(struct torch_archive_options){.has_no_zip64 = true});
    taken(sound, 3, &(struct torch_archive_options){.is_saturated = true});
    taken(sound, 0, NULL);
    struct torch_entry wide[] = {
        {.name = "m/a", .data = "xy", .size = 2, .is_wide = true, .has_no_descriptor = true},
        {.name = "m/b", .data = "xy", .size = 2, .has_wide_descriptor = true, .is_wide = true},
        {.name = "m/c/", .data = "", .size = 0},
        {.name = "m/model:v1", .data = "z", .size = 1, .has_no_descriptor = true}};
    taken(wide, SL_COUNT_OF(wide), NULL);
}

Test(zip, says_which_entries_are_compressed)
{
    struct torch_entry packed[] = {{.name = "m/a", .data = "xy", .size = 2, .method = 8}};
    struct sl_zip zip = {0};
    struct sl_cause cause;
    cr_assert_eq(parse(packed, 1, NULL, &zip, &cause), SL_OK, "%s", cause.text);
    cr_expect_not(zip.entries[0].is_stored);
    sl_zip_deinit(&zip);
    packed[0].method = 12;
    refused(packed, 1, NULL, "without compression");
}

Test(zip, refuses_encryption_and_other_features)
{
    struct torch_entry e = {.name = "m/a", .data = "x", .size = 1, .flags = 1};
    refused(&e, 1, NULL, "encrypted");
    e.flags = 1u << 5;
    refused(&e, 1, NULL, "features");
    e.flags = 1u << 13;
    refused(&e, 1, NULL, "features");
}

Test(zip, refuses_names_that_lead_elsewhere)
{
    static const char *names[] = {"../a", "m/../a", "/m/a",  "m//a", "m/./a",  "..",    "m\\a",
                                  "m/..", "",       "m/\1a", "/",    "m/\xff", "m/..//"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        struct torch_entry e = {.name = names[i], .data = "x", .size = 1};
        refused(&e, 1, NULL, "name of an entry");
    }
    char name[SL_ZIP_NAME_SIZE_MAX + 2];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct torch_entry e = {.name = name, .data = "x", .size = 1};
    refused(&e, 1, NULL, "name of an entry");
    e = (struct torch_entry){.name = "m/a/", .data = "x", .size = 1};
    refused(&e, 1, NULL, "folder");
}

Test(zip, refuses_duplicate_names)
{
    struct torch_entry twice[] = {sound[0], sound[2], sound[0]};
    refused(twice, 3, NULL, "'m/data.pkl' is there twice");
}

Test(zip, refuses_headers_that_disagree)
{
    struct torch_entry e = {.name = "m/a", .data = "xyz", .size = 3, .local_name = "m/b"};
    refused(&e, 1, NULL, "not what the directory says");
    e = (struct torch_entry){.name = "m/a", .data = "xyz", .size = 3, .has_no_descriptor = true};
    e.central_size_add = 1;
    refused(&e, 1, NULL, "not what the directory says");
    e.is_wide = true;
    refused(&e, 1, NULL, "not what the directory says");
    e = (struct torch_entry){.name = "m/a", .data = "xyz", .size = 3, .central_offset_add = 1};
    refused(&e, 1, NULL, "no sound header");
    e.central_offset_add = INT32_MAX;
    refused(&e, 1, NULL, "outside");
    e = (struct torch_entry){.name = "m/a", .data = "xyz", .size = 3, .comment = "hi"};
    refused(&e, 1, NULL, "comment");
}

/* A bomb of this shape has one kernel of data and thousands of entries that all contain it. */
Test(zip, zip_bomb_of_overlapping_entries)
{
    /* The first entry's data hold the header of the second, which the directory points into. */
    struct sl_buf inner = {0};
    struct torch_entry kernel = {
        .name = "m/b", .data = "kernel", .size = 6, .has_no_descriptor = true};
    torch_archive_append(&inner, &kernel, 1, NULL);
    size_t local_size = 30 + 3 + 4 + 6;
    struct torch_entry nested[] = {
        {.name = "m/a", .data = inner.data, .size = local_size, .has_no_descriptor = true},
        {.name = "m/b",
         .data = "kernel",
         .size = 6,
         .has_no_descriptor = true,
         .central_offset_add = -(int64_t)local_size}};
    refused(nested, 2, NULL, "overlaps");
    /* All entries are one. */
    struct torch_entry same[] = {
        {.name = "m/a", .data = "kernel", .size = 6, .has_no_descriptor = true},
        {.name = "m/b",
         .local_name = "m/a",
         .data = "kernel",
         .size = 6,
         .has_no_descriptor = true,
         .central_offset_add = -(int64_t)local_size}};
    refused(same, 2, NULL, "not what the directory says");
    sl_buf_deinit(&inner);
}

Test(zip, refuses_sizes_that_overflow)
{
    struct torch_entry e = {.name = "m/a", .data = "xyz", .size = 3, .is_wide = true};
    e.central_size_add = UINT64_MAX - 3;
    refused(&e, 1, NULL, "longer than the archive");
    e.central_size_add = UINT64_MAX / 2;
    refused(&e, 1, NULL, "longer than the archive");
    e.central_size_add = 0;
    e.central_offset_add = INT64_MAX;
    refused(&e, 1, NULL, "outside");
    e.central_offset_add = -1;
    refused(&e, 1, NULL, "outside");
}

Test(zip, refuses_bytes_that_belong_to_nothing)
{
    struct torch_archive_options o = {.front = "#!/bin/sh\n"};
    refused(sound, 3, &o, "in front");
    o = (struct torch_archive_options){.behind = "more"};
    refused(sound, 3, &o, "something follows it");
    o = (struct torch_archive_options){.comment = "a comment of some length"};
    refused(sound, 3, &o, "end record");
    /* An entry that the directory leaves out. */
    struct torch_entry hole[] = {sound[0], sound[2]};
    o = (struct torch_archive_options){.count_add = -1};
    refused(hole, 2, &o, "more entries than it says");
    o = (struct torch_archive_options){.count_add = 1};
    refused(hole, 2, &o, "too small");
    o = (struct torch_archive_options){.disk = 1};
    refused(sound, 3, &o, "several disks");
}

Test(zip, refuses_what_follows_an_entry_and_is_no_descriptor)
{
    struct sl_buf file = {0};
    struct sl_zip zip = {0};
    struct sl_cause cause = {0};
    torch_archive_append(&file, sound, SL_COUNT_OF(sound), NULL);
    uint8_t *descriptor = memmem(file.data, file.size, "PK\7\10", 4);
    for (size_t i = 0; i < 16; i++) {
        descriptor[i] ^= 1;
        cr_expect_eq(sl_zip_parse(sl_buf_slice(&file), &zip, &cause), SL_EINVAL, "byte %zu", i);
        cr_expect(strstr(cause.text, "belong to no entry") != NULL, "%s", cause.text);
        descriptor[i] ^= 1;
    }
    cr_expect_eq(sl_zip_parse(sl_buf_slice(&file), &zip, &cause), SL_OK);
    sl_zip_deinit(&zip);
    sl_buf_deinit(&file);
}

Test(zip, refuses_more_entries_than_its_limit)
{
    struct torch_entry *many = sl_zalloc(sizeof(*many) * (SL_ZIP_ENTRIES_MAX + 1));
    char *names = sl_zalloc((size_t)16 * (SL_ZIP_ENTRIES_MAX + 1));
    for (uint32_t i = 0; i <= SL_ZIP_ENTRIES_MAX; i++) {
        (void)snprintf(names + i * 16, 16, "m/%u", i);
        many[i] = (struct torch_entry){.name = names + i * 16, .data = ""};
    }
    taken(many, SL_ZIP_ENTRIES_MAX, &(struct torch_archive_options){.is_saturated = true});
    refused(many, SL_ZIP_ENTRIES_MAX + 1, &(struct torch_archive_options){.is_saturated = true},
            "at most 131072");
    sl_free(names);
    sl_free(many);
}

Test(zip, refuses_every_cut_and_takes_no_flipped_byte_for_another_place)
{
    struct sl_buf file = {0};
    struct sl_cause cause = {0};
    torch_archive_append(&file, sound, SL_COUNT_OF(sound), NULL);
    for (size_t size = 0; size < file.size; size++) {
        struct sl_zip zip = {0};
        uint8_t *copy = sl_memdup(file.data, size);
        cr_expect_eq(sl_zip_parse(sl_slice(copy, size), &zip, &cause), SL_EINVAL, "cut at %zu",
                     size);
        sl_free(copy);
    }
    for (size_t i = 0; i < file.size * 8; i++) {
        struct sl_zip zip = {0};
        file.data[i / 8] ^= (uint8_t)(1u << i % 8);
        if (sl_zip_parse(sl_buf_slice(&file), &zip, &cause) == SL_OK) {
            for (uint32_t k = 0; k < zip.count; k++)
                cr_expect(zip.entries[k].offset + zip.entries[k].size <= file.size);
            sl_zip_deinit(&zip);
        }
        file.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    sl_buf_deinit(&file);
}
