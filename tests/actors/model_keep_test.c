/* SPDX-License-Identifier: Apache-2.0 */
/* The head's side of models' files, as nodes see it. */
#include "actors/model_keep.h"

#include <fcntl.h>
#include <unistd.h>

#include "actors/head.h"
#include "object-store/model.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"
#include "tests/actors/recorder.h"
#include "tests/object-store/tiny_model.h"

#define DIRECTORY "models/1/ns/m.0.0"

static struct recorder r;
static int built; /* What node 2 has built: here that node's process is this one. */
static char place[64];

static void
join(uint32_t node)
{
    struct sl_m_node_join m = {.node = node, .pid = (uint64_t)getpid(), .room = 8};
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_node_join, &m);
}

static void
setup_as(uint64_t pid)
{
    struct sl_cause cause = {0};
    struct tiny_model_options options = {0};
    sl_report_level_set(SL_REPORT_ERROR);
    cr_assert_not_null(tiny_directory_make(place));
    cr_assert_eq(tiny_model_write(place, &options), 0);
    int at = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(sl_model_build(at, NULL, &built, &cause), SL_OK, "%s", cause.text);
    close(at);
    struct sl_head_options head = {.nodes = 3, .node_text = "{\"a\":1", .pid = pid};
    recorder_start(&r, &sl_head_class, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), &head);
    join(2);
}

static void
setup(void)
{
    setup_as((uint64_t)getpid());
}

static void
finish(void)
{
    recorder_stop(&r);
    close(built);
    tiny_directory_remove(place);
}

TestSuite(model_keep, .init = setup, .fini = finish, .timeout = 60);

static void
tell(uint32_t node, uint64_t inode)
{
    struct sl_m_model_kept m = {
        .directory = sl_slice_str(DIRECTORY), .fd = (uint64_t)built, .inode = inode};
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_model_kept, &m);
}

static void
drop(uint32_t node)
{
    recorder_deliver(&r, sl_at(node, SL_ACTOR_AGENT), SL_M_model_drop,
                     &(struct sl_m_model_drop){.directory = sl_slice_str(DIRECTORY)});
}

/* What a node that joins now is told, which can be opened; -1: nothing. */
static int
told_to(uint32_t node)
{
    int fd = -1;
    recorder_forget_sent(&r);
    join(node);
    struct sl_msg *msg = recorder_take(&r, SL_M_model_kept);
    if (msg == NULL)
        return -1;
    const struct sl_m_model_kept *m = SL_BODY(msg, model_kept);
    cr_assert_eq(msg->to.node, node);
    cr_assert(sl_slice_is(m->directory, DIRECTORY));
    cr_assert_neq(m->fd, (uint64_t)built, "one of its own");
    cr_assert_eq(sl_model_reopen(m->pid, m->fd, m->inode, &fd), SL_OK);
    cr_assert_eq(sl_model_inode(fd), sl_model_inode(built));
    sl_msg_destroy(&msg);
    return fd;
}

Test(model_keep, a_node_that_joins_is_told_of_what_another_has_built)
{
    tell(2, sl_model_inode(built));
    recorder_do_work(&r);
    close(built); /* That node is gone. */
    built = open("/dev/null", O_RDONLY | O_CLOEXEC);
    recorder_forget_sent(&r);
    join(3);
    struct sl_msg *msg = recorder_take(&r, SL_M_model_kept);
    cr_assert_not_null(msg);
    struct sl_model *model = NULL;
    struct sl_cause cause = {0};
    int fd = -1;
    const struct sl_m_model_kept *m = SL_BODY(msg, model_kept);
    cr_assert_eq(sl_model_reopen(m->pid, m->fd, m->inode, &fd), SL_OK);
    cr_assert_eq(sl_model_attach(fd, &model, &cause), SL_OK, "%s", cause.text);
    sl_model_destroy(&model);
    close(fd);
    sl_msg_destroy(&msg);
}

Test(model_keep, what_is_dropped_is_closed_and_told_to_nobody)
{
    tell(2, sl_model_inode(built));
    recorder_do_work(&r);
    int fd = told_to(3);
    cr_assert_geq(fd, 0);
    close(fd);
    drop(2);
    cr_assert_eq(told_to(4), -1);
}

Test(model_keep, what_is_dropped_before_it_is_open_is_not_kept)
{
    tell(2, sl_model_inode(built));
    drop(2);
    recorder_do_work(&r);
    cr_assert_eq(told_to(3), -1);
}

Test(model_keep, another_file_under_that_number_is_not_kept)
{
    tell(2, sl_model_inode(built) + 1);
    recorder_do_work(&r);
    cr_assert_eq(told_to(3), -1);
}

Test(model_keep, what_was_built_anew_takes_the_place_of_what_was_there)
{
    tell(2, sl_model_inode(built));
    tell(2, sl_model_inode(built));
    cr_assert_eq(r.works_count, 2);
    recorder_do_work(&r);
    int fd = told_to(3);
    cr_assert_geq(fd, 0);
    close(fd);
}

Test(model_keep, strangers_and_workers_of_elsewhere_are_not_heard)
{
    tell(77, sl_model_inode(built));
    struct sl_m_node_join m = {.node = SL_NODE_WORKERS_FIRST,
                               .pid = (uint64_t)getpid(),
                               .room = 8,
                               .name = sl_slice_str("far"),
                               .facts = sl_slice_str("{}")};
    recorder_deliver(&r, sl_at(SL_NODE_WORKERS_FIRST, SL_ACTOR_AGENT), SL_M_node_join, &m);
    tell(SL_NODE_WORKERS_FIRST, sl_model_inode(built));
    cr_assert_eq(r.works_count, 0);
    tell(2, sl_model_inode(built));
    recorder_do_work(&r);
    drop(SL_NODE_WORKERS_FIRST);
    int fd = told_to(3);
    cr_assert_geq(fd, 0, "a stranger's word counts for nothing");
    close(fd);
}

Test(model_keep, what_is_under_way_when_it_ends_is_let_go)
{
    tell(2, sl_model_inode(built));
    cr_assert_eq(r.works_count, 1);
    r.works[0].work(r.works[0].argument); /* Its end is told to nobody. */
    r.works_count = 0;
}

static void
setup_without(void)
{
    finish(); /* The suite's was set up before. */
    setup_as(0);
}

Test(model_keep, a_head_that_keeps_none_opens_none, .init = setup_without)
{
    tell(2, sl_model_inode(built));
    cr_assert_eq(r.works_count, 0);
}
