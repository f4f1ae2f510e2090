/* manifest.c - lines out, lines in; what comes in must be what would go out. */
#include "storage/manifest.h"

#include "storage/segment.h"

#include <inttypes.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 256 };

static const char family[] = "changeagent snapshot";

enum { FORM = 2 };

void manifest_close(struct manifest *manifest)
{
    bytes_free(manifest->files);
    *manifest = (struct manifest){0};
}

struct manifest_file *manifest_add(struct manifest *manifest, const char *name)
{
    if (manifest->count == manifest->room) {
        manifest->room = manifest->room ? manifest->room * 2 : 64;
        manifest->files = bytes_resize(manifest->files, manifest->room, sizeof *manifest->files);
    }
    struct manifest_file *file = &manifest->files[manifest->count++];
    *file = (struct manifest_file){0};
    snprintf(file->name, sizeof file->name, "%s", name);
    return file;
}

/* ---- out ----------------------------------------------------------------------------------- */

static void put_hex(const uint8_t *bytes, size_t size, struct bytes *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        bytes_append(out, &digits[bytes[i] >> 4], 1);
        bytes_append(out, &digits[bytes[i] & 15], 1);
    }
}

static void put_text(const char *text, struct bytes *out)
{
    bytes_append(out, text, strlen(text));
}

static void put_number(const char *name, uint64_t number, struct bytes *out)
{
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof line, "%s %" PRIu64 "\n", name, number);
    put_text(line, out);
}

static void put_hash(const char *name, const uint8_t *hash, size_t size, struct bytes *out)
{
    put_text(name, out);
    put_text(" ", out);
    put_hex(hash, size, out);
    put_text("\n", out);
}

void manifest_encode(const struct manifest *manifest, struct bytes *out)
{
    char line[LINE_MAX_BYTES];
    put_number(family, manifest->form != 0 ? manifest->form : FORM, out);
    put_hash("cluster", manifest->cluster, sizeof manifest->cluster, out);
    snprintf(line, sizeof line, "history %016" PRIx64 "\n", manifest->history);
    put_text(line, out);
    put_number("index", manifest->index, out);
    put_number("term", manifest->term, out);
    put_number("first-index", manifest->first_index, out);
    put_number("last-id", manifest->last_id, out);
    put_hash("log-hash", manifest->log_hash, HASH_SIZE, out);
    put_hash("change-hash", manifest->change_hash, HASH_SIZE, out);
    put_number("files", manifest->count, out);
    for (uint32_t i = 0; i < manifest->count; i++) {
        const struct manifest_file *file = &manifest->files[i];
        put_hex(file->digest.bytes, file->digest.size, out);
        snprintf(line, sizeof line, " %" PRIu64 " %s\n", file->size, file->name);
        put_text(line, out);
    }
}

/* ---- in ------------------------------------------------------------------------------------ */

/* Takes one line off, as text; false: there is none, or it is too long. */
static bool take_line(struct span *rest, char line[LINE_MAX_BYTES])
{
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    size_t size = end ? (size_t)(end - rest->data) : 0;
    if (end == NULL || size >= LINE_MAX_BYTES)
        return false;
    memcpy(line, rest->data, size);
    line[size] = '\0';
    *rest = SPAN(end + 1, rest->size - size - 1);
    return true;
}

static bool from_hex(const char *text, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            return false;
        bytes[i] = (uint8_t)value;
    }
    return true;
}

/* "name value"; what sscanf is too kind about is found when all is written out again. */
static bool take_value(struct span *rest, const char *name, char value[LINE_MAX_BYTES])
{
    char line[LINE_MAX_BYTES];
    size_t size = strlen(name);
    if (!take_line(rest, line) || strncmp(line, name, size) != 0 || line[size] != ' ')
        return false;
    snprintf(value, LINE_MAX_BYTES, "%s", line + size + 1);
    return true;
}

static bool take_number(struct span *rest, const char *name, uint64_t *number)
{
    char value[LINE_MAX_BYTES];
    return take_value(rest, name, value) && sscanf(value, "%" SCNu64, number) == 1;
}

