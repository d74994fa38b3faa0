/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/simulate_directory.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/alloc.h"

char *
sl_simulate_directory_make(const char *parent)
{
    if (parent == NULL)
        parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    char *directory = sl_format("%s/sluice-simulate-XXXXXX", parent);
    if (mkdtemp(directory) != NULL)
        return directory;
    sl_free(directory);
    return NULL;
}

static void
remove_part(const char *directory, const char *part)
{
    char *path = sl_format("%s%s", directory, part);
    DIR *listing = opendir(path);
    for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        char *file = sl_format("%s/%s", path, entry->d_name);
        unlink(file); /* Not "." and "..": they are directories. */
        sl_free(file);
    }
    if (listing != NULL)
        closedir(listing);
    rmdir(path);
    sl_free(path);
}

void
sl_simulate_directory_remove(char *directory)
{
    remove_part(directory, "/catalogue");
    remove_part(directory, "/snapshots");
    remove_part(directory, "/log");
    remove_part(directory, "");
    sl_free(directory);
}
