#include "storage/statemark.h"

/* Numbers, cluster id, hash, founded; times and indexes; the cut; where this history began, if it
 * is not the first; the holders, then the rules, and before either its size, if there are any; then
 * the settings, of which an older version may have fewer. */
enum {
    MARK_FIXED = 10 * 8 + 16 + 2 * HASH_SIZE + 1,
    MARK_FORK = 2 * 8,
    FOUNDED = 1, /* bits of one byte */
    FORKED = 2,
    HELD = 4,
    RULED = 8,
    LIST_SIZE = 2,
};

_Static_assert(MARK_FIXED + MARK_FORK + LIST_SIZE + HOLDERS_SAVED_MAX + LIST_SIZE +
                       RULES_SAVED_MAX + SETTINGS_COUNT * 8 ==
                   STATEMARK_MAX,
               "all of it fits");

/* The size before a list that lies behind it. Returns how much both take. */
static size_t put_size(uint8_t *at, size_t size)
{
    at[0] = (uint8_t)size;
    at[1] = (uint8_t)(size >> 8);
    return LIST_SIZE + size;
}

size_t statemark_encode(const struct apply_mark *mark, uint8_t content[STATEMARK_MAX])
{
    size_t size = MARK_FIXED;
    const uint64_t numbers[] = {mark->index,   mark->term,  mark->ts,
                                mark->last_id, mark->floor, mark->history};
    memcpy(content, numbers, sizeof numbers);
    memcpy(content + 48, mark->cluster, 16);
    memcpy(content + 64, mark->hash, HASH_SIZE);
    content[64 + HASH_SIZE] =
        (uint8_t)((mark->founded ? FOUNDED : 0) | (mark->parent ? FORKED : 0) |
                  (mark->holders.count ? HELD : 0) | (mark->rules.count ? RULED : 0));
    save_u64(content + 65 + HASH_SIZE, mark->change_ts);
    save_u64(content + 73 + HASH_SIZE, mark->settings_index);
    save_u64(content + 81 + HASH_SIZE, mark->first_id);
    save_u64(content + 89 + HASH_SIZE, mark->keep_index);
    memcpy(content + 97 + HASH_SIZE, mark->cut_hash, HASH_SIZE);
    if (mark->parent != 0) {
        save_u64(content + size, mark->parent);
        save_u64(content + size + 8, mark->fork_id);
        size += MARK_FORK;
    }
    if (mark->holders.count > 0)
        size += put_size(content + size, holders_save(&mark->holders, content + size + LIST_SIZE));
    if (mark->rules.count > 0)
        size += put_size(content + size, rules_save(&mark->rules, content + size + LIST_SIZE));
    settings_save(&mark->settings, content + size);
    return size + SETTINGS_COUNT * 8;
}

/* Takes a list off the front of `rest`. False: it is not whole. */
static bool take_list(struct span *rest, struct span *list)
{
    if (rest->size < LIST_SIZE)
        return false;
    size_t size = (size_t)rest->data[0] | (size_t)rest->data[1] << 8;
    if (rest->size < LIST_SIZE + size)
        return false;
    *list = SPAN(rest->data + LIST_SIZE, size);
    *rest = SPAN(rest->data + LIST_SIZE + size, rest->size - LIST_SIZE - size);
    return true;
}

static enum err take_lists(struct span *rest, uint8_t bits, struct apply_mark *mark)
{
    struct span list;
    mark->holders = (struct holders){0};
    mark->rules = (struct rules){0};
    if ((bits & HELD) &&
        (!take_list(rest, &list) || holders_load(list, &mark->holders) != ERR_NONE))
        return ERR_CORRUPT;
    if ((bits & RULED) && (!take_list(rest, &list) || rules_load(list, &mark->rules) != ERR_NONE))
        return ERR_CORRUPT;
    return ERR_NONE;
}

enum err statemark_decode(struct span whole, struct apply_mark *mark)
{
    const uint8_t *content = whole.data;
    size_t fixed = MARK_FIXED;
    if (whole.size < MARK_FIXED || whole.size > STATEMARK_MAX)
        return ERR_CORRUPT;
    uint8_t bits = content[64 + HASH_SIZE];
    if (bits & ~(FOUNDED | FORKED | HELD | RULED))
        return ERR_VERSION;
    if (bits & FORKED)
        fixed += MARK_FORK;
    if (whole.size < fixed)
        return ERR_CORRUPT;
    mark->index = load_u64(content);
    mark->term = load_u64(content + 8);
    mark->ts = load_u64(content + 16);
    mark->last_id = load_u64(content + 24);
    mark->floor = load_u64(content + 32);
    mark->history = load_u64(content + 40);
    memcpy(mark->cluster, content + 48, 16);
    memcpy(mark->hash, content + 64, HASH_SIZE);
    mark->founded = bits & FOUNDED;
    mark->parent = bits & FORKED ? load_u64(content + MARK_FIXED) : 0;
    mark->fork_id = bits & FORKED ? load_u64(content + MARK_FIXED + 8) : 0;
    mark->change_ts = load_u64(content + 65 + HASH_SIZE);
    mark->settings_index = load_u64(content + 73 + HASH_SIZE);
    mark->first_id = load_u64(content + 81 + HASH_SIZE);
    mark->keep_index = load_u64(content + 89 + HASH_SIZE);
    memcpy(mark->cut_hash, content + 97 + HASH_SIZE, HASH_SIZE);
    struct span settings = SPAN(content + fixed, whole.size - fixed);
    TRY(take_lists(&settings, bits, mark));
    if (settings_load(settings, &mark->settings) != ERR_NONE)
        return ERR_CORRUPT;
    return mark->settings.feature_level > SETTINGS_FEATURE_LEVEL ? ERR_VERSION : ERR_NONE;
}
