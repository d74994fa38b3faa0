/* SPDX-License-Identifier: Apache-2.0 */
/* The service as a plugin sees it, over the store of a node; a thread of ours stands for the agent,
 * which has one model. */
#include "extractors/model_service.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "object-store/model.h"
#include "object-store/object_client.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"
#include "sluice/extractor.h"
#include "tests/object-store/tiny_model.h"

#define WEIGHT "embeddings.word_embeddings.weight"

static struct sl_object_node *store;
static struct sl_object_client *client;
static struct sl_model_service *service;
static const struct sluice_models_v1 *models;
static int file; /* Of the model. */
static pthread_t agent;
static atomic_bool is_over;

/* "m_1" is there, "slow" never comes, "odd" is a file that is no model, others are not known. */
static void
give(const struct sl_object_want *want)
{
    bool is_there = sl_slice_is(want->model, "m_1");
    int odd = sl_slice_is(want->model, "odd") ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    struct sl_object_given given = {.ticket = want->ticket,
                                    .err = is_there || odd >= 0 ? SL_OK : SL_ENOTFOUND,
                                    .fd = is_there ? file : odd,
                                    .text = sl_slice_str("there is no such model")};
    if (!sl_slice_is(want->model, "slow"))
        cr_assert_eq(sl_object_node_give(store, &given), SL_OK);
    if (odd >= 0)
        (void)close(odd);
}

static void *
run_agent(void *arg)
{
    (void)arg;
    struct sl_object_want want;
    while (!is_over) {
        struct pollfd p = {.fd = sl_object_node_fd(store), .events = POLLIN};
        (void)poll(&p, 1, 10);
        while (sl_object_node_told(store, &want))
            give(&want);
    }
    return NULL;
}

static enum sl_err
ask_store(void *arg, struct sl_slice id, int *ret_fd, struct sl_cause *ret_cause)
{
    return sl_object_client_model(arg, id, 2 * SL_SECOND_NS, ret_fd, ret_cause);
}

static void
build_file(void)
{
    char path[64];
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(path));
    cr_assert_eq(tiny_model_write(path, &options), 0);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(sl_model_build(directory, NULL, &file, NULL), SL_OK);
    (void)close(directory);
    tiny_directory_remove(path);
}

static void
set_up(void)
{
    int fd = -1;
    struct sl_object_node_options options = {.memory_bytes = 64 * SL_MIB};
    sl_report_level_set(SL_REPORT_ERROR);
    build_file();
    cr_assert_eq(sl_object_node_open(&options, &store), SL_OK);
    cr_assert_eq(sl_object_node_grant(store, &(struct sl_object_peer){.tenant = 1}, &fd), SL_OK);
    client = sl_object_client_create(fd, 1, 20 * SL_SECOND_NS);
    service = sl_model_service_create(&(struct sl_model_source){.open = ask_store, .arg = client});
    models = sl_model_service_face(service);
    cr_assert_eq(pthread_create(&agent, NULL, run_agent, NULL), 0);
    const struct sluice_model_v1 *none = NULL; /* From here on the store is there. */
    cr_assert_eq(models->open(models->self, "none", &none), SLUICE_MODEL_ABSENT);
}

static void
tear_down(void)
{
    is_over = true;
    cr_assert_eq(pthread_join(agent, NULL), 0);
    sl_model_service_destroy(&service);
    sl_object_client_destroy(&client);
    sl_object_node_close(&store);
    (void)close(file);
}

TestSuite(model_service, .init = set_up, .fini = tear_down, .timeout = 60);

static uint32_t
descriptors(void)
{
    uint32_t count = 0;
    DIR *d = opendir("/proc/self/fd");
    cr_assert_not_null(d);
    while (readdir(d) != NULL)
        count++;
    (void)closedir(d);
    return count;
}

/* The store's thread may close its own a moment after it has answered. */
static void
await_descriptors(uint32_t wanted)
{
    for (int i = 0; i < 1000 && descriptors() != wanted; i++)
        (void)poll(NULL, 0, 5);
    cr_assert_eq(descriptors(), wanted);
}

