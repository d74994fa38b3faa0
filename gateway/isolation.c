/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/isolation.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define P(part) (1u << SL_SANDBOX_##part)
#define WIDE    SL_ATTACK_WIDE
#define MAY     SL_ATTACK_MAY
#define APART   SL_ATTACK_APART

static const struct sl_attack_info table[] = {
#define ATTACK(name, check, by, holds, what)                                                       \
    {#name, what, SL_CHECK_##check, SL_ATTACK_BY_##by, holds},
#include "gateway/isolation.def"
};

static const char *const check_names[SL_CHECK_COUNT] = {"database_isolation", "cache_isolation",
                                                        "network_isolation", "process_isolation",
                                                        "resource_isolation"};

const struct sl_attack_info *
sl_attack_info(enum sl_attack attack)
{
    sl_assert(attack < SL_ATTACK_COUNT);
    return &table[attack];
}

void
sl_attack_note(struct sl_attack_result *r, int error, const char *text)
{
    r->tried++;
    if (error >= 0) {
        r->error = error;
        return;
    }
    if (r->through++ == 0)
        (void)snprintf(r->text, sizeof(r->text), "%s", text);
}

const char *
sl_isolation_check_name(enum sl_isolation_check check)
{
    return check_names[check];
}

bool
sl_isolation_check_of(struct sl_slice name, enum sl_isolation_check *ret_check)
{
    for (unsigned i = 0; i < SL_CHECK_COUNT; i++) {
        if (!sl_slice_is(name, check_names[i]))
            continue;
        *ret_check = (enum sl_isolation_check)i;
        return true;
    }
    return false;
}

/* ---- judging -------------------------------------------------------------------------------- */

static bool
is_asked(const struct sl_isolation *found, const struct sl_attack_info *info)
{
    return found->is_apart || (info->holds & APART) == 0;
}

/* A part that is to hold it and that the kernel refused us: its errno. 0: there is none. */
static uint32_t
missing_part(const struct sl_isolation *found, const struct sl_attack_info *info,
             enum sl_sandbox_part *ret_part)
{
    for (unsigned i = 0; i < SL_SANDBOX_PARTS; i++) {
        uint32_t state = sl_sandbox_state(found->states, (enum sl_sandbox_part)i);
        if ((info->holds & (1u << i)) == 0 || state == SL_SANDBOX_ENFORCED ||
            state == SL_SANDBOX_OFF)
            continue;
        *ret_part = (enum sl_sandbox_part)i;
        return state;
    }
    return 0;
}

static void
judge(const struct sl_isolation *found, const struct sl_attack_info *info,
      const struct sl_attack_result *r, struct sl_isolation_verdict *v)
{
    enum sl_sandbox_part part = SL_SANDBOX_PARTS;
    bool is_left_out = found->is_sanitized && (info->holds & WIDE) != 0;
    if (r->tried > 0 && r->through == 0)
        return;
    if (r->tried == 0 && (info->holds & MAY) != 0)
        return;
    uint32_t missing = missing_part(found, info, &part);
    if (is_left_out || (r->through > 0 && missing != 0)) {
        if (v->status >= SL_ISOLATION_NOT_ENFORCED)
            return;
        v->status = SL_ISOLATION_NOT_ENFORCED;
        if (is_left_out)
            (void)snprintf(v->text, sizeof(v->text),
                           "%s: a build with a sanitizer leaves out what holds it", info->name);
        else
            (void)snprintf(v->text, sizeof(v->text), "%s: this kernel has no %s here (%s)",
                           info->name, sl_sandbox_part_name(part), strerrorname_np((int)missing));
        return;
    }
    enum sl_isolation_status status = r->through > 0 ? SL_ISOLATION_VIOLATED : SL_ISOLATION_UNKNOWN;
    if (v->status >= status)
        return;
    v->status = status;
    if (r->through > 0)
        (void)snprintf(v->text, sizeof(v->text),
                       "%s: %" PRIu32 " of %" PRIu32 " went through, such as: %s", info->name,
                       r->through, r->tried, r->text);
    else
        (void)snprintf(v->text, sizeof(v->text), "%s: it was not tried: %s", info->name,
                       *r->text == '\0' ? "the processes did not come, or not to an end" : r->text);
}

void
sl_isolation_judge(const struct sl_isolation *found, enum sl_isolation_check check,
                   struct sl_isolation_verdict *ret_verdict)
{
    uint32_t tried = 0, attacks = 0;
    *ret_verdict = (struct sl_isolation_verdict){.status = SL_ISOLATION_ENFORCED};
    for (unsigned i = 0; i < SL_ATTACK_COUNT; i++) {
        if (table[i].check != check || !is_asked(found, &table[i]))
            continue;
        attacks += found->of[i].tried > 0;
        tried += found->of[i].tried;
        judge(found, &table[i], &found->of[i], ret_verdict);
    }
    if (ret_verdict->status == SL_ISOLATION_ENFORCED)
        (void)snprintf(ret_verdict->text, sizeof(ret_verdict->text),
                       "%" PRIu32 " attacks were refused, in all of %" PRIu32 " tries", attacks,
                       tried);
}

/* ---- telling -------------------------------------------------------------------------------- */

static const char *
outcome(const struct sl_attack_result *r)
{
    const char *name = r->error > 0 ? strerrorname_np(r->error) : NULL;
    if (r->tried == 0)
        return "not tried";
    if (r->through > 0)
        return "went through";
    if (r->error == 0)
        return "found nothing";
    return name == NULL ? "refused" : name;
}

static void
write_evidence(const struct sl_attack_info *info, const struct sl_attack_result *r,
               struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "attack", info->name);
    sl_jsonw_member_str(w, "what", info->what);
    sl_jsonw_member_u64(w, "tried", r->tried);
    sl_jsonw_member_u64(w, "refused", r->tried - r->through);
    sl_jsonw_member_str(w, "result", outcome(r));
    if (*r->text != '\0')
        sl_jsonw_member_str(w, "detail", r->text);
    sl_jsonw_end(w);
}

void
sl_isolation_write(const struct sl_isolation *found, enum sl_isolation_check check,
                   struct sl_jsonw *w)
{
    static const char *const names[] = {[SL_ISOLATION_ENFORCED] = "enforced",
                                        [SL_ISOLATION_NOT_ENFORCED] = "not enforced",
                                        [SL_ISOLATION_UNKNOWN] = "unknown",
                                        [SL_ISOLATION_VIOLATED] = "violated"};
    struct sl_isolation_verdict verdict;
    uint64_t took_ns = 0;
    sl_isolation_judge(found, check, &verdict);
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "name", check_names[check]);
    sl_jsonw_member_bool(w, "passed", verdict.status == SL_ISOLATION_ENFORCED);
    sl_jsonw_member_str(w, "status", names[verdict.status]);
    sl_jsonw_member_str(w, "detail", verdict.text);
    sl_jsonw_name(w, "evidence");
    sl_jsonw_array(w);
    for (unsigned i = 0; i < SL_ATTACK_COUNT; i++) {
        if (table[i].check != check || !is_asked(found, &table[i]))
            continue;
        took_ns += found->of[i].took_ns;
        write_evidence(&table[i], &found->of[i], w);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_f64(w, "duration_ms", (double)(took_ns / SL_MICRO_NS) / 1000);
    sl_jsonw_end(w);
}
