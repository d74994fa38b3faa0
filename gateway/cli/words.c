/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli/words.h"

#include <stdio.h>

#include "gateway/version.h"

static const struct sl_cli_option shared[] = {
    {"url", "URL", "the server (http://127.0.0.1:8080)"},
    {"key-file", "FILE", "holds the API key; else SLUICE_API_KEY"},
    {"ca", "FILE", "who may sign the server's certificate; else SLUICE_CA or SSL_CERT_FILE"},
    {"json", NULL, "print the server's reply"},
    {"help", NULL, "print how it is used"},
    {0},
};
static const struct sl_cli_option help_alone[] = {{"help", NULL, "print how it is used"}, {0}};

/* ---- words --------------------------------------------------------------------------------- */

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || c == '-';
}

static uint32_t
add_order(struct sl_slice orders[static SL_CLI_ORDERS_MAX], uint32_t count, struct sl_slice word)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sl_slice_equal(orders[i], word))
            return count;
    }
    if (count < SL_CLI_ORDERS_MAX)
        orders[count++] = word;
    return count;
}

uint32_t
sl_cli_orders(const char *arguments, struct sl_slice ret_orders[static SL_CLI_ORDERS_MAX])
{
    uint32_t count = 0;
    const char *at = arguments;
    while (*at != '\0') {
        at += strspn(at, " \n|,");
        size_t size = 0;
        while (is_letter(at[size]))
            size++;
        bool is_word = size > 0 && at[0] != '-' && strchr(" \n,", at[size]) != NULL;
        if (is_word)
            count = add_order(ret_orders, count, sl_slice(at, size));
        at += size;
        if (!is_word || *at != ',') /* "cancel, retry ID": both begin it. */
            at += strcspn(at, "|");
    }
    return count;
}

/* The summary's first line. */
static struct sl_slice
first_line(const char *text)
{
    return sl_slice(text, strcspn(text, "\n"));
}

/* Calls `seen` with each option of a verb, its own first. */
static void
each_option(const struct sl_cli_verb *v, struct sl_buf *out,
            void (*seen)(const struct sl_cli_verb *v, const struct sl_cli_option *o,
                         struct sl_buf *out))
{
    for (const struct sl_cli_option *o = v->options; o != NULL && o->name != NULL; o++)
        seen(v, o, out);
    for (const struct sl_cli_option *o = v->options == NULL ? help_alone : shared; o->name != NULL;
         o++)
        seen(v, o, out);
}

/* ---- bash ---------------------------------------------------------------------------------- */

static void
bash_option(const struct sl_cli_verb *v, const struct sl_cli_option *o, struct sl_buf *out)
{
    (void)v;
    sl_buf_printf(out, " --%s", o->name);
}

static void
write_bash(struct sl_buf *out)
{
    struct sl_cli_verb v;
    struct sl_slice orders[SL_CLI_ORDERS_MAX];
    sl_buf_append_str(out, "# Completion of sluice " SL_VERSION " for bash.\n_sluice() {\n"
                           "    local words=\n    if [ \"$COMP_CWORD\" -le 1 ]; then\n"
                           "        words='");
    for (uint32_t i = 0; sl_cli_verb_at(i, &v); i++)
        sl_buf_printf(out, "%s%s", i == 0 ? "" : " ", v.name);
    sl_buf_append_str(out, "'\n    else\n        case ${COMP_WORDS[1]} in\n");
    for (uint32_t i = 0; sl_cli_verb_at(i, &v); i++) {
        sl_buf_printf(out, "        %s) words='", v.name);
        uint32_t count = sl_cli_orders(v.arguments, orders);
        for (uint32_t j = 0; j < count; j++)
            sl_buf_printf(out, "%s%.*s", j == 0 ? "" : " ", SL_SLICE_FMT(orders[j]));
        each_option(&v, out, bash_option);
        sl_buf_append_str(out, "' ;;\n");
    }
    sl_buf_append_str(out, "        esac\n    fi\n    mapfile -t COMPREPLY "
                           "< <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
                           "}\ncomplete -o default -F _sluice sluice\n");
}

/* ---- zsh and fish -------------------------------------------------------------------------- */

/* Inside single quotes; `also` gets a backslash before it. */
static void
append_quoted(struct sl_buf *out, struct sl_slice text, const char *also)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = (char)text.data[i];
        if (c == '\'')
            sl_buf_append_str(out, "'\\''");
        else if (strchr(also, c) != NULL)
            sl_buf_printf(out, "\\%c", c);
        else
            sl_buf_append_u8(out, (uint8_t)c);
    }
}

