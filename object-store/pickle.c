/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack machine that makes values (pickle_state.h). No opcode runs another: depth of nesting
 * costs values, of which there is a limit, and no C stack.
 */
#include "object-store/pickle_state.h"

#include "runtime/alloc.h"
#include "runtime/buf.h"

#define PROTOCOL  2
#define ITEMS_MAX (2 * SL_PICKLE_VALUES_MAX)

/* Values that are there from the start, so that they cost nothing. */
#define REF_NONE  0u
#define REF_FALSE 1u
#define REF_TRUE  2u
#define REF_FIRST 3u

enum {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_NONE = 'N',
    OP_BINPERSID = 'Q',
    OP_REDUCE = 'R',
    OP_SHORT_BINSTRING = 'U',
    OP_BINUNICODE = 'X',
    OP_APPEND = 'a',
    OP_BUILD = 'b',
    OP_GLOBAL = 'c',
    OP_EMPTY_DICT = '}',
    OP_APPENDS = 'e',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_EMPTY_LIST = ']',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_EMPTY_TUPLE = ')',
    OP_SETITEMS = 'u',
    OP_BINFLOAT = 'G',
    OP_PROTO = 0x80,
    OP_NEWOBJ = 0x81,
    OP_TUPLE1 = 0x85,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a,
    OP_EMPTY_SET = 0x8f,
};

/* Opcodes of any protocol that are not read, for the message only. */
static const struct {
    uint8_t code;
    const char *name;
} foreign[] = {
    {'0', "POP"},
    {'1', "POP_MARK"},
    {'2', "DUP"},
    {'F', "FLOAT"},
    {'I', "INT"},
    {'L', "LONG"},
    {'P', "PERSID"},
    {'S', "STRING"},
    {'T', "BINSTRING"},
    {'V', "UNICODE"},
    {'d', "DICT"},
    {'g', "GET"},
    {'i', "INST"},
    {'l', "LIST"},
    {'o', "OBJ"},
    {'p', "PUT"},
    {0x82, "EXT1"},
    {0x83, "EXT2"},
    {0x84, "EXT4"},
    {0x8b, "LONG4"},
    {'B', "BINBYTES"},
    {'C', "SHORT_BINBYTES"},
    {0x8c, "SHORT_BINUNICODE"},
    {0x8d, "BINUNICODE8"},
    {0x8e, "BINBYTES8"},
    {0x90, "ADDITEMS"},
    {0x91, "FROZENSET"},
    {0x92, "NEWOBJ_EX"},
    {0x93, "STACK_GLOBAL"},
    {0x94, "MEMOIZE"},
    {0x95, "FRAME"},
    {0x96, "BYTEARRAY8"},
    {0x97, "NEXT_BUFFER"},
    {0x98, "READONLY_BUFFER"},
};

/* ---- refusals ---------------------------------------------------------------------------------
 */

static enum sl_err
bad(struct sl_pickle *p, const char *what)
{
    return sl_cause_set(p->cause, SL_EINVAL, "the pickle is damaged at byte %zu: %s",
                        (size_t)(p->in.at - p->bytes.data), what);
}

static enum sl_err
full(struct sl_pickle *p, const char *what, uint32_t limit)
{
    return sl_cause_set(p->cause, SL_EINVAL, "the pickle has more than %u %s: save tensors alone",
                        limit, what);
}

/* "module\nname", which may be anything, as something to show. */
static void
global_text(struct sl_slice raw, char *text, size_t text_size)
{
    size_t size = SL_MIN(raw.size, text_size - 1);
    for (size_t i = 0; i < size; i++) {
        uint8_t c = raw.data[i];
        text[i] = c == '\n' ? '.' : c < 0x20 || c >= 0x7f ? '?' : (char)c;
    }
    text[size] = '\0';
}

static enum sl_err
deny(struct sl_pickle *p, const struct sl_pickle_value *global, const char *what)
{
    char name[128];
    global_text(sl_slice(p->bytes.data + global->b, global->c), name, sizeof(name));
    return sl_cause_set(p->cause, SL_EDENIED, "the pickle %s '%s'", what, name);
}

