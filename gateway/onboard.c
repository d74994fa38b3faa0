/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The secret of the first key is in the reply to who asked for the tenant, and nowhere else: what
 * is noted between the steps is its digest.
 */
#include "gateway/onboard.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "actors/rows.h"
#include "gateway/isolation/alarm.h"
#include "gateway/isolation/level.h"
#include "gateway/isolation/rows.h"
#include "gateway/resource.h"
#include "gateway/tenant.h"
#include "runtime/hash.h"

#define HEAD_KEY "tenant"

enum outcome { STEP_DONE, STEP_SKIPPED, STEP_FAILED };

struct step {
    struct sl_passage *passage;
    struct sl_call *call;
    const char *detail; /* Arena or static; NULL: nothing to say. */
};

static const char *
note_str(struct step *s, const char *name)
{
    return sl_member_str(s->call, s->passage->note, name);
}

/* ---- create_database ------------------------------------------------------------------------ */

static bool
has_rows(struct step *s)
{
    bool has = false;
    for (unsigned table = 1; !has && table <= UINT8_MAX; table++) {
        struct sl_scan scan = {0};
        sl_txn_scan(s->call->txn, s->passage->tenant.scope, (uint8_t)table, sl_slice(NULL, 0),
                    sl_slice(NULL, 0), false, &scan);
        has = sl_scan_next(&scan);
        sl_scan_end(&scan);
    }
    return has;
}

/* The tenant's rows are those of its scope, which nobody has had before. */
static enum outcome
create_database(struct step *s)
{
    const struct sl_identity *tenant = &s->passage->tenant;
    struct sl_buf row = {0};
    struct sl_jsonw w;
    if (has_rows(s)) {
        s->detail = "the scope that the tenant was given holds rows already";
        return STEP_FAILED;
    }
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "tenant_id", tenant->tenant_id);
    sl_jsonw_member_str(&w, "organization_id", tenant->organization_id);
    sl_jsonw_member_time(&w, "created_at", s->call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_txn_put(s->call->txn, tenant->scope, SL_TABLE_HEAD, sl_slice_str(HEAD_KEY),
               sl_buf_slice(&row));
    sl_buf_deinit(&row);
    s->detail = sl_call_format(s->call, "scope %" PRIu64 " of the catalogue", tenant->scope.id);
    return STEP_DONE;
}

/* ---- provision_infrastructure --------------------------------------------------------------- */

static char *
models_path(struct step *s)
{
    return sl_call_format(s->call, "%s/models/%" PRIu64, s->call->gateway->data_directory,
                          s->passage->tenant.scope.id);
}

/* Where its models' files will lie. Queues begin with their first task, replicas with their first
 * call. One mkdir: not worth a thread. */
static enum outcome
provision_infrastructure(struct step *s)
{
    char *path = models_path(s);
    char *parent = sl_call_format(s->call, "%s/models", s->call->gateway->data_directory);
    if ((mkdir(parent, 0700) != 0 && errno != EEXIST) ||
        (mkdir(path, 0700) != 0 && errno != EEXIST)) {
        s->detail =
            sl_call_format(s->call, "no directory for models could be made: %s", strerror(errno));
        return STEP_FAILED;
    }
    const char *wanted = sl_member_str(s->call, s->passage->row, "isolation_level");
    sl_isolation_begin(s->call->txn, s->passage->tenant.scope, wanted);
    s->detail = strcmp(wanted, "logical") == 0
                    ? "a directory for models"
                    : sl_call_format(s->call,
                                     "a directory for models, replicas of its own; %s isolation is "
                                     "asked for, and what is enforced is said beside it",
                                     wanted);
    return STEP_DONE;
}

/* ---- configure_security --------------------------------------------------------------------- */

struct admission {
    struct sl_identity who;
    uint8_t digest[SL_SHA256_SIZE];
};

static void
after_key(struct sl_call *call, void *arg)
{
    const struct admission *a = arg;
    sl_keyring_put(call->gateway->keyring, a->digest, &a->who, 0);
}

