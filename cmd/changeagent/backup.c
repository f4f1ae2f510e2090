/* backup.c - the verb node backup: a snapshot of one node as a directory of files.
 *
 * What comes is checked three times: each slice, each file, and the manifest, whose hash is
 * the id of the snapshot. MANIFEST is written last: a directory without it is no backup. */
#include "cmd/changeagent/backup.h"

#include "common/bytes.h"
#include "common/digest.h"
#include "common/progress.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 96, PATH_BYTES = 4096, LINE_BYTES = 256 };

struct backup {
    const char *directory;
    struct ca_slice first; /* says which snapshot; its data is gone */
    struct bytes manifest;
    struct span lines; /* of files still to come */
    int fd;            /* of the file in work; 0: none */
    char name[NAME_MAX_BYTES];
    uint64_t left;                        /* bytes of it */
    char digest[2 * DIGEST_SIZE_MAX + 1]; /* of it, as the manifest has it */
    struct digest_state state;
    uint64_t done;
};

static bool failed(const char *what, const char *about)
{
    fprintf(stderr, "changeagent: backup: %s: %s\n", about, what);
    return false;
}

static const char *path_of(const struct backup *backup, const char *name, char path[PATH_BYTES])
{
    snprintf(path, PATH_BYTES, "%s/%s", backup->directory, name);
    return path;
}

static void print_hex(const struct digest *digest, char text[2 * DIGEST_SIZE_MAX + 1])
{
    for (size_t i = 0; i < digest->size; i++)
        snprintf(text + 2 * i, 3, "%02x", digest->bytes[i]);
}

/* ---- the files --------------------------------------------------------------------------------
 */

/* Nothing that a server says leads out of the directory. */
static bool is_harmless(const char *name)
{
    return name[0] != '/' && strstr(name, "..") == NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-./") == strlen(name);
}

/* Of the kind that the manifest has. */
static bool begin_digest(struct backup *backup)
{
    size_t size = strlen(backup->digest) / 2;
    if (size != DIGEST_SIZE && size != HASH_SIZE)
        return false;
    digest_begin(&backup->state, size);
    return true;
}