static enum sl_err
deny_opcode(struct sl_pickle *p, uint8_t code)
{
    const char *name = "an unknown one";
    for (size_t i = 0; i < SL_COUNT_OF(foreign); i++) {
        if (foreign[i].code == code)
            name = foreign[i].name;
    }
    return sl_cause_set(p->cause, SL_EDENIED,
                        "the pickle uses opcode 0x%02x (%s), which torch.save does not write for "
                        "tensors: save a state_dict with torch.save and its default protocol",
                        code, name);
}

/* ---- values -----------------------------------------------------------------------------------
 */

static bool
words_push(struct sl_pickle_words *w, uint32_t word, uint32_t limit)
{
    if (w->count == limit)
        return false;
    if (w->count == w->capacity) {
        w->capacity = SL_MIN(limit, SL_MAX(64u, w->capacity * 2));
        w->at = sl_realloc(w->at, sizeof(*w->at) * w->capacity);
    }
    w->at[w->count++] = word;
    return true;
}

static enum sl_err
make(struct sl_pickle *p, struct sl_pickle_value value, uint32_t *ret_ref)
{
    if (p->values_count == SL_PICKLE_VALUES_MAX)
        return full(p, "values", SL_PICKLE_VALUES_MAX);
    if (p->values_count == p->values_capacity) {
        p->values_capacity = SL_MIN(SL_PICKLE_VALUES_MAX, SL_MAX(64u, p->values_capacity * 2));
        p->values = sl_realloc(p->values, sizeof(*p->values) * p->values_capacity);
    }
    *ret_ref = p->values_count;
    p->values[p->values_count++] = value;
    return SL_OK;
}

static enum sl_err
push(struct sl_pickle *p, uint32_t ref)
{
    sl_assert(ref < p->values_count);
    if (!words_push(&p->stack, ref, SL_PICKLE_STACK_MAX))
        return full(p, "values on its stack", SL_PICKLE_STACK_MAX);
    return SL_OK;
}

static enum sl_err
push_new(struct sl_pickle *p, struct sl_pickle_value value)
{
    uint32_t ref = 0;
    enum sl_err err = make(p, value, &ref);
    return err == SL_OK ? push(p, ref) : err;
}

/* Where the values begin that may be taken: those below belong to a container that is still open.
 */
static uint32_t
floor_of(const struct sl_pickle *p)
{
    return p->marks.count == 0 ? 0 : p->marks.at[p->marks.count - 1];
}

static bool
pop(struct sl_pickle *p, uint32_t *ret_ref)
{
    if (p->stack.count == floor_of(p))
        return false;
    *ret_ref = p->stack.at[--p->stack.count];
    return true;
}

static bool
pop_mark(struct sl_pickle *p, uint32_t *ret_from)
{
    if (p->marks.count == 0)
        return false;
    *ret_from = p->marks.at[--p->marks.count];
    sl_assert(*ret_from <= p->stack.count);
    return true;
}

/* Move the values [from, end of stack) behind the other items. */
static enum sl_err
move_items(struct sl_pickle *p, uint32_t from, uint32_t *ret_first)
{
    *ret_first = p->items.count;
    for (uint32_t i = from; i < p->stack.count; i++) {
        if (!words_push(&p->items, p->stack.at[i], ITEMS_MAX))
            return full(p, "members of containers", ITEMS_MAX);
    }
    p->stack.count = from;
    return SL_OK;
}

static enum sl_err
push_tuple(struct sl_pickle *p, uint32_t from)
{
    uint32_t count = p->stack.count - from, first = 0;
    enum sl_err err = move_items(p, from, &first);
    if (err != SL_OK)
        return err;
    return push_new(p, (struct sl_pickle_value){.kind = SL_PICKLE_TUPLE, .a = count, .b = first});
}

/* Add the values [from, end of stack) to the container below them. */
static enum sl_err
extend(struct sl_pickle *p, uint32_t from, enum sl_pickle_kind kind)
{
    uint32_t count = p->stack.count - from, first = 0;
    if (from == floor_of(p))
        return bad(p, "members without a container");
    uint32_t target = p->stack.at[from - 1], run = 0;
    if (p->values[target].kind != kind)
        return bad(p, kind == SL_PICKLE_DICT ? "SETITEM on something that is no dict"
                                             : "APPEND on something that is no list");
    if (kind == SL_PICKLE_DICT && count % 2 != 0)
        return bad(p, "a key of a dict without its value");
    if (count == 0)
        return SL_OK;
    enum sl_err err = move_items(p, from, &first);
    if (err == SL_OK)
        err = make(p,
                   (struct sl_pickle_value){
                       .kind = SL_PICKLE_RUN, .a = count, .b = first, .c = SL_PICKLE_NO_VALUE},
                   &run);
    if (err != SL_OK)
        return err;
    struct sl_pickle_value *v = &p->values[target];
    if (v->b == SL_PICKLE_NO_VALUE)
        v->b = run;
    else
        p->values[v->c].c = run;
    v->c = run;
    v->a += count; /* No overflow: ITEMS_MAX. */
    return SL_OK;
}

