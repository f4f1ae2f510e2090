/* restart.c - the life of a node's children as a table of modes and inputs. */
#include "supervisor/restart.h"

#include "common/bytes.h"
#include "common/service.h"

#include <assert.h>

/* Time that jumps so far between two steps was spent asleep or stopped: what the
 * children said meanwhile is still in their pipes. */
enum { SLEPT_MS = 5000 };

typedef void restart_rule(struct restart *, const struct restart_input *, struct restart_outputs *);

static void emit(struct restart_outputs *out, enum restart_output_kind kind, uint32_t child,
                 int code, uint64_t delay_ms)
{
    assert(out->count < RESTART_OUTPUTS_MAX);
    out->at[out->count++] = (struct restart_output){kind, child, code, delay_ms};
}

static bool has_process(const struct restart_child *child)
{
    return child->phase == CHILD_STARTING || child->phase == CHILD_RUNNING ||
           child->phase == CHILD_ENDING;
}

static uint64_t draw(struct restart *restart, uint64_t below)
{
    uint64_t x = restart->chance; /* xorshift64: jitter needs no more */
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    restart->chance = x;
    return x % below;
}

static void spawn(struct restart *restart, uint32_t slot, uint64_t now_ms,
                  struct restart_outputs *out)
{
    struct restart_child *child = &restart->children[slot];
    child->phase = CHILD_STARTING;
    child->due_ms = now_ms + restart->rules.ready_ms;
    child->chatty = false;
    emit(out, RESTART_SPAWN, slot, 0, 0);
}

/* Starts the next one once all before it are ready. */
static void advance(struct restart *restart, uint64_t now_ms, struct restart_outputs *out)
{
    for (uint32_t slot = 0; slot < restart->count; slot++) {
        enum restart_phase phase = restart->children[slot].phase;
        if (phase == CHILD_IDLE)
            spawn(restart, slot, now_ms, out);
        if (phase != CHILD_RUNNING)
            return;
    }
    restart->mode = MODE_UP;
    emit(out, RESTART_UP, 0, 0, 0);
}

static void kill_child(struct restart *restart, uint32_t slot, uint64_t now_ms,
                       struct restart_outputs *out)
{
    restart->children[slot].phase = CHILD_ENDING;
    restart->children[slot].due_ms = now_ms + restart->rules.stop_ms;
    emit(out, RESTART_KILL, slot, 0, 0);
}

/* Ends the last child that still has a process; the others follow as it dies. */
static void stop_next(struct restart *restart, uint64_t now_ms, struct restart_outputs *out)
{
    for (uint32_t slot = restart->count; slot-- > 0;) {
        struct restart_child *child = &restart->children[slot];
        if (child->phase == CHILD_ENDING)
            return;
        if (has_process(child)) {
            child->phase = CHILD_ENDING;
            child->due_ms = now_ms + restart->rules.stop_ms;
            emit(out, RESTART_TERM, slot, 0, 0);
            return;
        }
        child->phase = CHILD_IDLE;
    }
    restart->mode = MODE_ENDED;
    emit(out, RESTART_END, 0, restart->exit_code, 0);
}

static void begin_stop(struct restart *restart, int exit_code, uint64_t now_ms,
                       struct restart_outputs *out)
{
    restart->mode = MODE_STOPPING;
    restart->exit_code = exit_code;
    stop_next(restart, now_ms, out);
}

static void give_up(struct restart *restart, uint32_t slot, int exit_code, uint64_t now_ms,
                    struct restart_outputs *out)
{
    emit(out, RESTART_GIVE_UP, slot, exit_code, 0);
    begin_stop(restart, exit_code, now_ms, out);
}

static bool over_budget(const struct restart *restart, const struct restart_child *child,
                        uint64_t now_ms)
{
    uint64_t budget = restart->rules.budget;
    if (child->death_count <= budget)
        return false;
    uint64_t slot = (child->death_count - 1 - budget) % COUNT_OF(child->deaths);
    return now_ms - child->deaths[slot] < restart->rules.window_ms;
}

