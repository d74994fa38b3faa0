/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - the command line: a table of verbs (cli/verbs.def), the options they share, and what they
 * use to talk to a server and to print.
 *
 * Exit codes: 0 done, 1 failed, 2 usage, 3 no connection, 4 the server refused.
 */
#ifndef SL_GATEWAY_CLI_H
#define SL_GATEWAY_CLI_H

#include "gateway/http_client.h"
#include "runtime/json.h"

enum sl_exit { SL_EXIT_OK, SL_EXIT_FAILED, SL_EXIT_USAGE, SL_EXIT_UNREACHED, SL_EXIT_REFUSED };

/* One option of a verb beside the shared ones; an array ends with a NULL name. */
struct sl_cli_option {
    const char *name;  /* "plan": --plan VALUE or --plan=VALUE */
    const char *value; /* What to call its value in help; NULL: a flag. */
    const char *help;
};

struct sl_cli {
    /* shared options */
    const char *url;
    bool is_json;
    bool is_quiet; /* Refusals are not printed: the verb expects some. */
    bool is_told;  /* What was wrong with the arguments was said: no help follows. */
    /* what was given */
    const struct sl_cli_option *options;
    const char *values[32]; /* By the place in `options`; "" for a flag that was given. */
    const char *arguments[256];
    uint32_t arguments_count;
    struct sl_http_client *http;
    struct sl_http_reply reply;
    struct sl_json_doc *doc; /* Of the last reply. */
};

/* The whole program: argv as main got it. */
int sl_cli_main(int argc, char **argv);

struct sl_cli_verb { /* As help tells of it; static. */
    const char *name, *arguments, *summary;
    const struct sl_cli_option *options; /* NULL: it reads its own arguments. */
};
/* The verb with this number, from 0 on; false: there is none. */
bool sl_cli_verb_at(uint32_t at, struct sl_cli_verb *ret_verb);

/* Value of an option; NULL when it was not given. */
const char *sl_cli_option(const struct sl_cli *cli, const char *name);

/*
 * Ask the server; *ret_json is the reply, borrowed until the next call. Anything but 2xx and a
 * lost connection is printed, and is returned as the exit code to end with.
 */
int sl_cli_ask(struct sl_cli *cli, const struct sl_http_request *request, struct sl_json *ret_json);
/* Print the last reply as one line, for --json. */
void sl_cli_print_json(const struct sl_cli *cli);
/* "name  value" lines, aligned; a member that is absent is "-". Names end with NULL. */
void sl_cli_print_members(struct sl_json object, const char *const *names);
/* A table: one row an element, one column a name. */
void sl_cli_print_table(struct sl_json array, const char *const *names);
/* An error line on standard error. */
void sl_cli_error(const char *format, ...) SL_PRINTF(1, 2);

int sl_cli_status(struct sl_cli *cli);
int sl_cli_search(struct sl_cli *cli);
int sl_cli_submit(struct sl_cli *cli);
int sl_cli_tenant(struct sl_cli *cli);
int sl_cli_verify_tenant(struct sl_cli *cli);
int sl_cli_offboard_tenant(struct sl_cli *cli);
int sl_cli_jobs(struct sl_cli *cli);
int sl_cli_models(struct sl_cli *cli);
int sl_cli_keys(struct sl_cli *cli);
int sl_cli_audit(struct sl_cli *cli);
int sl_cli_events(struct sl_cli *cli);
int sl_cli_logs(struct sl_cli *cli);
int sl_cli_nodes(struct sl_cli *cli);
int sl_cli_serve(struct sl_cli *cli);
int sl_cli_top(struct sl_cli *cli);
int sl_cli_cluster(struct sl_cli *cli);
int sl_cli_scale(struct sl_cli *cli);
int sl_cli_slow(struct sl_cli *cli);
int sl_cli_queue(struct sl_cli *cli);
int sl_cli_explain(struct sl_cli *cli);
int sl_cli_dead(struct sl_cli *cli);
int sl_cli_config(struct sl_cli *cli);
int sl_cli_usage(struct sl_cli *cli);

#endif
