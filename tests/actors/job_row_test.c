/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/job_row.h"

#include <criterion/criterion.h>

Test(job_row, reads_back_what_was_written_and_refuses_every_cut)
{
    struct sl_buf buf = {0};
    struct sl_job_row in = {.state = SL_JOB_PARTIAL,
                            .created_ms = 1,
                            .started_ms = 2,
                            .ended_ms = 3,
                            .total = 10,
                            .done = 7,
                            .dead = 2,
                            .canceled = 1,
                            .records = 21,
                            .kind = sl_slice_str("api_buckets_batches_process"),
                            .about = sl_slice_str("{\"batch_id\":\"btch_1\"}"),
                            .error = sl_slice_str("no")};
    sl_job_row_encode(&in, &buf);
    struct sl_job_row out;
    cr_assert_eq(sl_job_row_decode(sl_buf_slice(&buf), &out), SL_OK);
    cr_assert_eq(out.state, SL_JOB_PARTIAL);
    cr_assert_eq(out.ended_ms, 3);
    cr_assert_eq(out.total, 10);
    cr_assert_eq(out.done, 7);
    cr_assert_eq(out.dead, 2);
    cr_assert_eq(out.canceled, 1);
    cr_assert_eq(out.records, 21);
    cr_assert(sl_slice_equal(out.kind, in.kind));
    cr_assert(sl_slice_equal(out.about, in.about));
    cr_assert(sl_slice_equal(out.error, in.error));
    for (size_t size = 0; size < buf.size; size++)
        cr_assert_eq(sl_job_row_decode(sl_slice(buf.data, size), &out), SL_ECORRUPT);
    buf.data[1] = SL_JOB_CANCELED + 1;
    cr_assert_eq(sl_job_row_decode(sl_buf_slice(&buf), &out), SL_ECORRUPT);
    sl_buf_deinit(&buf);
}

Test(job_row, an_id_is_uuid_text_and_back)
{
    struct sl_job_id id = {0}, back;
    char text[37];
    for (size_t i = 0; i < sizeof(id.bytes); i++)
        id.bytes[i] = (uint8_t)(i * 17);
    sl_job_id_format(id, text);
    cr_assert_str_eq(text, "00112233-4455-6677-8899-aabbccddeeff");
    cr_assert_eq(sl_job_id_parse(sl_slice_str(text), &back), SL_OK);
    cr_assert_eq(memcmp(&id, &back, sizeof(id)), 0);
    text[8] = '0';
    cr_assert_eq(sl_job_id_parse(sl_slice_str(text), &back), SL_EINVAL);
    text[8] = '-';
    text[0] = 'g';
    cr_assert_eq(sl_job_id_parse(sl_slice_str(text), &back), SL_EINVAL);
    cr_assert_eq(sl_job_id_parse(sl_slice_str("0011"), &back), SL_EINVAL);
}
