/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/filter_re2.h"

#include <re2/re2.h>

/*
 * The automaton's states are made as they are needed, within a memory that is bounded. Where that
 * does not go far the pattern is walked instead, each step of it at each byte of a text: hence a
 * bound of steps too.
 */
#define MEMORY_MAX (512 << 10)
#define STEPS_MAX  1500

struct sl_re2 {
    RE2 regex;

    sl_re2(const re2::StringPiece &pattern, const RE2::Options &options) : regex(pattern, options)
    {
    }
};

static const char *
why_not(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "it has an escape that is not supported, as back references are not";
    case RE2::ErrorBadPerlOp:
        return "look-around is not supported";
    case RE2::ErrorMissingBracket:
    case RE2::ErrorBadCharClass:
    case RE2::ErrorBadCharRange:
        return "its brackets are not well-formed";
    case RE2::ErrorMissingParen:
        return "its groups are not well-formed";
    case RE2::ErrorRepeatArgument:
    case RE2::ErrorRepeatOp:
        return "it repeats what cannot be repeated";
    case RE2::ErrorRepeatSize:
    case RE2::ErrorPatternTooLarge:
        return "its repeat counts are too large";
    default:
        return "it is not a well-formed regular expression";
    }
}

const char *
sl_re2_create(const char *pattern, size_t size, bool is_case_sensitive, struct sl_re2 **ret_re2)
{
    RE2::Options options;
    options.set_case_sensitive(is_case_sensitive);
    options.set_log_errors(false);
    options.set_never_capture(true);
    options.set_max_mem(MEMORY_MAX);
    struct sl_re2 *made = new sl_re2(re2::StringPiece(pattern, size), options);
    const char *why = nullptr;
    if (!made->regex.ok())
        why = why_not(made->regex.error_code());
    else if (made->regex.ProgramSize() > STEPS_MAX)
        why = "its repeat counts or classes are too large";
    if (why != nullptr)
        delete made;
    *ret_re2 = why == nullptr ? made : nullptr;
    return why;
}

void
sl_re2_destroy(struct sl_re2 *re2)
{
    delete re2;
}

bool
sl_re2_matches(const struct sl_re2 *re2, const char *text, size_t size)
{
    re2::StringPiece subject(text, size);
    return re2->regex.Match(subject, 0, size, RE2::UNANCHORED, nullptr, 0);
}