static enum sl_err
push_container(struct sl_pickle *p, enum sl_pickle_kind kind, bool is_attributed)
{
    return push_new(p, (struct sl_pickle_value){.kind = (uint8_t)kind,
                                                .is_attributed = is_attributed,
                                                .b = SL_PICKLE_NO_VALUE,
                                                .c = SL_PICKLE_NO_VALUE});
}

/* ---- opcodes with an operand ------------------------------------------------------------------
 */

static enum sl_err
push_int(struct sl_pickle *p, int64_t number)
{
    return push_new(p, (struct sl_pickle_value){.kind = SL_PICKLE_INT, .number = number});
}

static enum sl_err
on_number(struct sl_pickle *p, uint8_t code)
{
    uint64_t n = sl_read_u8(&p->in);
    if (code == OP_BININT1)
        return push_int(p, (int64_t)n);
    n |= (uint64_t)sl_read_u8(&p->in) << 8;
    if (code == OP_BININT2)
        return push_int(p, (int64_t)n);
    n |= (uint64_t)sl_read_u8(&p->in) << 16;
    n |= (uint64_t)sl_read_u8(&p->in) << 24;
    return push_int(p, (int32_t)(uint32_t)n);
}

static enum sl_err
on_long(struct sl_pickle *p)
{
    struct sl_slice raw = sl_read_bytes(&p->in, sl_read_u8(&p->in));
    if (raw.size > sizeof(int64_t))
        return push_new(p, (struct sl_pickle_value){.kind = SL_PICKLE_LONG});
    bool is_negative = raw.size > 0 && (raw.data[raw.size - 1] & 0x80) != 0;
    uint64_t n = is_negative ? UINT64_MAX : 0;
    for (size_t i = raw.size; i-- > 0;)
        n = n << 8 | raw.data[i];
    return push_int(p, (int64_t)n);
}

static enum sl_err
on_text(struct sl_pickle *p, uint8_t code)
{
    size_t size = code == OP_SHORT_BINSTRING ? sl_read_u8(&p->in) : sl_read_u32(&p->in);
    struct sl_slice text = sl_read_bytes(&p->in, size);
    if (p->in.is_bad)
        return bad(p, "a text goes beyond its end");
    uint8_t kind = code == OP_SHORT_BINSTRING ? SL_PICKLE_BYTES : SL_PICKLE_TEXT;
    return push_new(p, (struct sl_pickle_value){.kind = kind,
                                                .b = (uint32_t)(text.data - p->bytes.data),
                                                .c = (uint32_t)text.size});
}

static bool
read_line(struct sl_pickle *p)
{
    size_t left = SL_MIN((size_t)(p->in.end - p->in.at), (size_t)SL_PICKLE_NAME_MAX);
    const uint8_t *end = left == 0 ? NULL : memchr(p->in.at, '\n', left);
    if (end == NULL || end == p->in.at)
        return false;
    p->in.at = end + 1;
    return true;
}

/* Whether "module\nname" is this symbol. */
static bool
is_symbol(struct sl_slice raw, const char *name)
{
    for (size_t i = 0; i < raw.size; i++) {
        if (name[i] == '*')
            return true;
        char c = raw.data[i] == '\n' ? '.' : (char)raw.data[i];
        if (name[i] == '\0' || name[i] != c)
            return false;
    }
    return name[raw.size] == '\0';
}

