/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proof is worth what it would find: each attack is made here on something that is open, and on
 * the same thing held. The victim and the attackers are processes of each test's own.
 */
#include "gateway/isolation.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actors/rows.h"
#include "gateway/isolation/attack.h"
#include "gateway/isolation/glutton.h"
#include "gateway/isolation/rows.h"
#include "object-store/object_client.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

/* ---- judging -------------------------------------------------------------------------------- */

static struct sl_isolation found;
static struct sl_isolation_verdict verdict;

/* All attacks were made once and refused. */
static void
refuse_all(void)
{
    found = (struct sl_isolation){.is_apart = true};
    for (unsigned i = 0; i < SL_ATTACK_COUNT; i++)
        sl_attack_note(&found.of[i], EPERM, "");
}

static enum sl_isolation_status
judge(enum sl_isolation_check check)
{
    sl_isolation_judge(&found, check, &verdict);
    return verdict.status;
}

static void
lack(enum sl_sandbox_part part, uint32_t error)
{
    found.states |= (uint64_t)error << (8 * part);
}

Test(isolation, holds_where_every_attack_was_refused)
{
    refuse_all();
    for (unsigned i = 0; i < SL_CHECK_COUNT; i++)
        cr_expect_eq(judge((enum sl_isolation_check)i), SL_ISOLATION_ENFORCED, "%s", verdict.text);
}

Test(isolation, is_violated_by_one_try_that_went_through)
{
    refuse_all();
    sl_attack_note(&found.of[SL_ATTACK_signals], -1, "kill(server)");
    cr_assert_eq(judge(SL_CHECK_PROCESS), SL_ISOLATION_VIOLATED);
    cr_assert_str_eq(verdict.text, "signals: 1 of 2 went through, such as: kill(server)");
    cr_assert_eq(judge(SL_CHECK_NETWORK), SL_ISOLATION_ENFORCED, "the others are as they were");
}

Test(isolation, is_not_enforced_where_the_kernel_refused_the_part_that_is_to_hold_it)
{
    refuse_all();
    sl_attack_note(&found.of[SL_ATTACK_read_files], -1, "admin.key");
    lack(SL_SANDBOX_LANDLOCK, ENOSYS);
    cr_assert_eq(judge(SL_CHECK_DATABASE), SL_ISOLATION_NOT_ENFORCED);
    cr_assert_str_eq(verdict.text, "read_files: this kernel has no landlock here (ENOSYS)");
    /* Another part's absence excuses nothing, nor does one that is switched off. */
    found.states = 0;
    lack(SL_SANDBOX_SECCOMP, ENOSYS);
    cr_assert_eq(judge(SL_CHECK_DATABASE), SL_ISOLATION_VIOLATED);
    found.states = SL_SANDBOX_NONE;
    cr_assert_eq(judge(SL_CHECK_DATABASE), SL_ISOLATION_VIOLATED);
}

Test(isolation, is_not_enforced_by_a_part_that_lacks_where_another_one_held)
{
    refuse_all();
    lack(SL_SANDBOX_LANDLOCK, ENOSYS);
    cr_assert_eq(judge(SL_CHECK_PROCESS), SL_ISOLATION_ENFORCED, "%s", verdict.text);
}

Test(isolation, is_unknown_where_an_attack_was_not_made)
{
    refuse_all();
    found.of[SL_ATTACK_threads] = (struct sl_attack_result){0};
    cr_assert_eq(judge(SL_CHECK_RESOURCE), SL_ISOLATION_UNKNOWN);
    found.is_sanitized = true; /* Which leaves some out. */
    cr_assert_eq(judge(SL_CHECK_RESOURCE), SL_ISOLATION_NOT_ENFORCED);
    found.of[SL_ATTACK_vectors] = (struct sl_attack_result){0};
    cr_assert_eq(judge(SL_CHECK_CACHE), SL_ISOLATION_ENFORCED, "there may be none");
}

