/* source_file.c - reads the whole file each time and compares: it is small, and no
 * time stamp, inode or watch can be trusted on every file system. */
#include "discovery/source_file.h"

#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void read_whole(const char *path, struct bytes *content)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return;
    while (content->size < SOURCE_FILE_MAX) {
        uint8_t *place = bytes_reserve(content, SOURCE_FILE_MAX - content->size);
        ssize_t size = read(fd, place, SOURCE_FILE_MAX - content->size);
        if (size <= 0)
            break;
        content->size += (size_t)size;
    }
    close(fd);
}

bool source_file_look(struct source_file *file)
{
    SCOPED(bytes) now = {0};
    read_whole(file->path, &now);
    if (file->looked && span_equal(bytes_span(&now), bytes_span(&file->content)))
        return false;
    if (now.size == SOURCE_FILE_MAX)
        log_warn("file_cut", kv_text("path", file->path), kv_u64("bytes_max", SOURCE_FILE_MAX));
    bytes_clear(&file->content);
    bytes_append_span(&file->content, bytes_span(&now));
    file->looked = true;
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span take_line(struct span *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->size);
    size_t size = end != NULL ? (size_t)(end - rest->data) : rest->size;
    struct span line = SPAN(rest->data, size);
    size_t used = end != NULL ? size + 1 : size;
    *rest = SPAN(rest->data + used, rest->size - used);
    while (line.size > 0 && is_blank(line.data[line.size - 1]))
        line.size--;
    while (line.size > 0 && is_blank(line.data[0]))
        line = SPAN(line.data + 1, line.size - 1);
    return line;
}

bool source_file_next(const struct source_file *file, struct span *rest, uint32_t *line,
                      struct sighting *sighting)
{
    const char *reason;
    while (rest->size > 0) {
        struct span text = take_line(rest);
        ++*line;
        if (text.size == 0 || text.data[0] == '#')
            continue;
        if (source_check(text, sighting, &reason))
            return true;
        log_warn("line_skipped", kv_text("path", file->path), kv_u64("line", *line),
                 kv_text("reason", reason));
    }
    return false;
}

void source_file_close(struct source_file *file)
{
    bytes_close(&file->content);
    *file = (struct source_file){0};
}
