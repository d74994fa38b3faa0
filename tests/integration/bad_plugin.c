/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bad_plugin.c - does what the first word of its input says: each a fault that plugins have, or a
 * try at what a sandbox takes away. Built by faults_test.py under several names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plain_plugin.h"

#define RECORDS_OVER 10001
#define BYTES_OVER   (17 << 20)
#define PRINTED      (4 << 20)
#define FORKS        200
#ifndef WRITTEN /* A file in a directory that anybody may write to. */
#define WRITTEN "/nowhere/written"
#endif

static void
crash(void)
{
    volatile int *nowhere = NULL;
    *nowhere = 1;
}

static void
loop(void)
{
    for (volatile int turn = 0;; turn++)
        ;
}

static void
leak(void)
{
    for (;;) {
        volatile char *more = malloc(1 << 20);
        for (int at = 0; at < 1 << 20; at += 4096)
            more[at] = 1;
    }
}

/* How many processes there are more. */
static int
fork_often(void)
{
    int made = 0;
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0)
            pause();
        made += pid > 0;
    }
    return made;
}

static void
print_much(void)
{
    static char line[4096];
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (int done = 0; done < PRINTED; done += (int)sizeof(line)) {
        if (write(done % 8192 == 0 ? STDOUT_FILENO : STDERR_FILENO, line, sizeof(line)) < 0)
            return;
    }
}

static int
error_of(int result)
{
    return result < 0 ? errno : 0;
}

static int
emit_text(const struct sluice_sink *sink, uint32_t item, const char *fields)
{
    struct sluice_output output = {
        .size = sizeof(output), .fields = fields, .fields_bytes = strlen(fields)};
    return sink->emit(sink, item, &output);
}

/* What it got by reaching out: errno of each try. */
static void
reach_out(const struct sluice_sink *sink, uint32_t item)
{
    char fields[200];
    char *const arguments[] = {(char *)"true", NULL};
    snprintf(
        fields, sizeof(fields), "{\"read\":%d,\"write\":%d,\"socket\":%d,\"exec\":%d,\"kill\":%d}",
        error_of(open("/etc/passwd", O_RDONLY)), error_of(open(WRITTEN, O_WRONLY | O_CREAT, 0600)),
        error_of(socket(AF_INET, SOCK_STREAM, 0)), error_of(execv("/bin/true", arguments)),
        error_of(setpgid(getppid(), 0)));
    emit_text(sink, item, fields);
}

static void
emit_many(const struct sluice_sink *sink, uint32_t item)
{
    for (int i = 0; i < RECORDS_OVER; i++)
        emit_text(sink, item, "{}");
}

static void
emit_large(const struct sluice_sink *sink, uint32_t item)
{
    char *fields = malloc(BYTES_OVER + 1);
    if (fields == NULL)
        return;
    memset(fields, ' ', BYTES_OVER);
    fields[0] = '{';
    fields[BYTES_OVER - 1] = '}';
    fields[BYTES_OVER] = '\0';
    emit_text(sink, item, fields);
    free(fields);
}

static void
run(const struct sluice_input *input, uint32_t item, const struct sluice_sink *sink)
{
    char word[8] = "", fields[64];
    for (size_t i = 0; i < input->data_bytes && i < sizeof(word) - 1; i++) {
        if (((const char *)input->data)[i] == ' ')
            break;
        word[i] = ((const char *)input->data)[i];
    }
    snprintf(fields, sizeof(fields), "{\"was\":\"processed\"}");
    if (strcmp(word, "SEGV") == 0)
        crash();
    else if (strcmp(word, "LOOP") == 0)
        loop();
    else if (strcmp(word, "LEAK") == 0)
        leak();
    else if (strcmp(word, "WRITE") == 0)
        *(volatile char *)(uintptr_t)input->data = 'w'; /* It is mapped, as weights are. */
    else if (strcmp(word, "EXIT") == 0)
        exit(7);
    else if (strcmp(word, "FORK") == 0)
        snprintf(fields, sizeof(fields), "{\"forked\":%d}", fork_often());
    else if (strcmp(word, "PRINT") == 0)
        print_much();
    else if (strcmp(word, "MANY") == 0)
        emit_many(sink, item);
    else if (strcmp(word, "LARGE") == 0)
        emit_large(sink, item);
    if (strcmp(word, "NOTHING") == 0)
        return;
    if (strcmp(word, "REACH") == 0)
        reach_out(sink, item);
    else
        emit_text(sink, item, fields);
    sink->finish(sink, item, NULL);
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    (void)instance;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_item *item = SLUICE_AT(struct sluice_item, items, i);
        run(item->inputs, i, sink);
    }
    return 0;
}

/* Instead of plain_create. */
static inline int
crash_create(const struct sluice_host *host, const struct sluice_config *config,
             void **ret_instance, struct sluice_error *ret_error)
{
    crash();
    return plain_create(host, config, ret_instance, ret_error);
}

#ifndef CREATE
#define CREATE plain_create
#endif
#ifndef ABI
#define ABI SLUICE_EXTRACTOR_ABI
#endif

SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *
sluice_extractor_entry(void)
{
    static const struct sluice_extractor extractor = {.size = sizeof(extractor),
                                                      .abi = ABI,
                                                      .name = PLUGIN_NAME,
                                                      .version = "v1",
                                                      .description = "Does what its input says.",
                                                      .create = CREATE,
                                                      .destroy = plain_destroy,
                                                      .process = process};
    return &extractor;
}
