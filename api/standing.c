/* standing.c - keeps what the api knows of its node, from what consensus and storage tell. */
#include "api/shell.h"

#include <inttypes.h>
#include <stdio.h>

/* Synced: what the first leader heard of had committed is applied here. Behind: how long what
 * a leader committed has not all been applied here. */
void standing_judge(struct api *api)
{
    struct standing *standing = &api->standing;
    uint64_t now = api->base.loop.now_ms;
    if (api->synced_at == 0 && standing->leader != 0 && standing->leader_commit > 0)
        api->synced_at = standing->leader_commit;
    if (api->synced_at > 0 && api->watching && standing->applied_index >= api->synced_at)
        standing->synced = true;
    if (standing->applied_index >= standing->leader_commit)
        api->behind_since_ms = 0;
    else if (api->behind_since_ms == 0)
        api->behind_since_ms = now;
    standing->behind_ms = api->behind_since_ms > 0 ? now - api->behind_since_ms : 0;
}

static void copy_text(char *to, size_t room, struct span text)
{
    size_t size = text.size < room ? text.size : room - 1;
    if (size > 0)
        memcpy(to, text.data, size);
    to[size] = '\0';
}

enum err standing_on_leader(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct standing *standing = &api->standing;
    const struct message_leader_is *is = &message->leader_is;
    bool again = is->epoch != standing->epoch || !standing->consensus_up;
    /* Behind is judged by what was known before: a moment ago all of it may have been applied. */
    standing_judge(api);
    standing->consensus_up = true;
    standing->epoch = is->epoch;
    standing->term = is->term;
    standing->leader = is->leader;
    standing->node = is->node;
    standing->commit_index = is->commit_index;
    standing->leader_commit = is->leader_commit;
    standing->last_index = is->last_index;
    standing->log_history = is->history;
    operate_learn(api, is->drained);
    copy_text(standing->role, sizeof standing->role, is->role);
    standing->removed = strcmp(standing->role, "removed") == 0;
    copy_text(standing->waits_for, sizeof standing->waits_for, is->waits_for);
    if (is->leader != 0)
        api->contact_ms = api->base.loop.now_ms;
    standing_judge(api);
    if (standing->removed)
        writes_leave(api);
    if (again) {
        writes_again(api);
        confirm_again(api);
    }
    return ERR_NONE;
}

static void know_log(struct standing *standing, struct span cluster, uint64_t history,
                     uint64_t parent, uint64_t fork_id)
{
    standing->founded = cluster.size == CLUSTER_ID_SIZE;
    if (standing->founded)
        memcpy(standing->cluster, cluster.data, CLUSTER_ID_SIZE);
    if (standing->history == history && standing->parent == parent)
        return;
    standing->history = history;
    standing->parent = parent;
    standing->fork_id = fork_id;
    snprintf(standing->history_text, sizeof standing->history_text, "%016" PRIx64, history);
    snprintf(standing->parent_text, sizeof standing->parent_text, "%016" PRIx64, parent);
    if (parent == 0)
        standing->parent_text[0] = '\0';
}

static enum err know_lists(struct api *api, struct span holders, struct span rules)
{
    TRY(holders_load(holders, &api->standing.holders));
    TRY(rules_load(rules, &api->standing.rules));
    quota_follow(&api->quota, &api->standing.rules, api->base.loop.now_ms);
    return ERR_NONE;
}

enum err standing_on_watching(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct standing *standing = &api->standing;
    const struct message_watching *is = &message->watching;
    know_log(standing, is->cluster, is->history, is->parent, is->fork_id);
    standing->applied_index = is->applied_index;
    standing->ts = is->ts;
    standing->first_id = is->first_id;
    standing->last_id = is->last_id;
    standing->outcome_floor = is->outcome_floor;
    TRY(settings_load(is->settings, &standing->settings));
    TRY(know_lists(api, is->holders, is->rules));
    if (is->hash.size == HASH_SIZE)
        memcpy(standing->hash, is->hash.data, HASH_SIZE);
    standing->storage_up = true;
    api->watching = true;
    standing_judge(api);
    writes_ask_outcomes(api);
    api_ask_tag_heads(api);
    return ERR_NONE;
}

static void know_effect(struct standing *standing, const struct effect *effect)
{
    struct span links = effect->links;
    struct effect_link link;
    if (effect->err != ERR_NONE || links.size == 0)
        return; /* refused, or a repeat whose first outcome stands */
    while (effect_link_next(&links, &link))
        memcpy(standing->hash, link.hash, HASH_SIZE);
    standing->last_id = effect->last_id;
    standing->ts = effect->ts;
    if (standing->first_id == 0)
        standing->first_id = effect->first_id;
}

enum err standing_on_feed(void *owner, uint32_t neighbour, const struct message *message)
{
    struct api *api = owner;
    struct effect effect;
    struct span rest = message->feed.effects;
    bool joins = message->feed.whole && !api->feed.live;
    if (joins)
        feed_join(&api->feed, &api->standing, api_contact_ms(api));
    while (effect_next(&rest, &effect)) {
        know_effect(&api->standing, &effect);
        writes_effect(api, &effect);
        feed_effect(&api->feed, &effect);
        reads_effect(api, &effect);
    }
    api->standing.applied_index = message->feed.applied_index;
    api->standing.ts = message->feed.ts;
    api->standing.outcome_floor = message->feed.outcome_floor;
    api->standing.first_id = message->feed.first_id;
    TRY(settings_load(message->feed.settings, &api->standing.settings));
    if (message->feed.lists_changed)
        TRY(know_lists(api, message->feed.holders, message->feed.rules));
    know_log(&api->standing, message->feed.cluster, message->feed.history, message->feed.parent,
             message->feed.fork_id);
    standing_judge(api);
    if (joins)
        api_ask_tag_heads(api);
    return rest.size == 0 ? ERR_NONE : ERR_BAD_MESSAGE;
}

void standing_consensus_lost(void *owner, uint32_t neighbour)
{
    struct api *api = owner;
    api->standing.consensus_up = false;
    api->standing.leader = 0;
    operate_consensus_lost(api);
    status_consensus_lost(api);
    copy_text(api->standing.role, sizeof api->standing.role, SPAN("unknown", 7));
}

void standing_storage_lost(void *owner, uint32_t neighbour)
{
    struct api *api = owner;
    api->standing.storage_up = api->standing.synced = api->watching = false;
    api->synced_at = 0;
    feed_rest(&api->feed);
}

void standing_open(struct api *api)
{
    api->standing.settings = settings_preset;
    copy_text(api->standing.role, sizeof api->standing.role, SPAN("unknown", 7));
}