static bool
read_digest(struct sl_slice hex, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    if (hex.size != 2 * (size_t)SL_SHA256_SIZE)
        return false;
    for (size_t i = 0; i < SL_SHA256_SIZE; i++) {
        char two[3] = {(char)hex.data[2 * i], (char)hex.data[2 * i + 1], '\0'}, *end;
        ret_digest[i] = (uint8_t)strtoul(two, &end, 16);
        if (*end != '\0')
            return false;
    }
    return true;
}

/* The key that the note tells of. */
static void
describe_key(struct step *s, struct sl_key_new *ret_want)
{
    const struct sl_identity *tenant = &s->passage->tenant;
    uint32_t permissions = 0;
    for (int p = SL_PERMIT_READ; p <= SL_PERMIT_ADMIN; p++)
        permissions |= SL_PERMIT_BIT(p);
    *ret_want = (struct sl_key_new){.name = SL_ADMIN_KEY_NAME,
                                    .email = note_str(s, "owner_email"),
                                    .user_id = note_str(s, "user_id"),
                                    .organization_id = tenant->organization_id,
                                    .tenant_id = tenant->tenant_id,
                                    .created_by = note_str(s, "user_id"),
                                    .scope = tenant->scope,
                                    .permissions = permissions,
                                    .now_ms = sl_passage_number(s->passage->note, "begun_ms")};
}

/* The door has been shut since the tenant has a row; the addresses that it allows were read then.
 * Now the first key is stored, which opens nothing before the tenant is active. */
static enum outcome
configure_security(struct step *s)
{
    struct admission *a = sl_call_alloc(s->call, sizeof(*a));
    struct sl_key_made made = {0};
    struct sl_key_new want;
    struct sl_door door;
    if (sl_door_read(s->passage->row, &door) != SL_OK || !door.is_suspended ||
        !read_digest(sl_member_text(s->call, s->passage->note, "key_digest"), made.digest)) {
        s->detail = "the tenant's row or its first key cannot be read";
        return STEP_FAILED;
    }
    describe_key(s, &want);
    (void)snprintf(made.key_id, sizeof(made.key_id), "%s", note_str(s, "key_id"));
    (void)snprintf(made.secret, sizeof(made.secret), "%s", note_str(s, "key_start"));
    sl_key_put(s->call->txn, &want, &made);
    a->who = s->passage->tenant;
    a->who.permissions = want.permissions;
    (void)snprintf(a->who.key_id, sizeof(a->who.key_id), "%s", made.key_id);
    (void)snprintf(a->who.user_id, sizeof(a->who.user_id), "%s", want.user_id);
    memcpy(a->digest, made.digest, sizeof(a->digest));
    sl_call_after_commit(s->call, after_key, a);
    s->detail = door.ranges_count == 0
                    ? "the first key, from any address"
                    : sl_call_format(s->call, "the first key, from %" PRIu32 " ranges of addresses",
                                     door.ranges_count);
    return STEP_DONE;
}

/* ---- load_initial_data ---------------------------------------------------------------------- */

/* Who owns it: there is nothing else that a tenant begins with. */
static enum outcome
load_initial_data(struct step *s)
{
    struct sl_identity owner = s->passage->tenant;
    struct sl_tenant_new want = {.organization_id = owner.organization_id,
                                 .owner_email = note_str(s, "owner_email"),
                                 .owner_name = note_str(s, "owner_name"),
                                 .now_ms = sl_passage_number(s->passage->note, "begun_ms")};
    (void)snprintf(owner.user_id, sizeof(owner.user_id), "%s", note_str(s, "user_id"));
    sl_tenant_put_owner(s->call->txn, &want, &owner);
    s->detail = "the owner";
    return STEP_DONE;
}

/* ---- configure_integrations ----------------------------------------------------------------- */

/* What a tenant may ask for beside what is built in: nothing is connected to yet, and it is told so
 * instead of finding out. Where its data is to be kept is not to be passed over. */