/* "DIGEST SIZE NAME", the next line of the manifest. */
static bool begin_file(struct backup *backup)
{
    char line[LINE_BYTES], path[PATH_BYTES];
    const uint8_t *end = memchr(backup->lines.data, '\n', backup->lines.size);
    size_t size = end != NULL ? (size_t)(end - backup->lines.data) : LINE_BYTES;
    if (size >= LINE_BYTES)
        return failed("the manifest cannot be read", backup->directory);
    memcpy(line, backup->lines.data, size);
    line[size] = '\0';
    backup->lines = SPAN(end + 1, backup->lines.size - size - 1);
    if (sscanf(line, "%64s %" SCNu64 " %95s", backup->digest, &backup->left, backup->name) != 3 ||
        !is_harmless(backup->name) || backup->left == 0 || !begin_digest(backup))
        return failed("the manifest names what no snapshot has", backup->directory);
    backup->fd =
        open(path_of(backup, backup->name, path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return backup->fd > 0 ? true : failed(strerror(errno), path);
}

static bool end_file(struct backup *backup)
{
    struct digest digest;
    char text[2 * DIGEST_SIZE_MAX + 1];
    digest_end(&backup->state, &digest);
    print_hex(&digest, text);
    if (strcmp(text, backup->digest) != 0)
        return failed("it has another digest than the manifest says; try another node",
                      backup->name);
    bool fine = fsync(backup->fd) == 0;
    close(backup->fd);
    backup->fd = 0;
    return fine ? true : failed(strerror(errno), backup->name);
}

static bool take_bytes(struct backup *backup, struct span *rest)
{
    size_t size = rest->size < backup->left ? rest->size : (size_t)backup->left;
    if (write(backup->fd, rest->data, size) != (ssize_t)size)
        return failed(strerror(errno), backup->name);
    digest_add(&backup->state, SPAN(rest->data, size));
    backup->left -= size;
    *rest = SPAN(rest->data + size, rest->size - size);
    return backup->left > 0 || end_file(backup);
}

/* ---- the manifest ------------------------------------------------------------------------------
 */

static bool end_manifest(struct backup *backup)
{
    static const char mark[] = "\nfiles ";
    struct digest id = {.size = HASH_SIZE};
    memcpy(id.bytes, backup->first.id, HASH_SIZE);
    if (!digest_fits(digest_span(&id), bytes_span(&backup->manifest)))
        return failed("the manifest has another hash than the snapshot's id", backup->directory);
    const uint8_t *at = memmem(backup->manifest.data, backup->manifest.size, mark, strlen(mark));
    size_t left = at != NULL ? backup->manifest.size - (size_t)(at + 1 - backup->manifest.data) : 0;
    const uint8_t *end = left > 0 ? memchr(at + 1, '\n', left) : NULL;
    if (end == NULL)
        return failed("the manifest cannot be read", backup->directory);
    size_t before = (size_t)(end + 1 - backup->manifest.data);
    backup->lines = SPAN(end + 1, backup->manifest.size - before);
    return true;
}

static bool take_head(struct backup *backup, struct span *rest)
{
    size_t wanted = (size_t)backup->first.head - backup->manifest.size;
    size_t size = rest->size < wanted ? rest->size : wanted;
    bytes_append(&backup->manifest, rest->data, size);
    *rest = SPAN(rest->data + size, rest->size - size);
    return size < wanted || end_manifest(backup);
}

static bool sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool fine = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return fine ? true : failed(strerror(errno), path);
}

static bool write_manifest(struct backup *backup)
{
    char path[PATH_BYTES], temporary[PATH_BYTES];
    path_of(backup, "MANIFEST", path);
    path_of(backup, "MANIFEST.tmp", temporary);
    FILE *file = fopen(temporary, "wbx");
    if (file == NULL)
        return failed(strerror(errno), temporary);
    bool fine =
        fwrite(backup->manifest.data, 1, backup->manifest.size, file) == backup->manifest.size;
    fine = fclose(file) == 0 && fine;
    if (!fine || !sync_path(temporary) || rename(temporary, path) != 0)
        return failed(strerror(errno), temporary);
    return sync_path(path_of(backup, "log", temporary)) && sync_path(backup->directory);
}

/* ---- the stream --------------------------------------------------------------------------------
 */

static bool take_slice(struct backup *backup, const struct ca_slice *slice)
{
    struct span rest = SPAN(slice->data, slice->data_size);
    if (!digest_fits(SPAN(slice->hash, slice->hash_size), rest) || rest.size == 0)
        return failed("a slice came damaged", backup->directory);
    backup->done += rest.size;
    while (rest.size > 0) {
        if (backup->manifest.size < backup->first.head) {
            if (!take_head(backup, &rest))
                return false;
        } else if ((backup->left == 0 && !begin_file(backup)) || !take_bytes(backup, &rest)) {
            return false;
        }
    }
    return true;
}

static bool make_directories(struct backup *backup)
{
    char path[PATH_BYTES];
    if (mkdir(backup->directory, 0700) != 0)
        return failed(errno == EEXIST ? "it is there already; name a new directory"
                                      : strerror(errno),
                      backup->directory);
    path_of(backup, "log", path);
    return mkdir(path, 0700) == 0 ? true : failed(strerror(errno), path);
}

static int receive(struct backup *backup, struct ca *ca, const struct args *args, int slot)
{
    struct progress progress = {0};
    do {
        struct ca_slice slice;
        const uint8_t *id = backup->done > 0 ? backup->first.id : NULL;
        if (ca_backup(ca, slot, id, backup->done, &slice) != CA_OK)
            return args_fail(ca_last_error(ca));
        if (backup->done == 0) {
            backup->first = slice;
            backup->first.data = NULL;
        }
        bool fine = take_slice(backup, &slice);
        ca_slice_close(&slice);
        if (!fine)
            return EXIT_SYSTEM;
        progress_show(&progress, backup->done, backup->first.size, "bytes");
    } while (backup->done < backup->first.size);
    progress_wipe(&progress);
    return write_manifest(backup) ? EXIT_OK : EXIT_SYSTEM;
}

int backup_node(struct ca *ca, const struct args *args, int slot, const char *directory)
{
    struct backup backup = {.directory = directory};
    if (!make_directories(&backup))
        return EXIT_SYSTEM;
    int code = receive(&backup, ca, args, slot);
    if (code == EXIT_OK)
        printf("%s: %" PRIu64 " bytes, up to log index %" PRIu64 "\n", directory, backup.done,
               backup.first.index);
    if (backup.fd > 0)
        close(backup.fd);
    bytes_close(&backup.manifest);
    return code;
}