static void
zsh_option(const struct sl_cli_verb *v, const struct sl_cli_option *o, struct sl_buf *out)
{
    (void)v;
    sl_buf_printf(out, " \\\n            '--%s[", o->name);
    append_quoted(out, sl_slice_str(o->help), "[]");
    sl_buf_append_u8(out, ']');
    if (o->value != NULL)
        sl_buf_printf(out, ":%s:%s", o->value, strcmp(o->value, "FILE") == 0 ? "_files" : "");
    sl_buf_append_u8(out, '\'');
}

static void
write_zsh(struct sl_buf *out)
{
    struct sl_cli_verb v;
    struct sl_slice orders[SL_CLI_ORDERS_MAX];
    sl_buf_append_str(out, "#compdef sluice\n# Completion of sluice " SL_VERSION " for zsh.\n"
                           "_sluice() {\n    if (( CURRENT == 2 )); then\n"
                           "        local -a verbs=(\n");
    for (uint32_t i = 0; sl_cli_verb_at(i, &v); i++) {
        sl_buf_printf(out, "            '%s:", v.name);
        append_quoted(out, first_line(v.summary), ":");
        sl_buf_append_str(out, "'\n");
    }
    sl_buf_append_str(out, "        )\n        _describe verb verbs\n        return\n    fi\n"
                           "    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n"
                           "    case $verb in\n");
    for (uint32_t i = 0; sl_cli_verb_at(i, &v); i++) {
        uint32_t count = sl_cli_orders(v.arguments, orders);
        sl_buf_printf(out, "    %s)\n        _arguments", v.name);
        each_option(&v, out, zsh_option);
        sl_buf_append_str(out, " \\\n            '1:argument:");
        sl_buf_append_str(out, count == 0 ? "_files" : "(");
        for (uint32_t j = 0; j < count; j++)
            sl_buf_printf(out, "%s%.*s", j == 0 ? "" : " ", SL_SLICE_FMT(orders[j]));
        sl_buf_append_str(out, count == 0 ? "'" : ")'");
        sl_buf_append_str(out, " \\\n            '*:argument:_files' ;;\n");
    }
    sl_buf_append_str(out, "    esac\n}\n_sluice \"$@\"\n");
}

static void
fish_option(const struct sl_cli_verb *v, const struct sl_cli_option *o, struct sl_buf *out)
{
    sl_buf_printf(out, "complete -c sluice -n '__fish_seen_subcommand_from %s' -l %s%s -d '",
                  v->name, o->name, o->value == NULL ? "" : " -r");
    append_quoted(out, sl_slice_str(o->help), "\\");
    sl_buf_append_str(out, "'\n");
}

static void
write_fish(struct sl_buf *out)
{
    struct sl_cli_verb v;
    struct sl_slice orders[SL_CLI_ORDERS_MAX];
    sl_buf_append_str(out, "# Completion of sluice " SL_VERSION " for fish.\n");
    for (uint32_t i = 0; sl_cli_verb_at(i, &v); i++) {
        uint32_t count = sl_cli_orders(v.arguments, orders);
        sl_buf_printf(out, "complete -c sluice -f -n __fish_use_subcommand -a %s -d '", v.name);
        append_quoted(out, first_line(v.summary), "\\");
        sl_buf_append_str(out, "'\n");
        for (uint32_t j = 0; j < count; j++)
            sl_buf_printf(out, "complete -c sluice -n '__fish_seen_subcommand_from %s' -a %.*s\n",
                          v.name, SL_SLICE_FMT(orders[j]));
        each_option(&v, out, fish_option);
    }
}

bool
sl_cli_completion(const char *shell, struct sl_buf *out)
{
    static const struct {
        const char *shell;
        void (*write)(struct sl_buf *out);
    } shells[] = {{"bash", write_bash}, {"zsh", write_zsh}, {"fish", write_fish}};
    for (size_t i = 0; i < SL_COUNT_OF(shells); i++) {
        if (strcmp(shell, shells[i].shell) == 0) {
            shells[i].write(out);
            return true;
        }
    }
    return false;
}

/* ---- the manual ---------------------------------------------------------------------------- */

/* What roff would read otherwise is written so that it does not; white space becomes one space. */
static void
append_roff(struct sl_buf *out, const char *text)
{
    bool is_space = false;
    for (; *text != '\0'; text++) {
        if (*text == ' ' || *text == '\n') {
            is_space = true;
            continue;
        }
        if (is_space)
            sl_buf_append_u8(out, ' ');
        is_space = false;
        if (*text == '\\')
            sl_buf_append_str(out, "\\e");
        else if (*text == '-')
            sl_buf_append_str(out, "\\-");
        else if (*text == '\'')
            sl_buf_append_str(out, "\\(aq");
        else
            sl_buf_append_u8(out, (uint8_t)*text);
    }
}

