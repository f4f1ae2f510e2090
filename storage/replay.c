#include "storage/replay.h"

static const struct storage_segment *file_of(const struct replay *replay, uint64_t index)
{
    for (uint32_t slot = 0; slot < replay->found->segment_count; slot++) {
        const struct storage_segment *segment = &replay->found->segments[slot];
        if (segment->first != 0 && segment->first <= index && index <= segment->last)
            return segment;
    }
    return NULL;
}

static void close_file(struct replay *replay)
{
    if (replay->open != NULL)
        segment_close(&replay->segment);
    replay->open = NULL;
}

static enum err open_file(struct replay *replay, uint64_t index)
{
    const struct storage_segment *file = file_of(replay, index);
    if (file == NULL)
        return ERR_CORRUPT;
    if (replay->open == file)
        return ERR_NONE;
    close_file(replay);
    replay->open = file;
    return file->sealed ? segment_open_sealed(&replay->segment, file->path)
                        : segment_open_reader(&replay->segment, file->path);
}

static enum err read_records(struct replay *replay, uint64_t from, uint64_t to, size_t bytes_max,
                             struct bytes *out)
{
    uint64_t last;
    TRY(open_file(replay, from));
    enum err err = segment_read(&replay->segment, from, to, bytes_max, out, &last);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

void replay_open(struct replay *replay, const struct storage_found *found)
{
    replay->found = found;
}

void replay_close(struct replay *replay)
{
    close_file(replay);
    bytes_close(&replay->records);
    *replay = (struct replay){0};
}

enum err replay_term(struct replay *replay, uint64_t index, uint64_t *term)
{
    bytes_clear(&replay->records);
    TRY(read_records(replay, index, index, 1, &replay->records));
    *term = entry_term_of(bytes_span(&replay->records));
    return ERR_NONE;
}

enum err replay_read(struct replay *replay, uint64_t index, uint64_t last, struct span *records)
{
    bytes_clear(&replay->records);
    TRY(read_records(replay, index, last, MiB(1), &replay->records));
    *records = bytes_span(&replay->records);
    return ERR_NONE;
}

void replay_pass(struct replay *replay, uint64_t applied)
{
    if (replay->open != NULL && replay->open->last <= applied)
        close_file(replay);
}