static bool take_hash(struct span *rest, const char *name, uint8_t *hash, size_t size)
{
    char value[LINE_MAX_BYTES];
    return take_value(rest, name, value) && strlen(value) == 2 * size &&
           from_hex(value, hash, size);
}

/* Only names that a snapshot has: nothing leads out of its directory. */
static bool is_name(const char *name)
{
    char segment[MANIFEST_NAME_MAX];
    uint32_t number;
    uint64_t suffix;
    if (strcmp(name, "state.db") == 0)
        return true;
    if (strncmp(name, "log/", 4) != 0)
        return false;
    snprintf(segment, sizeof segment, "%s", name + 4);
    char *dot = strstr(segment, ".index");
    if (dot != NULL && dot[6] == '\0')
        *dot = '\0';
    return segment_name_parse(segment, &number, &suffix);
}

static bool take_file(struct span *rest, struct manifest *manifest)
{
    char line[LINE_MAX_BYTES], name[MANIFEST_NAME_MAX];
    uint8_t digest[DIGEST_SIZE_MAX];
    uint64_t size;
    if (!take_line(rest, line))
        return false;
    size_t digits = strcspn(line, " ");
    if (digits > 2 * DIGEST_SIZE_MAX || !from_hex(line, digest, digits / 2) ||
        sscanf(line + digits, " %" SCNu64 " %95s", &size, name) != 2 || !is_name(name))
        return false;
    struct manifest_file *file = manifest_add(manifest, name);
    file->size = size;
    return size <= INT64_MAX && digest_set(&file->digest, SPAN(digest, digits / 2));
}

static bool take_all(struct span *rest, struct manifest *manifest)
{
    char value[LINE_MAX_BYTES];
    uint64_t count;
    bool fine = take_hash(rest, "cluster", manifest->cluster, sizeof manifest->cluster) &&
                take_value(rest, "history", value) &&
                sscanf(value, "%" SCNx64, &manifest->history) == 1 &&
                take_number(rest, "index", &manifest->index) &&
                take_number(rest, "term", &manifest->term) &&
                take_number(rest, "first-index", &manifest->first_index) &&
                take_number(rest, "last-id", &manifest->last_id) &&
                take_hash(rest, "log-hash", manifest->log_hash, HASH_SIZE) &&
                take_hash(rest, "change-hash", manifest->change_hash, HASH_SIZE) &&
                take_number(rest, "files", &count) && count <= MANIFEST_FILES_MAX;
    for (uint64_t i = 0; fine && i < count; i++)
        fine = take_file(rest, manifest);
    return fine && rest->size == 0;
}

/* The state, then the log in its order, each .index behind its segment. */
static bool is_ordered(const struct manifest *manifest)
{
    const char *before = "";
    if (manifest->count < 2 || strcmp(manifest->files[0].name, "state.db") != 0)
        return false;
    for (uint32_t i = 1; i < manifest->count; i++) {
        if (strcmp(manifest->files[i].name, before) <= 0)
            return false;
        before = manifest->files[i].name;
    }
    return manifest_segment(&manifest->files[1]) != NULL && manifest->index > 0 &&
           manifest->first_index > 0 && manifest->first_index <= manifest->index;
}

enum err manifest_decode(struct span text, struct manifest *manifest)
{
    SCOPED(bytes) again = {0};
    struct span rest = text;
    uint64_t form;
    if (text.size > MANIFEST_BYTES_MAX || !take_number(&rest, family, &form) || form == 0)
        return ERR_CORRUPT;
    if (form > FORM)
        return ERR_VERSION;
    manifest->form = (uint32_t)form;
    if (!take_all(&rest, manifest) || !is_ordered(manifest))
        return ERR_CORRUPT;
    manifest_encode(manifest, &again);
    return span_equal(bytes_span(&again), text) ? ERR_NONE : ERR_CORRUPT;
}

uint64_t manifest_size(const struct manifest *manifest)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < manifest->count; i++)
        size += manifest->files[i].size;
    return size;
}

const char *manifest_segment(const struct manifest_file *file)
{
    size_t size = strlen(file->name);
    bool is_index = size > 6 && strcmp(file->name + size - 6, ".index") == 0;
    return strncmp(file->name, "log/", 4) == 0 && !is_index ? file->name + 4 : NULL;
}