static void note_death(struct restart *restart, struct restart_child *child, uint64_t now_ms)
{
    bool healthy =
        child->phase == CHILD_RUNNING && now_ms - child->ready_ms >= restart->rules.healthy_ms;
    child->early_deaths = healthy ? 0 : child->early_deaths + 1;
    child->deaths[child->death_count % COUNT_OF(child->deaths)] = now_ms;
    child->death_count++;
}

/* 0 after a healthy life, else doubled each time, and up to a quarter of jitter
 * so that the children of several nodes do not come back in step. */
static uint64_t delay_of(struct restart *restart, const struct restart_child *child)
{
    const struct restart_rules *rules = &restart->rules;
    if (child->early_deaths == 0)
        return 0;
    uint64_t delay = rules->delay_first_ms;
    for (uint64_t i = 1; i < child->early_deaths && delay < rules->delay_max_ms; i++)
        delay *= 2;
    if (delay > rules->delay_max_ms)
        delay = rules->delay_max_ms;
    return delay - draw(restart, delay / 4 + 1);
}

static void begin(struct restart *restart, const struct restart_input *in,
                  struct restart_outputs *out)
{
    advance(restart, in->now_ms, out);
}

static void note_ready(struct restart *restart, const struct restart_input *in,
                       struct restart_outputs *out)
{
    struct restart_child *child = &restart->children[in->child];
    if (child->phase != CHILD_STARTING)
        return;
    child->phase = CHILD_RUNNING;
    child->ready_ms = child->heard_ms = in->now_ms;
    if (restart->mode == MODE_STARTING)
        advance(restart, in->now_ms, out);
}

static void note_alive(struct restart *restart, const struct restart_input *in,
                       struct restart_outputs *out)
{
    restart->children[in->child].heard_ms = in->now_ms;
    restart->children[in->child].chatty = true;
}

static void revive(struct restart *restart, const struct restart_input *in,
                   struct restart_outputs *out)
{
    struct restart_child *child = &restart->children[in->child];
    assert(has_process(child));
    note_death(restart, child, in->now_ms);
    child->phase = CHILD_IDLE;
    if (in->code == EXIT_CONFIG || in->code == EXIT_CORRUPTION) {
        give_up(restart, in->child, in->code, in->now_ms, out);
    } else if (over_budget(restart, child, in->now_ms)) {
        give_up(restart, in->child, EXIT_RETRY, in->now_ms, out);
    } else {
        uint64_t delay_ms = delay_of(restart, child);
        emit(out, RESTART_WAIT, in->child, in->code, delay_ms);
        child->phase = CHILD_WAITING;
        child->due_ms = in->now_ms + delay_ms;
        if (delay_ms == 0)
            spawn(restart, in->child, in->now_ms, out);
    }
}

static void bury(struct restart *restart, const struct restart_input *in,
                 struct restart_outputs *out)
{
    struct restart_child *child = &restart->children[in->child];
    assert(has_process(child));
    child->phase = CHILD_IDLE;
    if (in->code == EXIT_CORRUPTION)
        restart->exit_code = EXIT_CORRUPTION;
    stop_next(restart, in->now_ms, out);
}

static void forgive_sleep(struct restart *restart, uint64_t now_ms)
{
    for (uint32_t slot = 0; slot < restart->count; slot++) {
        restart->children[slot].heard_ms = now_ms;
        if (restart->children[slot].phase == CHILD_STARTING)
            restart->children[slot].due_ms = now_ms + restart->rules.ready_ms;
    }
}

static bool hangs(const struct restart *restart, const struct restart_child *child, uint64_t now_ms)
{
    return child->phase == CHILD_RUNNING && child->chatty &&
           now_ms - child->heard_ms >= restart->rules.silent_ms;
}

