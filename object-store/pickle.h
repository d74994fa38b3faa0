/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickle.h - read a pickle as data: a tree of values, never a program.
 *
 * Read are the opcodes that torch.save writes, of protocol 2: PROTO STOP MARK NONE NEWTRUE NEWFALSE
 * BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINSTRING EMPTY_{TUPLE,LIST,DICT,SET}
 * TUPLE TUPLE1-3 APPEND(S) SETITEM(S) BINGET LONG_BINGET BINPUT LONG_BINPUT GLOBAL BINPERSID
 * REDUCE NEWOBJ BUILD. Others are refused by name. A GLOBAL is a symbol of the caller's table and
 * imports nothing; one that is not there is refused by name. REDUCE, NEWOBJ and BUILD make a value
 * of the kind that the table gives the symbol; what is called is never looked at here.
 *
 *   bytes --parse--> values in one arena; numbers stand for them ---> the caller walks the root
 *
 * The tree is a graph: values may be shared, and lists and dicts may hold themselves. Who walks it
 * bounds depth and steps.
 *
 * A value is a number, which is valid until the pickle is destroyed.
 *
 * Threading: plain state, one owner. Texts are borrowed of the bytes, which must outlive it.
 */
#ifndef SL_OBJECT_STORE_PICKLE_H
#define SL_OBJECT_STORE_PICKLE_H

#include "object-store/cause.h"
#include "runtime/base.h"

#define SL_PICKLE_SIZE_MAX   (64 * SL_MIB)
#define SL_PICKLE_VALUES_MAX (1u << 21) /* 16 bytes each; and as many members of containers. */
#define SL_PICKLE_STACK_MAX  (1u << 20)
#define SL_PICKLE_MARKS_MAX  256u /* Containers that are open at once. */
#define SL_PICKLE_MEMO_MAX   (1u << 20)
#define SL_PICKLE_NAME_MAX   512u /* Bytes of a global's name. */

enum sl_pickle_kind {
    SL_PICKLE_NONE,
    SL_PICKLE_BOOL,
    SL_PICKLE_INT, /* That fits in 64 bits with its sign. */
    SL_PICKLE_FLOAT,
    SL_PICKLE_LONG, /* A greater number, unread. */
    SL_PICKLE_TEXT,
    SL_PICKLE_BYTES,
    SL_PICKLE_TUPLE,
    SL_PICKLE_LIST,
    SL_PICKLE_DICT,
    SL_PICKLE_SET,    /* Empty: nothing fills one. */
    SL_PICKLE_GLOBAL, /* A symbol. */
    SL_PICKLE_CALL,   /* A symbol and the tuple of its arguments. */
    SL_PICKLE_OBJECT, /* A symbol and its state, which may be none. */
    SL_PICKLE_PERSID, /* Something kept elsewhere, named by a value. */
    SL_PICKLE_RUN,    /* Inner: members of a list or dict. Never seen by callers. */
};

/* What a symbol makes when the pickle calls it. */
enum sl_pickle_makes {
    SL_PICKLE_MAKES_NOTHING, /* It is named only: a call is refused. */
    SL_PICKLE_MAKES_CALL,    /* REDUCE: SL_PICKLE_CALL, for the caller to interpret. */
    SL_PICKLE_MAKES_DICT,    /* REDUCE, NEWOBJ: a dict of no argument or of a dict. */
    SL_PICKLE_MAKES_FIRST,   /* REDUCE: its first argument, a tuple, list or dict, as it is. */
    SL_PICKLE_MAKES_OBJECT,  /* NEWOBJ, without arguments: SL_PICKLE_OBJECT, which BUILD fills. */
};

struct sl_pickle_symbol {
    const char *name; /* "module.name"; with a '*' at its end, all that begin so. */
    enum sl_pickle_makes makes;
    uint32_t tag; /* The caller's. */
};

struct sl_pickle;

/*
 * Parse `bytes`, all of them. `symbols` must outlive the pickle. SL_EINVAL: malformed, or over one
 * of the limits above. SL_EDENIED: an opcode or global that is not read, or one that is used as it
 * must not be. Both with a cause.
 */
SL_MUST_CHECK
enum sl_err sl_pickle_parse(struct sl_slice bytes, const struct sl_pickle_symbol *symbols,
                            uint32_t symbols_count, struct sl_pickle **ret_pickle,
                            struct sl_cause *ret_cause);
void sl_pickle_destroy(struct sl_pickle **pickle);

uint32_t sl_pickle_root(const struct sl_pickle *p);
uint32_t sl_pickle_values_count(const struct sl_pickle *p); /* Every ref is less than this. */
enum sl_pickle_kind sl_pickle_kind(const struct sl_pickle *p, uint32_t v);

/* False, and *ret_number as it was: not an INT. */
bool sl_pickle_int(const struct sl_pickle *p, uint32_t v, int64_t *ret_number);
bool sl_pickle_is_true(const struct sl_pickle *p, uint32_t v);
/* The bytes of a TEXT, whose UTF-8 is not checked; nothing of another kind. */
struct sl_slice sl_pickle_text(const struct sl_pickle *p, uint32_t v);
/* The symbol of a GLOBAL, CALL or OBJECT; NULL: another kind. */
const struct sl_pickle_symbol *sl_pickle_symbol(const struct sl_pickle *p, uint32_t v);

/* Members of a TUPLE or LIST; of a DICT, keys and values in turn; arguments of a CALL. 0: others.
 */
uint32_t sl_pickle_count(const struct sl_pickle *p, uint32_t v);
/* A member of a TUPLE or an argument of a CALL, index < count. */
uint32_t sl_pickle_item(const struct sl_pickle *p, uint32_t v, uint32_t index);
/* The state of an OBJECT or the name of a PERSID. False: there is none. */
bool sl_pickle_inner(const struct sl_pickle *p, uint32_t v, uint32_t *ret_inner);

/* All members, in their order: of a TUPLE, LIST, DICT or CALL; none of others. */
struct sl_pickle_iter {
    uint32_t next, left, run;
};
struct sl_pickle_iter sl_pickle_iter(const struct sl_pickle *p, uint32_t v);
bool sl_pickle_next(const struct sl_pickle *p, struct sl_pickle_iter *iter, uint32_t *ret_member);

#endif
