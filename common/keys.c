/* keys.c - certificates by CZMQ, the node id beside them. */
#include "common/keys.h"

#include "common/clock.h"
#include "common/log.h"

#include <czmq.h>
#include <sodium.h>

enum { PATH_SIZE = 4096 };

static enum err refuse(enum err err, const char *path, const char *reason)
{
    log_error("identity_refused", kv_text("path", path), kv_text("reason", reason));
    return err;
}

static enum err join(char path[PATH_SIZE], const char *data_dir, const char *name)
{
    int size = snprintf(path, PATH_SIZE, "%s/identity%s", data_dir, name);
    return size > 0 && size < PATH_SIZE ? ERR_NONE : refuse(ERR_IO, data_dir, "path too long");
}

static enum err sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        return refuse(ERR_IO, path, strerror(cause));
    }
    close(fd);
    return ERR_NONE;
}

static enum err write_node_id(const char *path, uint64_t id)
{
    char text[NODE_ID_TEXT_SIZE];
    node_id_print(id, text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && dprintf(fd, "%s\n", text) > 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? ERR_NONE : refuse(ERR_IO, path, "cannot be written");
}

static enum err read_node_id(const char *path, uint64_t *id)
{
    char text[32] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : refuse(ERR_IO, path, strerror(errno));
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
        size--;
    if (size <= 0 || node_id_parse(SPAN(text, (size_t)size), id) != ERR_NONE)
        return refuse(ERR_CORRUPT, path, "is no node id; restore the identity or start anew");
    return ERR_NONE;
}

static enum err check_private(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno == ENOENT ? ERR_NOT_FOUND : refuse(ERR_IO, path, strerror(errno));
    if ((info.st_mode & 077) != 0)
        return refuse(ERR_DENIED, path, "others may read the secret key; chmod 600 it");
    if (info.st_uid != geteuid())
        return refuse(ERR_DENIED, path, "belongs to another user");
    return ERR_NONE;
}

static enum err make_identity(const char *data_dir)
{
    char dir[PATH_SIZE], cert_path[PATH_SIZE], secret_path[PATH_SIZE], id_path[PATH_SIZE];
    TRY(join(dir, data_dir, ""));
    TRY(join(cert_path, data_dir, "/node.key"));
    TRY(join(secret_path, data_dir, "/node.key_secret"));
    TRY(join(id_path, data_dir, "/node.id"));
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return refuse(ERR_IO, dir, strerror(errno));
    mode_t old = umask(077);
    zcert_t *cert = zcert_new();
    int rc = cert == NULL ? -1 : zcert_save(cert, cert_path);
    zcert_destroy(&cert);
    umask(old);
    if (rc != 0 || chmod(secret_path, 0600) != 0)
        return refuse(ERR_IO, cert_path, "the key pair cannot be written");
    TRY(sync_path(cert_path));
    TRY(sync_path(secret_path));
    TRY(write_node_id(id_path, chance_u64())); /* last: with it the identity is complete */
    return sync_path(dir);
}

enum err keys_read(struct keys *keys, const char *data_dir)
{
    char cert_path[PATH_SIZE], secret_path[PATH_SIZE], id_path[PATH_SIZE];
    TRY(join(cert_path, data_dir, "/node.key"));
    TRY(join(secret_path, data_dir, "/node.key_secret"));
    TRY(join(id_path, data_dir, "/node.id"));
    TRY(read_node_id(id_path, &keys->node_id));
    TRY(check_private(secret_path));
    zcert_t *cert = zcert_load(cert_path);
    if (cert == NULL)
        return refuse(ERR_CORRUPT, cert_path, "is no certificate");
    memcpy(keys->public_key, zcert_public_key(cert), KEY_SIZE);
    memcpy(keys->secret_key, zcert_secret_key(cert), KEY_SIZE);
    zcert_destroy(&cert);
    return ERR_NONE;
}

enum err keys_open(struct keys *keys, const char *data_dir)
{
    enum err err = keys_read(keys, data_dir);
    if (err != ERR_NOT_FOUND)
        return err;
    TRY(make_identity(data_dir));
    return keys_read(keys, data_dir);
}

void keys_close(struct keys *keys)
{
    sodium_memzero(keys, sizeof *keys);
}
