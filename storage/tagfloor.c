#include "storage/tagfloor.h"

#include "storage/age.h"
#include "storage/match.h"

#define NS_PER_S UINT64_C(1000000000)

/* The first change above `after` that bears the tag. Where the bounds of a search end it, `looked`
 * is as far as it came. */
static enum err search(struct shelf *shelf, uint32_t parts_max, struct span tag, uint64_t after,
                       struct tagfloor_of *known)
{
    static const struct texts none;
    const struct texts any = {.at = {tag}, .count = 1};
    SCOPED(match) match = {.shelf = shelf, .filter = {&any, &none, &none}, .parts_max = parts_max};
    uint64_t last_id = shelf->last_id;
    TRY(match_next(&match, after, last_id, &known->found));
    known->looked = match.stopped ? match.reached : last_id;
    return ERR_NONE;
}

/* From which change on the rule keeps all; 0: it keeps none. */
static enum err find_one(struct tagfloor *floors, uint64_t slot, struct shelf *shelf, uint64_t *id)
{
    struct tagfloor_of *known = &floors->of[slot];
    const struct rule *rule = &floors->rules.at[slot];
    const uint64_t ts = floors->ts;
    uint64_t age_ns = rule->keep_s * NS_PER_S, young;
    *id = 0;
    if (age_ns == 0)
        return ERR_NONE;
    TRY(age_first_younger(shelf, ts > age_ns ? ts - age_ns : 0, &young));
    if (known->found < young) {
        uint64_t after = young - 1;
        if (known->found == 0 && known->looked > after)
            after = known->looked;
        TRY(search(shelf, floors->parts_max, rule_tag(rule), after, known));
    }
    *id = known->found;
    if (known->found == 0 && known->looked < shelf->last_id)
        *id = known->looked + 1;
    return ERR_NONE;
}

enum err tagfloor_find(struct tagfloor *floors, struct shelf *shelf, const struct rules *rules,
                       uint64_t ts, uint64_t *id)
{
    *id = 0;
    if (ts < floors->ts || memcmp(&floors->rules, rules, sizeof *rules) != 0)
        *floors = (struct tagfloor){.rules = *rules, .parts_max = floors->parts_max};
    floors->ts = ts;
    for (uint64_t slot = 0; slot < rules->count; slot++) {
        uint64_t from;
        TRY(find_one(floors, slot, shelf, &from));
        if (from != 0 && (*id == 0 || from < *id))
            *id = from;
    }
    return ERR_NONE;
}