static enum outcome
configure_integrations(struct step *s)
{
    struct sl_json config = sl_json_member(s->passage->row, "config");
    struct sl_json asked = sl_json_member(config, "integrations");
    const char *region = sl_member_str(s->call, s->passage->row, "region");
    const char *residency = sl_member_str(s->call, config, "data_residency");
    if (*residency != '\0' && *region != '\0' && strcmp(region, residency) != 0) {
        s->detail = sl_call_format(s->call,
                                   "config.data_residency is %.64s, and region is %.64s: "
                                   "data would lie where it must not",
                                   residency, region);
        return STEP_FAILED;
    }
    if (sl_json_count(asked) == 0) {
        s->detail = "none is asked for";
        return STEP_SKIPPED;
    }
    s->detail = sl_call_format(s->call,
                               "%" PRIu32 " asked for, none of which is offered: what is built in "
                               "serves instead",
                               sl_json_count(asked));
    return STEP_SKIPPED;
}

/* ---- verify_setup --------------------------------------------------------------------------- */

static bool
is_head_good(struct step *s)
{
    struct sl_slice value;
    return sl_txn_get(s->call->txn, s->passage->tenant.scope, SL_TABLE_HEAD, sl_slice_str(HEAD_KEY),
                      &value) == SL_OK &&
           sl_json_is(sl_json_member(sl_call_parse(s->call, value), "tenant_id"),
                      s->passage->tenant.tenant_id);
}

static bool
is_directory_good(struct step *s)
{
    struct stat st;
    return lstat(models_path(s), &st) == 0 && S_ISDIR(st.st_mode);
}

/* The key opens this scope and no other, by the row and by what the front looks at. */
static bool
is_key_good(struct step *s)
{
    struct sl_identity who;
    uint8_t digest[SL_SHA256_SIZE];
    struct sl_slice row;
    return read_digest(sl_member_text(s->call, s->passage->note, "key_digest"), digest) &&
           sl_txn_get(s->call->txn, SL_SCOPE_SYSTEM, SL_TABLE_KEY, sl_slice(digest, sizeof(digest)),
                      &row) == SL_OK &&
           sl_keyring_find(s->call->gateway->keyring, digest, s->call->now_ms, &who) == SL_OK &&
           who.scope.id == s->passage->tenant.scope.id && !who.is_operator;
}

static bool
is_owner_good(struct step *s)
{
    struct sl_buf key = {0};
    struct sl_slice row;
    bool is_good =
        sl_txn_get(s->call->txn, s->passage->tenant.scope, SL_TABLE_USER,
                   sl_key(&key, 1, note_str(s, "owner_email")), &row) == SL_OK &&
        sl_json_is(sl_json_member(sl_call_parse(s->call, row), "user_id"), note_str(s, "user_id"));
    sl_buf_deinit(&key);
    return is_good;
}

/* Nothing of this scope is to be found by the same name in another. */
static bool
is_scope_its_own(struct step *s)
{
    uint64_t scope = s->passage->tenant.scope.id;
    struct sl_slice value;
    const uint64_t others[] = {0, scope - 1, scope + 1};
    for (size_t i = 0; i < SL_COUNT_OF(others); i++) {
        if (sl_txn_get(s->call->txn, (struct sl_scope){others[i]}, SL_TABLE_HEAD,
                       sl_slice_str(HEAD_KEY), &value) == SL_OK &&
            sl_json_is(sl_json_member(sl_call_parse(s->call, value), "tenant_id"),
                       s->passage->tenant.tenant_id))
            return false;
    }
    return true;
}

/*
 * What `sluice tenant verify` tries by rows and ids, a neighbour tries here; each must be refused,
 * since no part of a kernel could be missing. What it has processes try takes a fifth of a second
 * and a spawner: that is not for a step. NULL: nothing went through.
 */
static const char *
find_violation(struct step *s)
{
    struct sl_identity neighbour = sl_isolation_neighbour();
    struct sl_isolation *found = sl_call_alloc(s->call, sizeof(*found));
    *found = (struct sl_isolation){.states = SL_SANDBOX_NONE};
    sl_isolation_rows(s->call, &s->passage->tenant, &neighbour, found);
    for (int i = 0; i < SL_ATTACK_COUNT; i++) {
        const struct sl_attack_info *info = sl_attack_info((enum sl_attack)i);
        const struct sl_attack_result *r = &found->of[i];
        if (info->by != SL_ATTACK_BY_ROWS || r->through == 0)
            continue;
        const char *check = sl_isolation_check_name(info->check);
        char *why = sl_call_format(s->call, "%s: %u of %u went through, such as: %s", info->name,
                                   r->through, r->tried, r->text);
        sl_isolation_alarm(s->call, &s->passage->tenant, check, why);
        return sl_call_format(s->call, "%s is violated: %s", check, why);
    }
    return NULL;
}