static enum sl_err
on_global(struct sl_pickle *p)
{
    const uint8_t *start = p->in.at;
    if (!read_line(p) || !read_line(p))
        return bad(p, "the name of a global is empty, too long or cut");
    struct sl_slice raw = sl_slice(start, (size_t)(p->in.at - start) - 1);
    struct sl_pickle_value v = {
        .kind = SL_PICKLE_GLOBAL, .b = (uint32_t)(start - p->bytes.data), .c = (uint32_t)raw.size};
    for (uint32_t i = 0; i < p->symbols_count; i++) {
        if (is_symbol(raw, p->symbols[i].name)) {
            v.a = i;
            return push_new(p, v);
        }
    }
    char name[128];
    global_text(raw, name, sizeof(name));
    return sl_cause_set(p->cause, SL_EDENIED,
                        "the pickle asks for '%s', which is not among what is read as data, and "
                        "nothing is ever run: save the tensors alone, as "
                        "torch.save(model.state_dict(), path)",
                        name);
}

static enum sl_err
on_memo(struct sl_pickle *p, uint8_t code)
{
    bool is_long = code == OP_LONG_BINGET || code == OP_LONG_BINPUT;
    bool is_put = code == OP_BINPUT || code == OP_LONG_BINPUT;
    uint32_t index = is_long ? sl_read_u32(&p->in) : sl_read_u8(&p->in);
    if (p->in.is_bad)
        return bad(p, "it is cut");
    if (!is_put) {
        if (index >= p->memo.count || p->memo.at[index] == SL_PICKLE_NO_VALUE)
            return bad(p, "it asks for something that it has not kept");
        return push(p, p->memo.at[index]);
    }
    if (p->stack.count == floor_of(p))
        return bad(p, "it keeps a value that is not there");
    if (index >= SL_PICKLE_MEMO_MAX)
        return full(p, "values kept", SL_PICKLE_MEMO_MAX);
    while (p->memo.count <= index)
        (void)words_push(&p->memo, SL_PICKLE_NO_VALUE, SL_PICKLE_MEMO_MAX);
    p->memo.at[index] = p->stack.at[p->stack.count - 1];
    return SL_OK;
}

/* ---- calls ------------------------------------------------------------------------------------
 */

/*
 * A dict of no arguments, or of a dict: that one itself, which nobody changes once it was copied.
 * Were it changed, both would show it.
 */
static enum sl_err
construct_dict(struct sl_pickle *p, const struct sl_pickle_value *args,
               const struct sl_pickle_value *global)
{
    if (args->a == 0)
        return push_container(p, SL_PICKLE_DICT, true);
    uint32_t from = p->items.at[args->b];
    if (args->a != 1 || p->values[from].kind != SL_PICKLE_DICT)
        return deny(p, global, "gives something else than a dict to");
    p->values[from].is_attributed = true;
    return push(p, from);
}

static enum sl_err
on_reduce(struct sl_pickle *p)
{
    uint32_t args_ref = 0, callee_ref = 0;
    if (!pop(p, &args_ref) || !pop(p, &callee_ref))
        return bad(p, "a call without arguments");
    struct sl_pickle_value args = p->values[args_ref], callee = p->values[callee_ref];
    if (callee.kind != SL_PICKLE_GLOBAL || args.kind != SL_PICKLE_TUPLE)
        return bad(p, "a call of something that is no global, or with something that is no tuple");
    switch (p->symbols[callee.a].makes) {
    case SL_PICKLE_MAKES_CALL:
        return push_new(
            p, (struct sl_pickle_value){.kind = SL_PICKLE_CALL, .a = callee.a, .b = args_ref});
    case SL_PICKLE_MAKES_DICT:
        return construct_dict(p, &args, &callee);
    case SL_PICKLE_MAKES_FIRST: {
        uint32_t first = args.a == 0 ? REF_NONE : p->items.at[args.b];
        uint8_t kind = p->values[first].kind;
        if (kind != SL_PICKLE_TUPLE && kind != SL_PICKLE_LIST && kind != SL_PICKLE_DICT)
            return deny(p, &callee, "gives something else than a container to");
        return push(p, first);
    }
    case SL_PICKLE_MAKES_NOTHING:
    case SL_PICKLE_MAKES_OBJECT:
        break;
    }
    return deny(p, &callee, "calls what may only be named:");
}

