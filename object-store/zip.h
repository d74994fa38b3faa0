/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zip.h - where the entries of a ZIP or ZIP64 archive lie, for readers that use them in place.
 *
 *   | local header, data, descriptor? | ... | central directory | ZIP64 end | locator | end |
 *
 * Nothing is ever decompressed. An archive has one reading or is refused: entries tile the file
 * from its first byte to the central directory, and that reaches to the end records, so there is no
 * room for overlaps, for bytes in front or behind, or for a second directory; each local header and
 * descriptor says what the central directory says; names are unique, relative and clean.
 * Encryption, several disks, comments and holes are refused.
 *
 * Checksums are not compared: it would read every byte once more, torch itself writes none on
 * demand, and who stores the file compares digests of all of it anyway.
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_ZIP_H
#define SL_OBJECT_STORE_ZIP_H

#include "object-store/cause.h"
#include "runtime/base.h"

#define SL_ZIP_ENTRIES_MAX   131072
#define SL_ZIP_NAME_SIZE_MAX 1024 /* Bytes. */

struct sl_zip_entry {
    struct sl_slice name;  /* Borrowed of the file; UTF-8. A folder's ends in '/'. */
    uint64_t offset, size; /* Of its bytes as they lie in the file. */
    bool is_stored;        /* They are the content; false: compressed, so of no use in place. */
};

struct sl_zip {
    struct sl_zip_entry *entries; /* Sorted by name. */
    uint32_t count;
};

/*
 * Read the directory of `file`, a whole file, which must outlive *ret_zip. SL_EINVAL, with a cause:
 * anything that the description above does not allow. On success deinit the zip.
 */
SL_MUST_CHECK
enum sl_err sl_zip_parse(struct sl_slice file, struct sl_zip *ret_zip, struct sl_cause *ret_cause);

void sl_zip_deinit(struct sl_zip *zip); /* Zeroed is fine. */

/* The entry of this name, until deinit; NULL: there is none. */
const struct sl_zip_entry *sl_zip_lookup(const struct sl_zip *zip, struct sl_slice name);

#endif