Test(isolation, asks_for_users_of_their_own_above_level_logical_alone)
{
    refuse_all();
    sl_attack_note(&found.of[SL_ATTACK_same_user], -1, "the same");
    cr_assert_eq(judge(SL_CHECK_PROCESS), SL_ISOLATION_VIOLATED);
    found.is_apart = false;
    cr_assert_eq(judge(SL_CHECK_PROCESS), SL_ISOLATION_ENFORCED);
}

Test(isolation, tells_what_was_tried)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    refuse_all();
    sl_jsonw_init(&w, &out);
    sl_isolation_write(&found, SL_CHECK_RESOURCE, &w);
    sl_jsonw_done(&w);
    cr_assert_not_null(
        strstr(sl_buf_text(&out),
               "\"name\":\"resource_isolation\",\"passed\":true,\"status\":"
               "\"enforced\",\"detail\":\"6 attacks were refused, in all of 6 tries\""));
    cr_assert_not_null(strstr(sl_buf_text(&out),
                              "{\"attack\":\"threads\",\"what\":\"start more threads than a tenant "
                              "may have\",\"tried\":1,\"refused\":1,\"result\":\"EPERM\"}"));
    sl_buf_deinit(&out);
}

/* ---- processes ------------------------------------------------------------------------------ */

static char data[] = "/tmp/sl-isolation-XXXXXX";
static struct sl_attack_target target;
static struct sl_json_doc *paths;
static char *paths_text;

/* A process with a page and a memory file, as replicas of a tenant are; it waits for its end. */
static pid_t
start_victim(void)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    target.memory_fd = memfd_create("victim", MFD_CLOEXEC);
    target.address = (uint64_t)(uintptr_t)page;
    target.user = sl_attack_user();
    target.uid = getuid();
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* Of a test that does not come to its end. */
        for (;;)
            (void)pause();
    }
    (void)close(target.memory_fd);
    return pid;
}

static void
begin(void)
{
    cr_assert_not_null(mkdtemp(data));
    char *file = sl_format("%s/secret", data);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    paths_text = sl_format("[\"%s/\",\"%s\"]", data, file);
    cr_assert_eq(sl_json_parse(sl_slice_str(paths_text), &paths, NULL), SL_OK);
    target = (struct sl_attack_target){.server_pid = getpid(),
                                       .data = data,
                                       .paths = sl_json_root(paths),
                                       .memory_bytes = 64 * SL_MIB,
                                       .object_fd = -1,
                                       .own_fd = -1};
    target.pid = start_victim();
    sl_free(file);
}

static void
finish(void)
{
    (void)kill(target.pid, SIGKILL);
    (void)waitpid(target.pid, NULL, 0);
    char *file = sl_format("%s/secret", data);
    (void)unlink(file);
    (void)rmdir(data);
    sl_free(file);
    sl_json_destroy(&paths);
    sl_free(paths_text);
}

TestSuite(attack, .init = begin, .fini = finish, .timeout = 60);

/* Make attacks in a child, confined or not; how they went is in `found`. */
static void
attack(const struct sl_sandbox_options *held, const enum sl_attack *attacks, size_t count)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    found = (struct sl_isolation){.is_sanitized = sl_sandbox_is_sanitized()};
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t states = held == NULL ? SL_SANDBOX_NONE : sl_sandbox_enter(held);
        (void)!write(pair[1], &states, sizeof(states));
        for (size_t i = 0; i < count; i++) {
            struct sl_attack_result r;
            sl_attack_run(attacks[i], &target, &r);
            (void)!write(pair[1], &r, sizeof(r));
        }
        _exit(0);
    }
    cr_assert_eq(read(pair[0], &found.states, sizeof(found.states)), sizeof(found.states));
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(read(pair[0], &found.of[attacks[i]], sizeof(found.of[0])), sizeof(found.of[0]),
                     "%s did not end", sl_attack_info(attacks[i])->name);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static const enum sl_attack tried[] = {
    SL_ATTACK_read_files,   SL_ATTACK_write_files,       SL_ATTACK_list_directories,
    SL_ATTACK_create_files, SL_ATTACK_open_memory_files, SL_ATTACK_shared_memory,
    SL_ATTACK_sockets,      SL_ATTACK_signals,           SL_ATTACK_trace,
    SL_ATTACK_read_memory,  SL_ATTACK_look_into,         SL_ATTACK_take_descriptors,
    SL_ATTACK_change_it,    SL_ATTACK_fork_bomb,         SL_ATTACK_memory,
    SL_ATTACK_descriptors,  SL_ATTACK_threads,           SL_ATTACK_memory_files,
};

