/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/origin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "object-store/intake_child.h"
#include "runtime/alloc.h"

#define ORIGIN_MAGIC 0x6f726967u
#define MODELS       "models"
#define UP           "../" /* From where links lie to the data directory. */
#define LEVELS       2     /* SCOPE and NAMESPACE, above models' directories. */
#define LINK_MAX     1024

struct sl_origin {
    uint32_t magic;
    int data_fd, images_fd;
    struct sl_disk data, own; /* The data directory, and its images. */
    struct sl_images images;
};

static struct sl_origin *
origin_of(void *self)
{
    struct sl_origin *o = self;
    sl_assert(o != NULL);
    sl_assert(o->magic == ORIGIN_MAGIC);
    return o;
}

/* ---- looking ------------------------------------------------------------------------------- */

static bool
is_model_of(const char *name, const char *digest)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && strcmp(dot + 1, digest) == 0;
}

/* Append the path, from `fd` on, of a model with that digest. Takes fd. */
static bool
search(int fd, unsigned levels, const char *digest, struct sl_buf *path)
{
    DIR *directory = fdopendir(fd);
    bool is_found = false;
    if (directory == NULL) {
        close(fd);
        return false;
    }
    for (const struct dirent *entry; !is_found && (entry = readdir(directory)) != NULL;) {
        size_t before = path->size;
        if (entry->d_name[0] == '.')
            continue;
        sl_buf_append_u8(path, '/');
        sl_buf_append_str(path, entry->d_name);
        if (levels == 0) {
            is_found = is_model_of(entry->d_name, digest);
        } else {
            int below = openat(dirfd(directory), entry->d_name,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            is_found = below >= 0 && search(below, levels - 1, digest, path);
        }
        if (!is_found)
            path->size = before;
    }
    closedir(directory);
    return is_found;
}

static enum sl_err
find_linked(const struct sl_origin *o, const char *name, struct sl_file **ret_file)
{
    char target[LINK_MAX];
    ssize_t size = readlinkat(o->images_fd, name, target, sizeof(target) - 1);
    if (size < (ssize_t)strlen(UP) || strncmp(target, UP, strlen(UP)) != 0)
        return SL_ENOTFOUND;
    target[size] = '\0';
    return o->data.find(o->data.self, target + strlen(UP), ret_file);
}

static enum sl_err
find_model(const struct sl_origin *o, const char *name, struct sl_file **ret_file)
{
    struct sl_buf path = {0};
    enum sl_err err = SL_ENOTFOUND;
    int models = openat(o->data_fd, MODELS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sl_buf_append_str(&path, UP MODELS);
    if (models >= 0 && search(models, LEVELS, name, &path)) {
        sl_buf_append_str(&path, "/" SL_INTAKE_IMAGE);
        err = o->data.find(o->data.self, sl_buf_text(&path) + strlen(UP), ret_file);
    }
    if (err == SL_OK && path.size < LINK_MAX) {
        /* Another thread may be at the same: either link is right, and none costs a search. */
        (void)unlinkat(o->images_fd, name, 0);
        (void)!symlinkat(sl_buf_text(&path), o->images_fd, name);
    }
    sl_buf_deinit(&path);
    return err;
}

/* ---- a disk on which the images lie -------------------------------------------------------- */

static enum sl_err
disk_open(void *self, const char *path, struct sl_file **ret_file)
{
    const struct sl_disk *own = &origin_of(self)->own;
    return own->open(own->self, path, ret_file);
}

static enum sl_err
disk_find(void *self, const char *path, struct sl_file **ret_file)
{
    const struct sl_origin *o = origin_of(self);
    struct sl_image_name name;
    if (!sl_image_name_read(path, &name))
        return o->own.find(o->own.self, path, ret_file);
    enum sl_err err = find_linked(o, path, ret_file);
    return err == SL_OK ? SL_OK : find_model(o, path, ret_file);
}

static enum sl_err
disk_rename(void *self, const char *from, const char *to)
{
    const struct sl_disk *own = &origin_of(self)->own;
    return own->rename(own->self, from, to);
}

static enum sl_err
disk_remove(void *self, const char *path)
{
    const struct sl_disk *own = &origin_of(self)->own;
    return own->remove(own->self, path);
}

static enum sl_err
disk_list(void *self, struct sl_buf *names)
{
    const struct sl_disk *own = &origin_of(self)->own;
    return own->list(own->self, names);
}

static uint64_t
disk_room(void *self)
{
    const struct sl_disk *own = &origin_of(self)->own;
    return own->room(own->self);
}

static uint32_t
disk_salt(void *self)
{
    const struct sl_disk *own = &origin_of(self)->own;
    return own->salt(own->self);
}

/* ---- life ---------------------------------------------------------------------------------- */

static bool
is_there(void *arg, const struct sl_image_name *name)
{
    uint64_t size;
    return sl_images_size(arg, name, &size) == SL_OK;
}

enum sl_err
sl_origin_open(const char *data_directory, struct sl_origin **ret_origin)
{
    struct sl_origin *o = sl_zalloc(sizeof(*o));
    char *path = sl_format("%s/images", data_directory);
    *o = (struct sl_origin){.magic = ORIGIN_MAGIC, .images_fd = -1};
    o->data_fd = open(data_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum sl_err err = o->data_fd < 0 ? sl_err_from_errno(errno) : SL_OK;
    if (err == SL_OK)
        err = sl_disk_open(data_directory, &o->data);
    if (err == SL_OK)
        err = sl_disk_open(path, &o->own);
    if (err == SL_OK) {
        o->images_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        err = o->images_fd < 0 ? sl_err_from_errno(errno) : SL_OK;
    }
    sl_free(path);
    if (err != SL_OK) {
        sl_origin_close(&o);
        return err;
    }
    o->images.disk = o->own; /* What works on files alone is the same. */
    o->images.disk.self = o;
    o->images.disk.open = disk_open;
    o->images.disk.find = disk_find;
    o->images.disk.rename = disk_rename;
    o->images.disk.remove = disk_remove;
    o->images.disk.list = disk_list;
    o->images.disk.room = disk_room;
    o->images.disk.salt = disk_salt;
    (void)sl_images_sweep(&o->images, is_there, &o->images);
    *ret_origin = o;
    return SL_OK;
}

const struct sl_images *
sl_origin_images(const struct sl_origin *origin)
{
    sl_assert(origin->magic == ORIGIN_MAGIC);
    return &origin->images;
}

void
sl_origin_close(struct sl_origin **origin)
{
    struct sl_origin *o = *origin;
    if (o == NULL)
        return;
    *origin = NULL;
    sl_disk_close(&o->own);
    sl_disk_close(&o->data);
    if (o->images_fd >= 0)
        close(o->images_fd);
    if (o->data_fd >= 0)
        close(o->data_fd);
    sl_free(o);
}