static enum sl_err
on_newobj(struct sl_pickle *p)
{
    uint32_t args_ref = 0, class_ref = 0;
    if (!pop(p, &args_ref) || !pop(p, &class_ref))
        return bad(p, "a new object without a class");
    struct sl_pickle_value args = p->values[args_ref], class = p->values[class_ref];
    if (class.kind != SL_PICKLE_GLOBAL || args.kind != SL_PICKLE_TUPLE)
        return bad(p, "a new object of something that is no class");
    enum sl_pickle_makes makes = p->symbols[class.a].makes;
    if (args.a == 0 && makes == SL_PICKLE_MAKES_DICT)
        return push_container(p, SL_PICKLE_DICT, true);
    if (args.a == 0 && makes == SL_PICKLE_MAKES_OBJECT)
        return push_new(p, (struct sl_pickle_value){
                               .kind = SL_PICKLE_OBJECT, .a = class.a, .b = SL_PICKLE_NO_VALUE});
    return deny(p, &class, "makes an object of");
}

static enum sl_err
on_build(struct sl_pickle *p)
{
    uint32_t state = 0;
    if (!pop(p, &state) || p->stack.count == floor_of(p))
        return bad(p, "a state without its object");
    struct sl_pickle_value *v = &p->values[p->stack.at[p->stack.count - 1]];
    /* Attributes of a dict, as the _metadata of a state_dict, are none of its members. */
    if (v->kind == SL_PICKLE_DICT && v->is_attributed && p->values[state].kind == SL_PICKLE_DICT)
        return SL_OK;
    if (v->kind == SL_PICKLE_OBJECT && v->b == SL_PICKLE_NO_VALUE) {
        v->b = state;
        return SL_OK;
    }
    return sl_cause_set(p->cause, SL_EDENIED,
                        "the pickle uses BUILD on something that takes no state: save the tensors "
                        "alone, as torch.save(model.state_dict(), path)");
}

static enum sl_err
on_persid(struct sl_pickle *p)
{
    uint32_t name = 0;
    if (!pop(p, &name))
        return bad(p, "a reference without a name");
    return push_new(p, (struct sl_pickle_value){.kind = SL_PICKLE_PERSID, .b = name});
}

/* ---- the machine ------------------------------------------------------------------------------
 */

static enum sl_err
on_mark(struct sl_pickle *p)
{
    if (!words_push(&p->marks, p->stack.count, SL_PICKLE_MARKS_MAX))
        return full(p, "containers within each other", SL_PICKLE_MARKS_MAX);
    return SL_OK;
}

static enum sl_err
on_tuple(struct sl_pickle *p, uint8_t code)
{
    uint32_t from = 0;
    if (code == OP_EMPTY_TUPLE)
        return push_tuple(p, p->stack.count);
    if (code == OP_TUPLE)
        return pop_mark(p, &from) ? push_tuple(p, from) : bad(p, "TUPLE without MARK");
    uint32_t count = code - OP_TUPLE1 + 1u;
    if (p->stack.count - floor_of(p) < count)
        return bad(p, "a tuple of values that are not there");
    return push_tuple(p, p->stack.count - count);
}

static enum sl_err
on_extend(struct sl_pickle *p, uint8_t code)
{
    uint32_t from = 0;
    if (code == OP_APPEND || code == OP_SETITEM) {
        uint32_t count = code == OP_APPEND ? 1 : 2;
        if (p->stack.count - floor_of(p) < count)
            return bad(p, "members that are not there");
        from = p->stack.count - count;
    } else if (!pop_mark(p, &from)) {
        return bad(p, "members without MARK");
    }
    return extend(p, from,
                  code == OP_APPEND || code == OP_APPENDS ? SL_PICKLE_LIST : SL_PICKLE_DICT);
}

static enum sl_err
on_stop(struct sl_pickle *p)
{
    if (p->stack.count != 1 || p->marks.count != 0)
        return bad(p, "it stops with more or less than one value");
    if (p->in.at != p->in.end)
        return bad(p, "something follows its end");
    p->root = p->stack.at[0];
    p->is_stopped = true;
    return SL_OK;
}

