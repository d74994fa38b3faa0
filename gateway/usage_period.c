/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/usage_period.h"

#include <stdio.h>

#include "actors/ledger.h"
#include "runtime/time.h"

#define DAY_MS     UINT64_C(86400000)
#define MONTH_DAYS 32 /* So many days after a month's first is a day of the next. */
#define DATE_SIZE  10
#define MONTH_SIZE 7

enum sl_err
sl_usage_time(struct sl_slice text, uint64_t *ret_ms)
{
    char whole[32];
    if (text.size != DATE_SIZE)
        return sl_time_parse(text, ret_ms);
    uint64_t at_ms;
    char again[SL_TIME_TEXT_SIZE];
    (void)snprintf(whole, sizeof(whole), "%.10sT00:00:00Z", (const char *)text.data);
    if (sl_time_parse(sl_slice_str(whole), &at_ms) != SL_OK)
        return SL_EINVAL;
    sl_time_format(at_ms, again); /* 30 February is some other day. */
    if (memcmp(again, text.data, DATE_SIZE) != 0)
        return SL_EINVAL;
    *ret_ms = at_ms;
    return SL_OK;
}

static enum sl_err
read_month(struct sl_slice text, uint64_t *ret_ms)
{
    char date[DATE_SIZE + 1];
    (void)snprintf(date, sizeof(date), "%.7s-01", (const char *)text.data);
    return sl_usage_time(sl_slice_str(date), ret_ms);
}

static struct sl_usage_period
month_of(uint64_t at_ms)
{
    uint64_t begin_ms = sl_ledger_begin(SL_LEDGER_MONTH, at_ms);
    return (struct sl_usage_period){
        begin_ms, sl_ledger_begin(SL_LEDGER_MONTH, begin_ms + MONTH_DAYS * DAY_MS)};
}

enum sl_err
sl_usage_period(struct sl_slice text, uint64_t now_ms, struct sl_usage_period *ret_period)
{
    uint64_t at_ms, today_ms = sl_ledger_begin(SL_LEDGER_DAY, now_ms);
    if (text.size == 0) {
        *ret_period = month_of(now_ms);
        return SL_OK;
    }
    if (sl_slice_is(text, "last_30_days")) {
        *ret_period = (struct sl_usage_period){today_ms > 29 * DAY_MS ? today_ms - 29 * DAY_MS : 0,
                                               today_ms + DAY_MS};
        return SL_OK;
    }
    if (text.size == MONTH_SIZE && read_month(text, &at_ms) == SL_OK) {
        *ret_period = month_of(at_ms);
        return SL_OK;
    }
    if (text.size != DATE_SIZE || sl_usage_time(text, &at_ms) != SL_OK)
        return SL_EINVAL;
    *ret_period = (struct sl_usage_period){at_ms, at_ms + DAY_MS};
    return SL_OK;
}
