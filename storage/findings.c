#include "storage/findings.h"

#include "protocol/entry.h"

#include <stdlib.h>

void findings_close(struct findings *findings)
{
    for (size_t i = 0; i < findings->own_count; i++)
        bytes_free(findings->own[i]);
    bytes_free(findings->own);
    bytes_free(findings->at);
    *findings = (struct findings){0};
}

static const uint8_t *keep(struct findings *findings, struct span record)
{
    if (findings->own_count == findings->own_room) {
        findings->own_room = findings->own_room ? 2 * findings->own_room : 64;
        findings->own = bytes_resize(findings->own, findings->own_room, sizeof *findings->own);
    }
    uint8_t *copy = bytes_zeroed(1, record.size);
    memcpy(copy, record.data, record.size);
    findings->own[findings->own_count++] = copy;
    return copy;
}

void findings_add(struct findings *findings, struct span record, bool stays)
{
    if (findings->count == findings->room) {
        findings->room = findings->room ? 2 * findings->room : 4096;
        findings->at = bytes_resize(findings->at, findings->room, sizeof *findings->at);
    }
    findings->at[findings->count++] =
        (struct finding){.index = entry_index_of(record),
                         .term = entry_term_of(record),
                         .record = stays ? record.data : keep(findings, record)};
}

/* By index, then the highest term first. */
static int by_place(const void *left, const void *right)
{
    const struct finding *a = left, *b = right;
    if (a->index != b->index)
        return a->index < b->index ? -1 : 1;
    if (a->term != b->term)
        return a->term > b->term ? -1 : 1;
    return 0;
}

void findings_settle(struct findings *findings)
{
    uint64_t term = 0, index = 0;
    size_t kept = 0;
    if (findings->count > 0)
        qsort(findings->at, findings->count, sizeof *findings->at, by_place);
    for (size_t i = 0; i < findings->count; i++) {
        struct finding finding = findings->at[i];
        bool is_first = finding.index != index;
        bool is_copy = !is_first && kept > 0 && findings->at[kept - 1].term == finding.term;
        index = finding.index;
        if (is_first && finding.term >= term) {
            term = finding.term;
            findings->at[kept++] = finding;
        } else {
            findings->stale += !is_copy;
        }
    }
    findings->count = kept;
}

struct span findings_record(const struct findings *findings, size_t slot)
{
    const uint8_t *record = findings->at[slot].record;
    return SPAN(record, entry_size(SPAN(record, ENTRY_SIZE_MAX)));
}
