/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>

#include "gateway/cli.h"
#include "gateway/doctor.h"
#include "runtime/json.h"

static int
usage(FILE *to)
{
    (void)fputs("usage: sluice doctor [OPTION]...\n"
                "Look whether this machine is fit for sluice, and say what to change. Needs no\n"
                "server; with one that runs, its ports are taken.\n\n"
                "  --data DIR               the data directory that is, or will be, used (./data)\n"
                "  --http ADDRESS:PORT      of the API (127.0.0.1:8080)\n"
                "  --dashboard ADDRESS:PORT of the dashboard (127.0.0.1:8265)\n"
                "  --json                   print a JSON object\n"
                "  --help                   print this\n\n"
                "Exit codes: 0 nothing failed, 1 something did, 2 usage.\n",
                to);
    return to == stdout ? SL_EXIT_OK : SL_EXIT_USAGE;
}

static void
print_json(const struct sl_doctor_finding findings[], bool is_ok)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    sl_jsonw_member_bool(&w, "ok", is_ok);
    sl_jsonw_name(&w, "checks");
    sl_jsonw_array(&w);
    for (size_t i = 0; i < SL_DOCTOR_CHECKS; i++) {
        sl_jsonw_object(&w);
        sl_jsonw_member_str(&w, "check", findings[i].check);
        sl_jsonw_member_str(&w, "about", findings[i].about);
        sl_jsonw_member_str(&w, "state", sl_doctor_state_name(findings[i].state));
        sl_jsonw_member_str(&w, "found", findings[i].found);
        sl_jsonw_member_str(&w, "advice", findings[i].advice);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    printf("%s\n", sl_buf_text(&out));
    sl_buf_deinit(&out);
}

static void
print_text(const struct sl_doctor_finding findings[])
{
    for (size_t i = 0; i < SL_DOCTOR_CHECKS; i++) {
        const struct sl_doctor_finding *f = &findings[i];
        printf("%-4s  %-12s  %s\n", sl_doctor_state_name(f->state), f->check, f->found);
        if (f->advice[0] != '\0')
            printf("      %-12s  -> %s\n", "", f->advice);
    }
}

int
sl_doctor_main(int argc, char **argv)
{
    static const struct option options[] = {{"data", required_argument, NULL, 'd'},
                                            {"http", required_argument, NULL, 'p'},
                                            {"dashboard", required_argument, NULL, 'b'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct sl_doctor_places places = {
        .data = "./data", .http = "127.0.0.1:8080", .dashboard = "127.0.0.1:8265"};
    struct sl_doctor_facts facts;
    struct sl_doctor_finding findings[SL_DOCTOR_CHECKS];
    bool is_json = false, is_ok = true;
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'd')
            places.data = optarg;
        else if (c == 'p')
            places.http = optarg;
        else if (c == 'b')
            places.dashboard = optarg;
        else if (c == 'j')
            is_json = true;
        else
            return usage(c == 'h' ? stdout : stderr);
    }
    if (optind < argc || places.data[0] == '\0')
        return usage(stderr);
    sl_doctor_look(&places, &facts);
    sl_doctor_judge(&facts, findings);
    for (size_t i = 0; i < SL_DOCTOR_CHECKS; i++)
        is_ok = is_ok && findings[i].state != SL_DOCTOR_FAIL;
    if (is_json)
        print_json(findings, is_ok);
    else
        print_text(findings);
    return is_ok ? SL_EXIT_OK : SL_EXIT_FAILED;
}