static const struct sluice_model_v1 *
open_model(const char *id)
{
    const struct sluice_model_v1 *model = NULL;
    cr_assert_eq(models->open(models->self, id, &model), SLUICE_MODEL_OK, "%s",
                 models->why(models->self));
    cr_assert_str_empty(models->why(models->self));
    return model;
}

Test(model_service, what_is_open_has_the_shape_of_the_model_a_replica_starts_with)
{
    const struct sluice_model_v1 *model = open_model("m_1");
    struct sluice_tensor tensor = {.size = sizeof(tensor)}, at = {.size = sizeof(at)};
    struct sluice_model_file config = {.size = sizeof(config)};
    cr_assert_str_eq(model->identifier, "m_1");
    cr_assert_str_empty(model->name);
    cr_assert_eq(model->tensor(model->self, WEIGHT, &tensor), 0);
    cr_assert_eq(tensor.dtype, SLUICE_DTYPE_F32);
    cr_assert(tensor.rank == 2 && tensor.shape[0] == 128 && tensor.shape[1] == 32);
    cr_assert_eq(tensor.data_bytes, 128 * 32 * 4);
    cr_assert_eq((uintptr_t)tensor.data % 64, 0);
    cr_assert_eq(tensor.element_bits, 32);
    cr_assert(tensor.strides[0] == 128 && tensor.strides[1] == 4 && tensor.strides[2] == 0);
    cr_assert_eq(model->file(model->self, "config.json", &config), 0);
    cr_assert_eq(model->tensor(model->self, "none", &tensor), -1);
    cr_assert_eq(model->tensor_at(model->self, model->tensor_count, &at), -1);
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        cr_assert_eq(model->tensor_at(model->self, i, &at), 0);
        cr_assert_eq((uint64_t)at.strides[0] * at.shape[0], at.data_bytes, "%s", at.name);
    }
    struct sl_model *mapped = NULL;
    cr_assert_eq(sl_model_attach(model->descriptor, &mapped, NULL), SL_OK);
    sl_model_destroy(&mapped);
    cr_assert_eq(models->close(models->self, model), SLUICE_MODEL_OK);
}

/* One that was built before there were strides says a smaller size. */
Test(model_service, a_plugin_from_before_gets_what_it_knows_and_nothing_behind_it)
{
    const struct sluice_model_v1 *model = open_model("m_1");
    struct sluice_tensor tensor;
    memset(&tensor, 0x5a, sizeof(tensor));
    tensor.size = offsetof(struct sluice_tensor, element_bits);
    cr_assert_eq(model->tensor(model->self, WEIGHT, &tensor), 0);
    cr_assert_eq(tensor.data_bytes, 128 * 32 * 4);
    cr_assert(tensor.element_bits == 0x5a5a5a5a && tensor.strides[0] == 0x5a5a5a5a5a5a5a5a);
    tensor.size = offsetof(struct sluice_tensor, data_bytes);
    cr_assert_eq(model->tensor(model->self, WEIGHT, &tensor), -1);
}

Test(model_service, what_is_open_outlives_the_file_that_the_node_had_and_the_node)
{
    const struct sluice_model_v1 *model = open_model("m_1");
    struct sluice_tensor tensor = {.size = sizeof(tensor)};
    cr_assert_eq(model->tensor(model->self, WEIGHT, &tensor), 0);
    float before;
    memcpy(&before, tensor.data, sizeof(before));
    int gone = file;
    build_file(); /* For the teardown. */
    (void)close(gone);
    is_over = true;
    cr_assert_eq(pthread_join(agent, NULL), 0);
    sl_object_node_close(&store);
    cr_assert_eq(model->tensor(model->self, WEIGHT, &tensor), 0);
    cr_assert_eq(memcmp(tensor.data, &before, sizeof(before)), 0);
    const struct sluice_model_v1 *other = NULL;
    cr_assert_eq(models->open(models->self, "m_1", &other), SLUICE_MODEL_AWAY);
    cr_assert_neq(models->why(models->self)[0], '\0');
    cr_assert_eq(models->close(models->self, model), SLUICE_MODEL_OK);
    is_over = false;
    cr_assert_eq(sl_object_node_open(&(struct sl_object_node_options){0}, &store), SL_OK);
    cr_assert_eq(pthread_create(&agent, NULL, run_agent, NULL), 0);
}

