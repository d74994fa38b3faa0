/* SPDX-License-Identifier: Apache-2.0 */
/* What verbs say to the server and to the person. */
#include <stdio.h>

#include "gateway/cli.h"
#include "runtime/alloc.h"

#define CELL_SIZE_MAX   60   /* Of a table. */
#define MEMBER_SIZE_MAX 1000 /* On a line of its own. */

static int
report_refusal(const struct sl_cli *cli)
{
    struct sl_json root = sl_json_root(cli->doc);
    struct sl_json error = sl_json_member(root, "error");
    if (cli->is_quiet)
        return SL_EXIT_REFUSED;
    char *message = sl_json_strdup(sl_json_member(error, "message"));
    char *type = sl_json_strdup(sl_json_member(error, "type"));
    if (cli->is_json)
        sl_cli_print_json(cli);
    sl_cli_error("the server refused (%ld %s): %s", cli->reply.status, type == NULL ? "" : type,
                 message == NULL ? "no reason given" : message);
    if (cli->reply.status == 401)
        sl_cli_error("set SLUICE_API_KEY or --key-file; the operator's key is in DIR/admin.key");
    sl_free(message);
    sl_free(type);
    return cli->reply.status >= 500 ? SL_EXIT_FAILED : SL_EXIT_REFUSED;
}

int
sl_cli_ask(struct sl_cli *cli, const struct sl_http_request *request, struct sl_json *ret_json)
{
    sl_json_destroy(&cli->doc);
    enum sl_err err = sl_http_send(cli->http, request, &cli->reply);
    if (err != SL_OK) {
        sl_cli_error("%s: %s", cli->url, sl_http_error(cli->http));
        return err == SL_EUNAVAIL || err == SL_ETIMEOUT ? SL_EXIT_UNREACHED : SL_EXIT_FAILED;
    }
    bool is_json = sl_json_parse(sl_buf_slice(&cli->reply.body), &cli->doc, NULL) == SL_OK;
    if (cli->reply.status < 200 || cli->reply.status >= 300)
        return report_refusal(cli);
    if (!is_json && cli->reply.body.size > 0) {
        sl_cli_error("%s does not answer like sluice", cli->url);
        return SL_EXIT_FAILED;
    }
    *ret_json = sl_json_root(cli->doc);
    return SL_EXIT_OK;
}

void
sl_cli_print_json(const struct sl_cli *cli)
{
    (void)fwrite(cli->reply.body.data, 1, cli->reply.body.size, stdout);
    (void)fputc('\n', stdout);
}

/* A number that is no integer, with three decimals: scores are not read to the last digit. */
static bool
short_number(struct sl_json v, struct sl_buf *memory)
{
    int64_t integer;
    double number;
    if (sl_json_kind(v) != SL_JSON_NUMBER || sl_json_i64(v, &integer) == SL_OK ||
        sl_json_f64(v, &number) != SL_OK)
        return false;
    sl_buf_printf(memory, "%.3f", number);
    return true;
}

/* A value as a person reads it, in one line of `max` bytes; control characters do not reach the
 * terminal. */
static void
cell(struct sl_json v, size_t max, struct sl_buf *out)
{
    struct sl_buf memory = {0};
    struct sl_slice text;
    sl_buf_clear(out);
    if (!sl_json_has(v))
        text = sl_slice_str("-");
    else if (short_number(v, &memory))
        text = sl_buf_slice(&memory);
    else if (sl_json_text(v, &memory, &text) != SL_OK)
        text = sl_json_raw(v);
    for (size_t i = 0; i < text.size && i < max; i++)
        sl_buf_append_u8(out, text.data[i] < ' ' || text.data[i] == 127 ? ' ' : text.data[i]);
    if (text.size > max)
        sl_buf_append_str(out, "...");
    sl_buf_deinit(&memory);
}

void
sl_cli_print_members(struct sl_json object, const char *const *names)
{
    struct sl_buf text = {0};
    size_t width = 0;
    for (size_t i = 0; names[i] != NULL; i++)
        width = SL_MAX(width, strlen(names[i]));
    for (size_t i = 0; names[i] != NULL; i++) {
        cell(sl_json_path(object, sl_slice_str(names[i])), MEMBER_SIZE_MAX, &text);
        printf("%-*s  %s\n", (int)width, names[i], sl_buf_text(&text));
    }
    sl_buf_deinit(&text);
}

void
sl_cli_print_table(struct sl_json array, const char *const *names)
{
    size_t widths[16] = {0}, columns = 0;
    struct sl_buf text = {0};
    for (; names[columns] != NULL && columns < SL_COUNT_OF(widths); columns++)
        widths[columns] = strlen(names[columns]);
    for (struct sl_json_iter i = sl_json_iter(array); sl_json_next(&i);) {
        for (size_t c = 0; c < columns; c++) {
            cell(sl_json_path(i.value, sl_slice_str(names[c])), CELL_SIZE_MAX, &text);
            widths[c] = SL_MAX(widths[c], text.size);
        }
    }
    for (size_t c = 0; c < columns; c++)
        printf("%-*s%s", (int)widths[c], names[c], c + 1 < columns ? "  " : "\n");
    for (struct sl_json_iter i = sl_json_iter(array); sl_json_next(&i);) {
        for (size_t c = 0; c < columns; c++) {
            cell(sl_json_path(i.value, sl_slice_str(names[c])), CELL_SIZE_MAX, &text);
            printf("%-*s%s", (int)widths[c], sl_buf_text(&text), c + 1 < columns ? "  " : "\n");
        }
    }
    sl_buf_deinit(&text);
}
