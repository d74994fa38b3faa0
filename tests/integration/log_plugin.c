/* SPDX-License-Identifier: Apache-2.0 */
/* log_plugin.c - logs and prints what its inputs say; SPAM: much more than is kept. For
 * logs_test.py. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plain_plugin.h"

#define PRINTED 20000

static const struct sluice_log_v1 *host_log;

static int
create(const struct sluice_host *host, const struct sluice_config *config, void **ret_instance,
       struct sluice_error *ret_error)
{
    host_log = host->service(host, "log.v1");
    return plain_create(host, config, ret_instance, ret_error);
}

static void
say(const struct sluice_input *input)
{
    char text[400], line[500];
    snprintf(text, sizeof(text), "%.*s", (int)input->data_bytes, (const char *)input->data);
    snprintf(line, sizeof(line), "said=\"%s\"", text);
    if (host_log != NULL)
        host_log->write(host_log->self, SLUICE_LOG_WARN, "item", line);
    snprintf(line, sizeof(line), "printed %s\n", text);
    if (write(STDOUT_FILENO, line, strlen(line)) < 0)
        return;
    for (int i = 0; i < PRINTED && strncmp(text, "SPAM", 4) == 0; i++) {
        snprintf(line, sizeof(line), "spam number %d\n", i);
        if (write(STDOUT_FILENO, line, strlen(line)) < 0)
            return;
    }
}

static int
process(void *instance, const struct sluice_item *items, uint32_t count,
        const struct sluice_sink *sink)
{
    (void)instance;
    for (uint32_t i = 0; i < count; i++) {
        const struct sluice_output output = plain_output();
        say(SLUICE_AT(struct sluice_item, items, i)->inputs);
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
                                                      .name = PLUGIN_NAME,
                                                      .version = "v1",
                                                      .description = "Says what it is given.",
                                                      .create = create,
                                                      .destroy = plain_destroy,
                                                      .process = process};
    return &extractor;
}