static bool
is_through(enum sl_attack attack)
{
    return found.of[attack].through > 0;
}

Test(attack, goes_through_where_nothing_holds_it)
{
    attack(NULL, tried, SL_COUNT_OF(tried));
    for (size_t i = 0; i < SL_COUNT_OF(tried); i++) {
        const struct sl_attack_info *info = sl_attack_info(tried[i]);
        bool is_left_out = sl_sandbox_is_sanitized() && (info->holds & SL_ATTACK_WIDE) != 0;
        bool is_of_system = tried[i] == SL_ATTACK_trace || tried[i] == SL_ATTACK_take_descriptors ||
                            tried[i] == SL_ATTACK_read_memory || tried[i] == SL_ATTACK_look_into ||
                            tried[i] == SL_ATTACK_open_memory_files;
        if (geteuid() == 0 || !is_of_system) /* Yama may keep users from their own. */
            cr_expect(is_through(tried[i]) || is_left_out, "%s: %d", info->name,
                      found.of[tried[i]].error);
    }
    cr_expect_eq(found.of[SL_ATTACK_read_files].through, 1);
    cr_expect_str_eq(found.of[SL_ATTACK_signals].text, "kill(replica)");
}

Test(attack, is_refused_where_it_is_held_as_a_replica_is)
{
    attack(&(struct sl_sandbox_options){.uid = sl_sandbox_uid(SL_SANDBOX_UID_COUNT - 9),
                                        .data_bytes = 64 * SL_MIB},
           tried, SL_COUNT_OF(tried));
    if (sl_sandbox_state(found.states, SL_SANDBOX_LANDLOCK) != SL_SANDBOX_ENFORCED ||
        sl_sandbox_state(found.states, SL_SANDBOX_SECCOMP) != SL_SANDBOX_ENFORCED)
        cr_skip("this kernel lacks what holds it");
    for (size_t i = 0; i < SL_COUNT_OF(tried); i++) {
        const struct sl_attack_info *info = sl_attack_info(tried[i]);
        bool is_left_out = sl_sandbox_is_sanitized() && (info->holds & SL_ATTACK_WIDE) != 0;
        cr_expect(is_left_out || !is_through(tried[i]), "%s: %s", info->name,
                  found.of[tried[i]].text);
        cr_expect(is_left_out || found.of[tried[i]].tried > 0, "%s was not made: %s", info->name,
                  found.of[tried[i]].text);
    }
}

Test(attack, finds_a_directory_that_was_left_readable)
{
    attack(&(struct sl_sandbox_options){.readable = data}, tried, SL_COUNT_OF(tried));
    cr_expect(is_through(SL_ATTACK_read_files));
    cr_expect(is_through(SL_ATTACK_list_directories));
    if (sl_sandbox_state(found.states, SL_SANDBOX_LANDLOCK) == SL_SANDBOX_ENFORCED)
        cr_expect_not(is_through(SL_ATTACK_write_files));
    cr_expect_eq(judge(SL_CHECK_DATABASE), SL_ISOLATION_VIOLATED, "%s", verdict.text);
}

/* A store with an object of tenant 1; the attacker's socket is of the tenant that `of` says. */
static void
attack_objects(uint64_t of)
{
    static const enum sl_attack objects[] = {SL_ATTACK_objects};
    struct sl_object_node *node = NULL;
    struct sl_object_peer first = {.tenant = 1}, other = {.tenant = of};
    struct sl_object_id id;
    int fd = -1;
    cr_assert_eq(
        sl_object_node_open(&(struct sl_object_node_options){.memory_bytes = SL_GIB / 4}, &node),
        SL_OK);
    cr_assert_eq(sl_object_node_grant(node, &first, &fd), SL_OK);
    struct sl_object_client *client = sl_object_client_create(fd, 1, 10 * SL_SECOND_NS);
    cr_assert_eq(sl_object_id_named(1, sl_slice_str(SL_ATTACK_OBJECT), &id), SL_OK);
    cr_assert_eq(sl_object_client_put(client, &id, sl_slice_str("mine"), 0), SL_OK);
    cr_assert_eq(sl_object_node_grant(node, &other, &target.object_fd), SL_OK);
    target.object_tenant = 1;
    attack(&(struct sl_sandbox_options){0}, objects, 1);
    (void)close(target.object_fd);
    sl_object_client_destroy(&client);
    sl_object_node_close(&node);
}