static enum outcome
verify_setup(struct step *s)
{
    static const struct {
        const char *what;
        bool (*is_good)(struct step *s);
    } checks[] = {{"its database", is_head_good},
                  {"its database apart from others", is_scope_its_own},
                  {"its directory", is_directory_good},
                  {"its first key", is_key_good},
                  {"its owner", is_owner_good}};
    for (size_t i = 0; i < SL_COUNT_OF(checks); i++) {
        if (checks[i].is_good(s))
            continue;
        s->detail = sl_call_format(s->call, "%s is not as it was made", checks[i].what);
        return STEP_FAILED;
    }
    s->detail = find_violation(s);
    if (s->detail != NULL)
        return STEP_FAILED;
    s->detail = sl_call_format(s->call, "%zu checks, and a neighbour gets nothing by rows and ids",
                               SL_COUNT_OF(checks));
    return STEP_DONE;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum outcome (*run)(struct step *s);
} steps[] = {
    {"create_database", create_database},
    {"provision_infrastructure", provision_infrastructure},
    {"configure_security", configure_security},
    {"load_initial_data", load_initial_data},
    {"configure_integrations", configure_integrations},
    {"verify_setup", verify_setup},
};
static_assert(SL_COUNT_OF(steps) == SL_ONBOARD_STEPS, "the header says how many");

static void
write_step(struct sl_jsonw *w, const char *name, const char *status, uint64_t now_ms,
           const char *detail)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "name", name);
    sl_jsonw_member_str(w, "status", status);
    sl_jsonw_member_time(w, "started_at", now_ms);
    sl_jsonw_member_time(w, "finished_at", now_ms);
    sl_jsonw_member_str(w, "detail", detail);
    sl_jsonw_end(w);
}