Test(model_service, says_why_there_is_none)
{
    const struct sluice_model_v1 *model = NULL;
    char id[SLUICE_MODEL_ID_BYTES_MAX + 2];
    memset(id, 'x', sizeof(id));
    id[sizeof(id) - 1] = '\0';
    uint32_t before = descriptors();
    cr_assert_eq(models->open(models->self, "none", &model), SLUICE_MODEL_ABSENT);
    cr_assert_str_eq(models->why(models->self), "there is no such model");
    cr_assert_eq(models->open(models->self, "odd", &model), SLUICE_MODEL_AWAY);
    cr_assert_neq(models->why(models->self)[0], '\0');
    cr_assert_eq(models->open(models->self, "slow", &model), SLUICE_MODEL_AWAY);
    cr_assert_neq(models->why(models->self)[0], '\0');
    cr_assert_eq(models->open(models->self, "", &model), SLUICE_MODEL_REFUSED);
    cr_assert_eq(models->open(models->self, NULL, &model), SLUICE_MODEL_REFUSED);
    cr_assert_eq(models->open(models->self, id, &model), SLUICE_MODEL_REFUSED);
    cr_assert_eq(models->open(models->self, "m_1", NULL), SLUICE_MODEL_REFUSED);
    cr_assert_null(model);
    id[sizeof(id) - 2] = '\0';
    cr_assert_eq(models->open(models->self, id, &model), SLUICE_MODEL_ABSENT);
    await_descriptors(before);
    (void)open_model("m_1");
}

Test(model_service, so_many_are_open_and_what_is_not_is_not_closed)
{
    const struct sluice_model_v1 *open[SLUICE_MODELS_OPEN_MAX], *more = NULL;
    uint32_t before = descriptors();
    for (uint32_t i = 0; i < SLUICE_MODELS_OPEN_MAX; i++)
        open[i] = open_model("m_1");
    cr_assert_eq(models->open(models->self, "m_1", &more), SLUICE_MODEL_FULL);
    cr_assert_eq(models->close(models->self, NULL), SLUICE_MODEL_REFUSED);
    cr_assert_eq(models->close(models->self, open[3]), SLUICE_MODEL_OK);
    cr_assert_eq(models->close(models->self, open[3]), SLUICE_MODEL_REFUSED);
    const struct sluice_model_v1 copy = *open[4];
    cr_assert_eq(models->close(models->self, &copy), SLUICE_MODEL_REFUSED);
    open[3] = open_model("m_1");
    for (uint32_t i = 0; i < SLUICE_MODELS_OPEN_MAX; i++)
        cr_assert_eq(models->close(models->self, open[i]), SLUICE_MODEL_OK);
    await_descriptors(before);
    (void)open_model("m_1"); /* Closed with the service. */
}

/* One descriptor after another is to be had, until all that an open takes are there. */
Test(model_service, without_descriptors_it_fails_and_leaves_nothing)
{
    struct rlimit usual, few;
    const struct sluice_model_v1 *model = NULL;
    uint32_t before = descriptors();
    int status = SLUICE_MODEL_AWAY, next = dup(STDIN_FILENO);
    (void)close(next);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &usual), 0);
    for (uint32_t more = 0; more < 8 && status != SLUICE_MODEL_OK; more++) {
        few = usual;
        few.rlim_cur = (rlim_t)next + more;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
        status = models->open(models->self, "m_1", &model);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &usual), 0);
        cr_assert(more > 0 || status != SLUICE_MODEL_OK, "it takes descriptors");
        cr_assert(status == SLUICE_MODEL_OK || model == NULL);
        if (status != SLUICE_MODEL_OK)
            await_descriptors(before);
    }
    cr_assert_eq(status, SLUICE_MODEL_OK, "%s", models->why(models->self));
    cr_assert_eq(models->close(models->self, model), SLUICE_MODEL_OK);
    await_descriptors(before);
}