Test(attack, finds_no_object_of_another_tenant)
{
    attack_objects(2);
    cr_expect_eq(found.of[SL_ATTACK_objects].tried, 2);
    cr_expect_not(is_through(SL_ATTACK_objects), "%s", found.of[SL_ATTACK_objects].text);
}

/* The hole: it was given a socket of the tenant's. */
Test(attack, finds_an_object_where_a_socket_is_of_the_wrong_tenant)
{
    attack_objects(1);
    cr_expect_eq(found.of[SL_ATTACK_objects].through, 2, "got, and deleted");
}

/* What was not made here. */
static void
refuse_others(void)
{
    for (unsigned i = 0; i < SL_ATTACK_COUNT; i++)
        if (found.of[i].tried == 0)
            sl_attack_note(&found.of[i], 0, "");
}

Test(attack, finds_what_a_part_that_is_missing_would_have_held)
{
    attack(&(struct sl_sandbox_options){.without = 1u << SL_SANDBOX_LANDLOCK}, tried,
           SL_COUNT_OF(tried));
    cr_assert(is_through(SL_ATTACK_read_files));
    refuse_others();
    cr_expect_eq(judge(SL_CHECK_DATABASE), SL_ISOLATION_NOT_ENFORCED, "%s", verdict.text);
    attack(&(struct sl_sandbox_options){.without = 1u << SL_SANDBOX_SECCOMP}, tried,
           SL_COUNT_OF(tried));
    cr_assert(is_through(SL_ATTACK_sockets));
    refuse_others();
    cr_expect_eq(judge(SL_CHECK_NETWORK), SL_ISOLATION_NOT_ENFORCED, "%s", verdict.text);
}

/* One that is where nothing listens on 127.0.0.1 alone. */
Test(attack, finds_the_port_of_the_api_on_the_address_it_listens_on)
{
    static const enum sl_attack port[] = {SL_ATTACK_server_port};
    struct sockaddr_in where = {.sin_family = AF_INET};
    socklen_t size = sizeof(where);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(inet_pton(AF_INET, "127.0.0.2", &where.sin_addr), 1);
    cr_assert_eq(bind(fd, (struct sockaddr *)&where, size), 0);
    cr_assert_eq(listen(fd, 4), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&where, &size), 0);
    char *api = sl_format("127.0.0.2:%u", ntohs(where.sin_port));
    target.api = api;
    attack(NULL, port, 1);
    cr_expect_eq(found.of[SL_ATTACK_server_port].through, 1);
    cr_expect_str_eq(found.of[SL_ATTACK_server_port].text, api);
    target.api = "[127.0.0.2"; /* What is none is not tried. */
    attack(NULL, port, 1);
    cr_expect_eq(found.of[SL_ATTACK_server_port].tried, 0);
    (void)close(fd);
    sl_free(api);
}

Test(isolation, takes_a_limit_that_is_not_set_for_one_that_does_not_hold)
{
    struct sl_attack_result r = {0};
    struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
    sl_glutton_limit(&r, RLIMIT_DATA, any, "RLIMIT_DATA");
    sl_glutton_limit(&r, RLIMIT_FSIZE, any, "RLIMIT_FSIZE");
    cr_expect_eq(r.tried, 0, "of these it may have any");
    sl_glutton_limit(&r, RLIMIT_NPROC, any, "RLIMIT_NPROC");
    sl_glutton_limit(&r, RLIMIT_NOFILE, any, "RLIMIT_NOFILE");
    cr_expect_eq(r.tried, 2);
    cr_expect_eq(r.through, 2);
    cr_expect_str_eq(r.text, "RLIMIT_NPROC");
}