static void look(struct restart *restart, const struct restart_input *in,
                 struct restart_outputs *out)
{
    if (in->now_ms - restart->tick_ms > SLEPT_MS)
        forgive_sleep(restart, in->now_ms);
    for (uint32_t slot = 0; slot < restart->count; slot++) {
        struct restart_child *child = &restart->children[slot];
        bool due = child->due_ms <= in->now_ms;
        if (child->phase == CHILD_WAITING && due)
            spawn(restart, slot, in->now_ms, out);
        else if ((child->phase == CHILD_STARTING || child->phase == CHILD_ENDING) && due)
            kill_child(restart, slot, in->now_ms, out);
        else if (hangs(restart, child, in->now_ms))
            kill_child(restart, slot, in->now_ms, out);
    }
}

static void look_at_ends(struct restart *restart, const struct restart_input *in,
                         struct restart_outputs *out)
{
    for (uint32_t slot = 0; slot < restart->count; slot++) {
        struct restart_child *child = &restart->children[slot];
        if (child->phase == CHILD_ENDING && child->due_ms <= in->now_ms)
            kill_child(restart, slot, in->now_ms, out);
    }
}

static void stop(struct restart *restart, const struct restart_input *in,
                 struct restart_outputs *out)
{
    begin_stop(restart, EXIT_DONE, in->now_ms, out);
}

static void ignore(struct restart *restart, const struct restart_input *in,
                   struct restart_outputs *out)
{
}

void restart_open(struct restart *restart, const struct restart_rules *rules, uint32_t count,
                  uint64_t seed)
{
    assert(count <= RESTART_CHILDREN_MAX);
    assert(rules->budget <= RESTART_BUDGET_MAX);
    assert(seed != 0);
    *restart = (struct restart){.rules = *rules, .count = count, .chance = seed};
}

/* clang-format off */
static restart_rule *const table[MODE_COUNT][RESTART_INPUT_COUNT] = {
    [MODE_STARTING] = {[RESTART_BEGIN] = begin,  [RESTART_READY] = note_ready, [RESTART_ALIVE] = note_alive,
                       [RESTART_DIED]  = revive, [RESTART_TICK]  = look,       [RESTART_STOP]  = stop},
    [MODE_UP]       = {[RESTART_BEGIN] = ignore, [RESTART_READY] = note_ready, [RESTART_ALIVE] = note_alive,
                       [RESTART_DIED]  = revive, [RESTART_TICK]  = look,       [RESTART_STOP]  = stop},
    [MODE_STOPPING] = {[RESTART_BEGIN] = ignore, [RESTART_READY] = ignore,     [RESTART_ALIVE] = ignore,
                       [RESTART_DIED]  = bury,   [RESTART_TICK]  = look_at_ends, [RESTART_STOP] = ignore},
    [MODE_ENDED]    = {[RESTART_BEGIN] = ignore, [RESTART_READY] = ignore,     [RESTART_ALIVE] = ignore,
                       [RESTART_DIED]  = ignore, [RESTART_TICK]  = ignore,     [RESTART_STOP]  = ignore},
};
/* clang-format on */

void restart_step(struct restart *restart, const struct restart_input *in,
                  struct restart_outputs *out)
{
    assert(in->child < restart->count);
    out->count = 0;
    table[restart->mode][in->kind](restart, in, out);
    restart->tick_ms = in->now_ms;
    restart_assert(restart);
}

uint64_t restart_due_ms(const struct restart *restart)
{
    uint64_t due_ms = UINT64_MAX;
    for (uint32_t slot = 0; slot < restart->count; slot++) {
        const struct restart_child *child = &restart->children[slot];
        uint64_t own_ms = UINT64_MAX;
        if (child->phase == CHILD_RUNNING && child->chatty)
            own_ms = child->heard_ms + restart->rules.silent_ms;
        else if (child->phase != CHILD_RUNNING && child->phase != CHILD_IDLE)
            own_ms = child->due_ms;
        if (own_ms < due_ms)
            due_ms = own_ms;
    }
    return due_ms;
}

void restart_assert(const struct restart *restart)
{
    for (uint32_t slot = 0; slot < restart->count; slot++) {
        enum restart_phase phase = restart->children[slot].phase;
        if (restart->mode == MODE_UP)
            assert(phase != CHILD_IDLE);
        if (restart->mode == MODE_ENDED)
            assert(phase == CHILD_IDLE);
    }
}