/* The tenant's row with step `at` as it went (NULL: none did); those behind it are yet to come. */
static void
write_row(struct sl_passage *p, size_t at, const char *status, const struct step *s,
          struct sl_buf *out)
{
    static const char *const changed[] = {"state", "onboarding", "updated_at", NULL};
    struct sl_jsonw w;
    size_t i = 0;
    bool is_last = at + 1 == SL_COUNT_OF(steps), has_failed = strcmp(status, "failed") == 0;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_write_except(&w, p->row, changed);
    sl_jsonw_member_str(&w, "state", has_failed ? "failed" : is_last ? "active" : "provisioning");
    sl_jsonw_name(&w, "onboarding");
    sl_jsonw_array(&w);
    for (struct sl_json_iter old = sl_json_iter(sl_json_member(p->row, "onboarding"));
         i < at && sl_json_next(&old); i++)
        sl_jsonw_value(&w, old.value);
    for (; i < SL_COUNT_OF(steps); i++) {
        if (i == at)
            write_step(&w, steps[i].name, status, p->call->now_ms, s->detail);
        else
            write_step(&w, steps[i].name, "pending", 0, NULL);
    }
    sl_jsonw_end(&w);
    sl_jsonw_member_time(&w, "updated_at", p->call->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

struct opened {
    struct sl_scope scope;
    struct sl_door door;
};

static void
after_end(struct sl_call *call, void *arg)
{
    const struct opened *o = arg;
    sl_keyring_door_put(call->gateway->keyring, o->scope, &o->door);
}

static void
put_note(struct sl_passage *p, size_t next)
{
    static const char *const changed[] = {"step", NULL};
    struct sl_buf note = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &note);
    sl_jsonw_object(&w);
    sl_write_except(&w, p->note, changed);
    sl_jsonw_member_u64(&w, "step", next);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_passage_put(p->call, p->tenant.tenant_id, sl_buf_slice(&note));
    sl_buf_deinit(&note);
}

enum sl_passage_state
sl_onboard_step(struct sl_passage *p)
{
    static const char *const statuses[] = {"done", "skipped", "failed"};
    struct step s = {.passage = p, .call = p->call};
    size_t at = sl_passage_number(p->note, "step");
    struct sl_buf row = {0};
    if (SL_BUG(at >= SL_COUNT_OF(steps))) {
        sl_passage_end(p);
        return SL_PASSAGE_ENDED;
    }
    size_t mark = sl_txn_mark(p->call->txn);
    enum outcome outcome = steps[at].run(&s);
    if (outcome == STEP_FAILED)
        sl_txn_rollback_to(p->call->txn, mark);
    bool is_over = outcome == STEP_FAILED || at + 1 == SL_COUNT_OF(steps);
    write_row(p, at, statuses[outcome], &s, &row);
    sl_passage_put_row(p, &row);
    sl_passage_put_task(p,
                        &(struct sl_passage_task){.done = at + (outcome != STEP_FAILED),
                                                  .total = SL_COUNT_OF(steps),
                                                  .state = outcome == STEP_FAILED ? SL_JOB_FAILED
                                                           : is_over              ? SL_JOB_SUCCEEDED
                                                                                  : SL_JOB_RUNNING,
                                                  .error = outcome == STEP_FAILED ? s.detail : ""});
    if (is_over) {
        struct opened *o = sl_call_alloc(p->call, sizeof(*o));
        o->scope = p->tenant.scope;
        sl_passage_end(p);
        if (sl_door_read(sl_call_parse(p->call, sl_buf_slice(&row)), &o->door) == SL_OK)
            sl_call_after_commit(p->call, after_end, o);
    } else {
        put_note(p, at + 1);
    }
    sl_buf_deinit(&row);
    return is_over ? SL_PASSAGE_ENDED : SL_PASSAGE_MORE;
}

/* ---- the first of them ---------------------------------------------------------------------- */

static void
write_note(struct sl_jsonw *w, const struct sl_tenant_new *want, const struct sl_tenant_made *made)
{
    char hex[2 * SL_SHA256_SIZE + 1];
    for (size_t i = 0; i < SL_SHA256_SIZE; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", made->digest[i]);
    sl_jsonw_member_str(w, "kind", "onboard");
    sl_jsonw_member_u64(w, "step", 0);
    sl_jsonw_member_u64(w, "begun_ms", want->now_ms);
    sl_jsonw_member_str(w, "owner_email", want->owner_email);
    sl_jsonw_member_str(w, "owner_name", want->owner_name);
    sl_jsonw_member_str(w, "user_id", made->who.user_id);
    sl_jsonw_member_str(w, "key_id", made->who.key_id);
    sl_jsonw_member_slice(w, "key_start", sl_slice(made->secret, SL_SECRET_SHOWN));
    sl_jsonw_member_str(w, "key_digest", hex);
}

const char *
sl_onboard_begin(struct sl_call *call, struct sl_tenant_new *want, struct sl_tenant_made *ret_made)
{
    struct sl_passage p = {.call = call};
    struct sl_buf row = {0};
    struct sl_jsonw w;
    want->state = "provisioning";
    sl_tenant_begin(call->txn, want, ret_made);
    p.tenant = ret_made->who;
    const char *task = sl_passage_new_task(
        call, "api_namespaces_create", SL_COUNT_OF(steps),
        sl_call_format(call, "{\"kind\":\"tenant_create\",\"tenant_id\":\"%s\"}", want->tenant_id));
    if (!SL_BUG(!sl_tenant_find(call, want->tenant_id, &p.row))) {
        write_row(&p, SL_COUNT_OF(steps), "pending", NULL, &row);
        sl_passage_put_row(&p, &row);
    }
    sl_buf_clear(&row);
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    write_note(&w, want, ret_made);
    sl_jsonw_member_str(&w, "task", task);
    sl_jsonw_member_u64(&w, "task_scope", call->who.scope.id);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_passage_put(call, want->tenant_id, sl_buf_slice(&row));
    sl_buf_deinit(&row);
    return task;
}
