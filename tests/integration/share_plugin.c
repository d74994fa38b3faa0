/* SPDX-License-Identifier: Apache-2.0 */
/*
 * share_extractor v1 - does with the tenant's objects what its input says, and tells how it went:
 *
 *   SHARE name   get it; make it if it is absent; take 20 ms, so that others get work, too
 *   GET name     get it
 *   HOLD name    get it, note our process in the file HOLDS, and hold it for a minute
 *   LITTER       send the store what no client would
 *
 * Built by objects_test.py.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sluice/extractor.h"

enum { BYTES = 300000, FDS = 64 };

static const struct sluice_objects_v1 *objects;

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    (void)config, (void)ret_error;
    *ret_instance = NULL;
    objects = host->service(host, "objects.v1");
    return objects == NULL ? -1 : 0;
}

static void
destroy(void *instance)
{
    (void)instance;
}

static void
pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Every byte is that of its name's last letter. */
static int
is_whole(const struct sluice_object *object, char letter)
{
    const char *bytes = object->data;
    for (uint64_t i = 0; i < object->data_bytes; i++) {
        if (bytes[i] != letter)
            return 0;
    }
    return object->data_bytes == BYTES;
}

static int
make(const struct sluice_object_id *id, char letter)
{
    struct sluice_object_draft draft = {.size = sizeof(draft)};
    int status = objects->begin(objects->self, BYTES, &draft);
    if (status != SLUICE_OBJECT_OK)
        return status;
    memset(draft.data, letter, BYTES);
    return objects->seal(objects->self, &draft, id, 1000000);
}

static void
note_hold(void)
{
    char line[32];
    int size = snprintf(line, sizeof(line), "%d\n", (int)getpid());
    int fd = open(HOLDS, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(fd, line, (size_t)size) != size)
        perror(HOLDS);
    close(fd);
    pause_ms(60000);
}

/* Its socket is the only one of packets. */
static void
litter(void)
{
    for (int fd = 3; fd < FDS; fd++) {
        int type = 0;
        socklen_t size = sizeof(type);
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET)
            (void)send(fd, "litter", 6, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    pause_ms(60000);
}

/* What is said of an item: how the get went, and whether we made the object. */
static void
run(const char *line, size_t size, char *ret_fields, size_t fields_size)
{
    const char *name = memchr(line, ' ', size);
    size_t name_size = name == NULL ? 0 : size - (size_t)(++name - line);
    struct sluice_object_id id = {
        .size = sizeof(id), .name_bytes = (uint32_t)name_size, .name = name};
    struct sluice_object object = {.size = sizeof(object)};
    int status = -1, is_made = 0, is_sound = 1;
    char letter = line[size - 1];
    if (line[0] == 'L')
        litter();
    status = objects->get(objects->self, &id, &object);
    if (line[0] == 'S' && status == SLUICE_OBJECT_ABSENT) {
        is_made = make(&id, letter) == SLUICE_OBJECT_OK;
        status = objects->get(objects->self, &id, &object);
    }
    if (line[0] == 'S')
        pause_ms(20);
    if (status == SLUICE_OBJECT_OK) {
        if (line[0] == 'H')
            note_hold();
        is_sound = is_whole(&object, letter);
        objects->release(objects->self, &object);
    }
    snprintf(ret_fields, fields_size, "{\"pid\":%d,\"status\":%d,\"made\":%d,\"sound\":%d}",
             (int)getpid(), status, is_made, is_sound);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    (void)instance;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_item *item = SLUICE_AT(struct sluice_item, items, i);
        char fields[128];
        run(item->inputs->data, item->inputs->data_bytes, fields, sizeof(fields));
        struct sluice_output output = {
            .size = sizeof(output), .fields = fields, .fields_bytes = strlen(fields)};
        sink->emit(sink, i, &output);
        sink->finish(sink, i, NULL);
    }
    return 0;
}

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = SLUICE_EXTRACTOR_ABI,
                                                      .name = "share_extractor",
                                                      .version = "v1",
                                                      .description = "Shares objects.",
                                                      .flags = SLUICE_EXTRACTOR_NEEDS_OBJECTS,
                                                      .create = create,
                                                      .destroy = destroy,
                                                      .process = process};
    return &extractor;
}