/* Threads can be refused for their memory; that says nothing of their number. The user is this
   test's own: threads are counted by user, and tests run beside each other. */
Test(attack, takes_no_other_refusal_for_the_limit_of_threads)
{
    static const enum sl_attack threads[] = {SL_ATTACK_threads};
    if (sl_sandbox_is_sanitized())
        cr_skip("a sanitizer has no limit of memory");
    attack(&(struct sl_sandbox_options){.uid = sl_sandbox_uid(SL_SANDBOX_UID_COUNT - 10),
                                        .data_bytes = 64 * SL_KIB},
           threads, 1);
    cr_expect_eq(found.of[SL_ATTACK_threads].tried, 0, "%s", found.of[SL_ATTACK_threads].text);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static struct harness h;
static struct sl_identity of_operator;

static void
setup(void)
{
    harness_init(&h);
    of_operator = h.who;
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", "{\"bucket_name\":\"items\"}"), 200, "%s",
                 h.text);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(isolation_rows, .init = setup, .fini = teardown);

/* As `who`, after what is acme's. */
static void
try_rows(const struct sl_identity *who)
{
    struct sl_call *call = sl_call_create();
    struct sl_random random;
    sl_random_seed(&random, 1);
    found = (struct sl_isolation){0};
    call->gateway = &h.gateway;
    call->txn = sl_store_begin(h.gateway.store);
    call->random = &random;
    call->now_ms = h.now_ms;
    sl_isolation_rows(call, &h.who, who, &found);
    cr_expect(sl_txn_is_empty(call->txn), "nothing is staged");
    sl_txn_abort(&call->txn);
    sl_call_destroy(&call);
}

Test(isolation_rows, a_neighbour_finds_nothing)
{
    struct sl_identity neighbour = sl_isolation_neighbour();
    uint64_t before = harness_digest(&h);
    try_rows(&neighbour);
    cr_expect_gt(found.of[SL_ATTACK_rows].tried, 240,
                 "each table is listed, and rows are asked for");
    cr_expect_geq(found.of[SL_ATTACK_ids].tried, 4, "a namespace, a bucket, a user, the tenant");
    cr_expect_eq(found.of[SL_ATTACK_queues].tried, 3);
    for (unsigned i = 0; i < SL_ATTACK_COUNT; i++)
        cr_expect_eq(found.of[i].through, 0, "%s: %s", sl_attack_info((enum sl_attack)i)->name,
                     found.of[i].text);
    cr_expect_eq(harness_digest(&h), before);
}

/* The hole: whoever asks is taken for the tenant. */
Test(isolation_rows, a_store_that_mistakes_one_for_the_other_is_found)
{
    struct sl_identity other = sl_isolation_neighbour();
    other.scope = h.who.scope;
    try_rows(&other);
    cr_expect_gt(found.of[SL_ATTACK_rows].through, 0);
    cr_expect_gt(found.of[SL_ATTACK_ids].through, 0);
    cr_expect_eq(judge(SL_CHECK_DATABASE), SL_ISOLATION_VIOLATED, "%s", verdict.text);
}

Test(isolation_rows, leaves_a_pause_behind_those_that_a_tenant_asks_for_itself)
{
    static const char path[] = "/v1/tenants/acme/isolation/verify";
    struct sl_identity acme = h.who;
    cr_expect_eq(harness_call(&h, "POST", path, NULL), 200, "%s", h.text);
    cr_expect_eq(harness_call(&h, "POST", path, NULL), 429, "%s", h.text);
    h.who = of_operator;
    cr_expect_eq(harness_call(&h, "POST", path, NULL), 200, "an operator does not wait");
    h.who = acme;
    h.now_ms += 5000;
    cr_expect_eq(harness_call(&h, "POST", path, NULL), 200, "%s", h.text);
}

Test(isolation_rows, is_a_call_of_the_tenants_admin_or_the_operators)
{
    struct sl_identity acme = h.who;
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/isolation/verify",
                              "{\"checks\":[\"database_isolation\",\"process_isolation\"]}"),
                 200, "%s", h.text);
    cr_expect(harness_is(&h, "checks.0.status", "violated") == false, "%s", h.text);
    cr_expect(harness_is(&h, "checks.1.status", "unknown"), "no processes here: %s", h.text);
    cr_expect(strstr(h.text, "\"all_passed\":false") != NULL, "%s", h.text);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/isolation/verify",
                              "{\"checks\":[\"nonsense\"]}"),
                 422, "%s", h.text);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/sluice/isolation/verify", NULL), 404, "%s",
                 h.text);
    h.who = acme;
    h.who.permissions = SL_PERMIT_BIT(SL_PERMIT_READ);
    cr_expect_eq(harness_call(&h, "POST", "/v1/tenants/acme/isolation/verify", NULL), 403, "%s",
                 h.text);
}

