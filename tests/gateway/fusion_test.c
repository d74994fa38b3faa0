/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>

#include "gateway/feature_uri.h"
#include "gateway/fusion.h"

static const struct sl_ranked first[] = {{1, 0, 0.9}, {2, 0, 0.8}, {3, 0, 0.1}};
static const struct sl_ranked second[] = {{2, 0, 0.7}, {4, 0, 0.6}};

static uint32_t
fuse(enum sl_fusion method, struct sl_ranked *out)
{
    struct sl_ranking both[] = {{first, 3, 1.0}, {second, 2, 0.5}};
    return sl_fuse(method, both, 2, out);
}

static double
score_of(const struct sl_ranked *items, uint32_t count, uint64_t number)
{
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].number == number)
            return items[i].score;
    }
    return NAN;
}

Test(fusion, rrf_adds_reciprocal_ranks)
{
    struct sl_ranked out[5];
    uint32_t count = fuse(SL_FUSION_RRF, out);
    cr_assert_eq(count, 4);
    cr_assert_eq(out[0].number, 2);
    cr_assert_float_eq(score_of(out, count, 2), 1.0 / 62 + 1.0 / 61, 1e-12);
    cr_assert_float_eq(score_of(out, count, 1), 1.0 / 61, 1e-12);
    cr_assert_float_eq(score_of(out, count, 4), 1.0 / 62, 1e-12);
    cr_assert_float_eq(score_of(out, count, 3), 1.0 / 63, 1e-12);
}

Test(fusion, weighted_adds_weighted_scores)
{
    struct sl_ranked out[5];
    uint32_t count = fuse(SL_FUSION_WEIGHTED, out);
    cr_assert_float_eq(score_of(out, count, 2), 0.8 + 0.5 * 0.7, 1e-12);
    cr_assert_float_eq(score_of(out, count, 4), 0.5 * 0.6, 1e-12);
}

Test(fusion, max_keeps_the_best_score)
{
    struct sl_ranked out[5];
    uint32_t count = fuse(SL_FUSION_MAX, out);
    cr_assert_eq(out[0].number, 1);
    cr_assert_float_eq(score_of(out, count, 2), 0.8, 1e-12);
}

Test(fusion, dbsf_puts_a_lists_mean_in_the_middle)
{
    static const struct sl_ranked three[] = {{1, 0, 0.3}, {2, 0, 0.2}, {3, 0, 0.1}};
    static const struct sl_ranked equal[] = {{4, 0, 0.5}, {5, 0, 0.5}};
    struct sl_ranking both[] = {{three, 3, 1.0}, {equal, 2, 1.0}};
    struct sl_ranked out[5];
    uint32_t count = sl_fuse(SL_FUSION_DBSF, both, 2, out);
    cr_assert_float_eq(score_of(out, count, 2), 0.5, 1e-12);
    cr_assert_float_eq(score_of(out, count, 4), 0.5, 1e-12);
    cr_assert_gt(score_of(out, count, 1), 0.5);
    cr_assert_lt(score_of(out, count, 1), 1.0);
}

Test(fusion, one_list_alone_keeps_its_scores_and_order)
{
    struct sl_ranking one = {first, 3, 0.5};
    struct sl_ranked out[3];
    cr_assert_eq(sl_fuse(SL_FUSION_RRF, &one, 1, out), 3);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(out[i].number, first[i].number);
        cr_assert_float_eq(out[i].score, first[i].score, 1e-12);
    }
}

Test(fusion, ties_go_by_document)
{
    static const struct sl_ranked tied[] = {{9, 0, 0.5}, {3, 1, 0.5}, {3, 0, 0.5}};
    struct sl_ranking one = {tied, 3, 1.0};
    struct sl_ranked out[3];
    cr_assert_eq(sl_fuse(SL_FUSION_RRF, &one, 1, out), 3);
    cr_assert_eq(out[0].number, 3);
    cr_assert_eq(out[0].collection, 0);
    cr_assert_eq(out[1].collection, 1);
    cr_assert_eq(out[2].number, 9);
}

Test(fusion, nothing_fuses_to_nothing)
{
    cr_assert_eq(sl_fuse(SL_FUSION_RRF, NULL, 0, NULL), 0);
}

Test(feature_uri, reads_its_parts)
{
    struct sl_feature_uri u;
    cr_assert_eq(
        sl_feature_uri_parse(sl_slice_str("mixpeek://text_extractor@v1/all_minilm_l6_v2"), &u),
        SL_OK);
    cr_assert(sl_slice_is(u.extractor, "text_extractor"));
    cr_assert(sl_slice_is(u.version, "v1"));
    cr_assert(sl_slice_is(u.output, "all_minilm_l6_v2"));
}

Test(feature_uri, reads_a_missing_output_and_embedding_as_the_primary_index)
{
    static const char *const texts[] = {"mixpeek://text_extractor@v1", "sluice://text_extractor@v1",
                                        "mixpeek://text_extractor@v1/",
                                        "sluice://text_extractor@v1/embedding"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct sl_feature_uri u;
        cr_assert_eq(sl_feature_uri_parse(sl_slice_str(texts[i]), &u), SL_OK, "%s", texts[i]);
        cr_assert_eq(u.output.size, 0, "%s", texts[i]);
    }
}

Test(feature_uri, refuses_what_is_none)
{
    static const char *const texts[] = {"",
                                        "mixpeek://",
                                        "mixpeek://a",
                                        "mixpeek://@v1/x",
                                        "mixpeek://a@/x",
                                        "mixpeek://a@v1/x/y",
                                        "http://a@v1/x",
                                        "mixpeek://a@v1/x y",
                                        "text_extractor@v1/x"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct sl_feature_uri u;
        cr_assert_eq(sl_feature_uri_parse(sl_slice_str(texts[i]), &u), SL_EINVAL, "%s", texts[i]);
    }
}