static void
manual_option(const struct sl_cli_verb *v, const struct sl_cli_option *o, struct sl_buf *out)
{
    (void)v;
    sl_buf_append_str(out, ".TP\n\\fB\\-\\-");
    append_roff(out, o->name);
    sl_buf_append_str(out, "\\fR");
    if (o->value != NULL)
        sl_buf_printf(out, " \\fI%s\\fR", o->value);
    sl_buf_append_u8(out, '\n');
    append_roff(out, o->help);
    sl_buf_append_str(out, "\n");
}

static void
manual_verb(const struct sl_cli_verb *v, struct sl_buf *out)
{
    sl_buf_printf(out, ".SS sluice %s", v->name);
    if (v->arguments[0] != '\0') {
        sl_buf_append_u8(out, ' ');
        append_roff(out, v->arguments);
    }
    sl_buf_append_u8(out, '\n');
    append_roff(out, v->summary);
    sl_buf_append_str(out, ".\n");
    for (const struct sl_cli_option *o = v->options; o != NULL && o->name != NULL; o++)
        manual_option(v, o, out);
    if (v->options == NULL)
        sl_buf_printf(out, "\\fBsluice %s \\-\\-help\\fR lists its options.\n", v->name);
}

void
sl_cli_manual(struct sl_buf *out)
{
    struct sl_cli_verb v;
    sl_buf_append_str(out,
                      ".TH SLUICE 1 \"\" \"sluice " SL_VERSION "\" \"User Commands\"\n"
                      ".SH NAME\nsluice \\- actor runtime, job queue and model server\n"
                      ".SH SYNOPSIS\n\\fBsluice\\fR \\fIVERB\\fR [\\fIARGUMENTS\\fR] "
                      "[\\fIOPTIONS\\fR]\n"
                      ".SH DESCRIPTION\nTenants post documents over HTTP; durable queues feed "
                      "worker nodes; extractor plugins run as replicas.\n"
                      "\\fBsluice up\\fR runs everything on this machine; most other verbs ask a "
                      "server that runs.\n"
                      ".SH OPTIONS\nOf every verb that asks a server:\n");
    for (const struct sl_cli_option *o = shared; o->name != NULL; o++)
        manual_option(NULL, o, out);
    sl_buf_append_str(out, ".SH VERBS\n");
    for (uint32_t i = 0; sl_cli_verb_at(i, &v); i++)
        manual_verb(&v, out);
    sl_buf_append_str(
        out, ".SH EXIT STATUS\n0 done, 1 failed, 2 usage, 3 no connection, 4 the server refused.\n"
             ".SH ENVIRONMENT\n.TP\n\\fBSLUICE_API_KEY\\fR\nthe key that the server is asked "
             "with, unless \\fB\\-\\-key\\-file\\fR names one\n");
}

/* ---- the verbs ----------------------------------------------------------------------------- */

static int
print(struct sl_buf *out)
{
    bool is_written = fwrite(out->data, 1, out->size, stdout) == out->size && fflush(stdout) == 0;
    sl_buf_deinit(out);
    return is_written ? SL_EXIT_OK : SL_EXIT_FAILED;
}

static bool
wants_help(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], "--help") == 0;
}

int
sl_completion_main(int argc, char **argv)
{
    static const char usage[] =
        "usage: sluice completion bash | zsh | fish\n"
        "Print what the shell completes sluice's verbs, orders and options by.\n\n"
        "  bash   sluice completion bash > /etc/bash_completion.d/sluice\n"
        "  zsh    sluice completion zsh > /usr/local/share/zsh/site-functions/_sluice\n"
        "  fish   sluice completion fish > ~/.config/fish/completions/sluice.fish\n";
    struct sl_buf out = {0};
    if (argc == 2 && sl_cli_completion(argv[1], &out))
        return print(&out);
    bool is_help = wants_help(argc, argv);
    (void)fputs(usage, is_help ? stdout : stderr);
    return is_help ? SL_EXIT_OK : SL_EXIT_USAGE;
}

int
sl_manual_main(int argc, char **argv)
{
    static const char usage[] =
        "usage: sluice manual\n"
        "Print the manual page, to be read with: sluice manual | man -l -\n";
    struct sl_buf out = {0};
    if (argc == 1) {
        sl_cli_manual(&out);
        return print(&out);
    }
    bool is_help = wants_help(argc, argv);
    (void)fputs(usage, is_help ? stdout : stderr);
    return is_help ? SL_EXIT_OK : SL_EXIT_USAGE;
}