/* ---- levels --------------------------------------------------------------------------------- */

TestSuite(isolation_level, .init = setup, .fini = teardown);

/* Whether the replicas of the only collection are acme's own. */
static bool
has_rows_with(const char *member)
{
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    struct sl_scan scan;
    struct sl_slice none = {0};
    uint32_t count = 0;
    bool is_found = false;
    sl_txn_scan(txn, h.who.scope, SL_TABLE_EXTRACTION, none, none, false, &scan);
    for (; sl_scan_next(&scan); count++) {
        char *text = sl_strndup(scan.value.data, scan.value.size);
        is_found = strstr(text, member) != NULL;
        cr_expect(strstr(text, "\"extractor\":\"text_extractor\"") != NULL, "%s", text);
        sl_free(text);
    }
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    cr_expect_eq(count, 1);
    return is_found;
}

static bool
is_apart(void)
{
    return has_rows_with("\"apart\":true");
}

static bool
is_physical(void)
{
    return has_rows_with("\"physical\":true");
}

static void
set_level(const char *level)
{
    struct sl_identity acme = h.who;
    char *body = sl_format("{\"isolation_level\":\"%s\"}", level);
    h.who = of_operator;
    cr_assert_eq(harness_call(&h, "PATCH", "/v1/tenants/acme", body), 200, "%s", h.text);
    cr_expect(harness_is(&h, "isolation_level", level), "%s", h.text);
    h.who = acme;
    sl_free(body);
}

Test(isolation_level, above_logical_gives_a_tenant_replicas_of_its_own)
{
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections",
                              "{\"collection_name\":\"texts\",\"source\":{\"type\":\"bucket\","
                              "\"bucket_ids\":[\"items\"]},\"feature_extractor\":{"
                              "\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","
                              "\"input_mappings\":{\"text\":\"content\"}}}"),
                 200, "%s", h.text);
    cr_expect_not(is_apart());
    set_level("process");
    cr_expect(harness_is(&h, "isolation_enforced", "process"), "%s", h.text);
    cr_expect(is_apart());
    cr_expect_not(is_physical());
    set_level("physical");
    cr_expect(harness_is(&h, "isolation_enforced", "physical"), "%s", h.text);
    cr_expect(is_apart());
    cr_expect(is_physical());
    set_level("process");
    cr_expect(is_apart());
    cr_expect_not(is_physical());
    set_level("logical");
    cr_expect(harness_is(&h, "isolation_enforced", "logical"), "%s", h.text);
    cr_expect_not(is_apart());
}

Test(isolation_level, holds_for_what_is_made_later)
{
    h.gateway.is_touched = false;
    set_level("process");
    cr_expect(h.gateway.is_touched, "gateways ask anew what calls run on");
    cr_assert_eq(harness_call(&h, "POST", "/v1/collections",
                              "{\"collection_name\":\"texts\",\"source\":{\"type\":\"bucket\","
                              "\"bucket_ids\":[\"items\"]},\"feature_extractor\":{"
                              "\"feature_extractor_name\":\"text_extractor\",\"version\":\"v1\","
                              "\"input_mappings\":{\"text\":\"content\"}}}"),
                 200, "%s", h.text);
    cr_expect(is_apart());
}