static enum sl_err
step(struct sl_pickle *p, uint8_t code)
{
    switch (code) {
    case OP_STOP:
        return on_stop(p);
    case OP_MARK:
        return on_mark(p);
    case OP_NONE:
        return push(p, REF_NONE);
    case OP_NEWTRUE:
        return push(p, REF_TRUE);
    case OP_NEWFALSE:
        return push(p, REF_FALSE);
    case OP_BININT:
    case OP_BININT1:
    case OP_BININT2:
        return on_number(p, code);
    case OP_LONG1:
        return on_long(p);
    case OP_BINFLOAT:
        (void)sl_read_u64(&p->in);
        return push_new(p, (struct sl_pickle_value){.kind = SL_PICKLE_FLOAT});
    case OP_BINUNICODE:
    case OP_SHORT_BINSTRING:
        return on_text(p, code);
    case OP_EMPTY_LIST:
        return push_container(p, SL_PICKLE_LIST, false);
    case OP_EMPTY_DICT:
        return push_container(p, SL_PICKLE_DICT, false);
    case OP_EMPTY_SET:
        return push_container(p, SL_PICKLE_SET, false);
    case OP_EMPTY_TUPLE:
    case OP_TUPLE:
    case OP_TUPLE1:
    case OP_TUPLE1 + 1:
    case OP_TUPLE3:
        return on_tuple(p, code);
    case OP_APPEND:
    case OP_APPENDS:
    case OP_SETITEM:
    case OP_SETITEMS:
        return on_extend(p, code);
    case OP_BINGET:
    case OP_LONG_BINGET:
    case OP_BINPUT:
    case OP_LONG_BINPUT:
        return on_memo(p, code);
    case OP_GLOBAL:
        return on_global(p);
    case OP_BINPERSID:
        return on_persid(p);
    case OP_REDUCE:
        return on_reduce(p);
    case OP_NEWOBJ:
        return on_newobj(p);
    case OP_BUILD:
        return on_build(p);
    default:
        return deny_opcode(p, code);
    }
}

static enum sl_err
run(struct sl_pickle *p)
{
    if (sl_read_u8(&p->in) != OP_PROTO || sl_read_u8(&p->in) != PROTOCOL)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "the pickle is not of protocol %d: save it with torch.save and its "
                            "default pickle_protocol",
                            PROTOCOL);
    while (!p->is_stopped) {
        uint8_t code = sl_read_u8(&p->in);
        if (p->in.is_bad)
            return bad(p, "it is cut");
        enum sl_err err = step(p, code);
        if (err == SL_OK && p->in.is_bad)
            err = bad(p, "it is cut");
        if (err != SL_OK)
            return err;
    }
    return SL_OK;
}

static void
words_deinit(struct sl_pickle_words *w)
{
    sl_free(w->at);
    *w = (struct sl_pickle_words){0};
}

enum sl_err
sl_pickle_parse(struct sl_slice bytes, const struct sl_pickle_symbol *symbols,
                uint32_t symbols_count, struct sl_pickle **ret_pickle, struct sl_cause *ret_cause)
{
    sl_assert(ret_pickle != NULL);
    sl_assert(symbols != NULL || symbols_count == 0);
    if (bytes.size > SL_PICKLE_SIZE_MAX)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "the pickle has %zu bytes; at most %d MiB are read: save tensors alone",
                            bytes.size, (int)(SL_PICKLE_SIZE_MAX / SL_MIB));
    struct sl_pickle *p = sl_zalloc(sizeof(*p));
    *p = (struct sl_pickle){.bytes = bytes,
                            .symbols = symbols,
                            .symbols_count = symbols_count,
                            .in = sl_reader(bytes),
                            .cause = ret_cause};
    uint32_t none = 0, no = 0, yes = 0;
    enum sl_err err = make(p, (struct sl_pickle_value){.kind = SL_PICKLE_NONE}, &none);
    if (err == SL_OK)
        err = make(p, (struct sl_pickle_value){.kind = SL_PICKLE_BOOL}, &no);
    if (err == SL_OK)
        err = make(p, (struct sl_pickle_value){.kind = SL_PICKLE_BOOL, .a = 1}, &yes);
    sl_assert(none == REF_NONE && no == REF_FALSE && yes == REF_TRUE);
    if (err == SL_OK)
        err = run(p);
    words_deinit(&p->stack);
    words_deinit(&p->marks);
    words_deinit(&p->memo);
    p->cause = NULL;
    if (err != SL_OK)
        sl_pickle_destroy(&p);
    else
        *ret_pickle = p;
    return err;
}

void
sl_pickle_destroy(struct sl_pickle **pickle)
{
    struct sl_pickle *p = *pickle;
    if (p == NULL)
        return;
    words_deinit(&p->items);
    sl_free(p->values);
    sl_free(p);
    *pickle = NULL;
}
