/* drive.c - a scripted consensus for one changeagent-storage, which remembers what storage
 * promised.
 *
 *   drive RUN_DIR SEED
 *
 * It outlives the storage that it drives. Commands come by stdin, one a line, each answered by a
 * line on stdout:
 *   go      a storage has been started: load, hold it to all it ever promised, then write
 *   check   the same without writing, and the whole log is read back
 *   life N  as go, but N batches only; a second line says when all of them are done, applied and
 *           durable in the state
 *   learn   as check, and every change is read as a client reads it and kept
 *   look    a storage whose files were damaged has been started: says `look VOTE SERVED REFUSED`.
 * What it serves must be what was learned, and if it votes, nothing it promised may be missing halt
 * write no more; the answer says how far it got. It also ends a wait for a storage that died A
 * broken promise is answered by a line that begins with FAULT, and ends the drive.
 *
 * What it writes: puts of random size in batches, several in flight; now and then a new term that
 * replaces the end of the log which is not committed; COMMIT behind, at random distance. */
#include "common/clock.h"
#include "common/log.h"
#include "protocol/link.h"
#include "tests/unit/log_kit.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

enum {
    INDEX_MAX = 1 << 22,
    IN_FLIGHT_MAX = 4,
    BATCH_MAX = 48,
    BODY_BYTES_MAX = 900,
    PATIENCE_MS = 20000,
    TURN_MS = 2,
    CHECK_BYTES = 1 << 20,
};

/* One entry that was sent: the newest version of its index. */
struct sent {
    uint8_t hash[HASH_SIZE];
    uint64_t term;
};

/* A version of the last entries that was replaced before anybody took it as done. */
struct replaced {
    uint64_t index;
    uint8_t hash[HASH_SIZE];
};

struct drive {
    struct loop loop;
    struct link journal, view, keeper;
    void *context;
    const char *run_dir;
    uint64_t seed;
    bool open, writing, loaded, balloted, fetched;
    uint64_t left; /* batches of this life; 0: no end */
    bool mortal;   /* storage may die at any moment: that is no fault */
    bool looks;    /* at a storage that may be damaged, and say so */
    bool votes, has_page;
    uint64_t served, refused;
    struct bytes row;       /* of the last page; empty: refused, or none */
    struct bytes *learned;  /* rows by id */
    uint64_t learned_count; /* ids from 1 on */
    struct sent *sent;      /* by index */
    uint64_t last, acked, committed, durable, ts, txid;
    struct replaced *replaced;
    uint32_t replaced_count;
    uint64_t life, ticket, answered, tail_first, loaded_last;
    uint64_t term, vote, term_promised, vote_promised, ballot_ticket;
    uint64_t told_applied, verified, incarnation;
    uint64_t stores, overwrites, lives;
};

static _Noreturn void fault(const struct drive *drive, const char *what, uint64_t a, uint64_t b)
{
    printf("FAULT %s: %llu, %llu (acked %llu, sent %llu, life %llu of the drive)\n", what,
           (unsigned long long)a, (unsigned long long)b, (unsigned long long)drive->acked,
           (unsigned long long)drive->last, (unsigned long long)drive->lives);
    fflush(stdout);
    _exit(1);
}

static void hold(const struct drive *drive, bool promise, const char *what, uint64_t a, uint64_t b)
{
    if (!promise)
        fault(drive, what, a, b);
}

static uint64_t draw(struct drive *drive, uint64_t below)
{
    uint64_t z = (drive->seed += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % below;
}

/* ---- holding storage to its word ------------------------------------------------------------- */

static bool was_replaced(const struct drive *drive, uint64_t index, const uint8_t *hash)
{
    for (uint32_t i = 0; i < drive->replaced_count; i++)
        if (drive->replaced[i].index == index &&
            memcmp(drive->replaced[i].hash, hash, HASH_SIZE) == 0)
            return true;
    return false;
}

/* A record that storage holds: what was promised, or, above that, what was once sent. */
static void judge_record(struct drive *drive, struct span record)
{
    uint64_t index = entry_index_of(record);
    hold(drive, entry_intact(record), "a record is damaged", index, 0);
    struct sent *known = &drive->sent[index];
    if (drive->looks &&
        !drive->votes) /* it has lost its end, and will be told anew what stood there */
        return;
    if (index <= drive->last && memcmp(known->hash, entry_hash_of(record), HASH_SIZE) == 0)
        return;
    hold(drive, index > drive->acked, "a promised record is another", index, entry_term_of(record));
    hold(drive, was_replaced(drive, index, entry_hash_of(record)), "a record is unknown", index,
         entry_term_of(record));
    memcpy(known->hash, entry_hash_of(record), HASH_SIZE); /* it is the version that counts now */
    known->term = entry_term_of(record);
}

static void judge_tail(struct drive *drive, const struct message_loaded *loaded)
{
    struct span rest = loaded->tail, record;
    uint64_t last = 0;
    hold(drive, rest.size > 0 || loaded->last_index == 0, "the tail is empty", loaded->last_index,
         0);
    drive->tail_first = rest.size > 0 ? entry_index_of(rest) : 1;
    while (entry_next(&rest, &record)) {
        judge_record(drive, record);
        last = entry_index_of(record);
    }
    hold(drive, last == loaded->last_index && rest.size == 0, "the tail ends early", last,
         loaded->last_index);
    if (last > 0)
        hold(drive, memcmp(loaded->last_hash.data, drive->sent[last].hash, HASH_SIZE) == 0,
             "the last hash", last, 0);
}

static void judge_ballot(struct drive *drive, const struct message_loaded *loaded)
{
    hold(drive, loaded->may_vote, "it must not vote any more", loaded->last_index, loaded->term);
    if (drive->lives > 0)
        hold(drive, loaded->incarnation == drive->incarnation, "another incarnation",
             loaded->incarnation, drive->incarnation);
    hold(drive, loaded->term >= drive->term_promised && loaded->term <= drive->term, "the term",
         loaded->term, drive->term_promised);
    if (loaded->term == drive->term_promised)
        hold(drive, loaded->vote == drive->vote_promised, "the vote", loaded->vote,
             drive->vote_promised);
}

static enum err on_loaded(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    const struct message_loaded *loaded = &message->loaded;
    drive->votes = loaded->may_vote;
    if (drive->looks && !loaded->may_vote) {
        drive->loaded_last = loaded->last_index;
        drive->life = loaded->life;
        drive->loaded = true;
        return ERR_NONE;
    }
    judge_ballot(drive, loaded);
    hold(drive, loaded->last_index >= drive->acked, "promised entries are gone", loaded->last_index,
         drive->acked);
    if (!drive->looks) /* a damaged state is made anew from the log */
        hold(drive, loaded->applied_index >= drive->durable, "a durable state is gone",
             loaded->applied_index, drive->durable);
    hold(drive, loaded->applied_index <= drive->committed, "what nobody committed is applied",
         loaded->applied_index, drive->committed);
    judge_tail(drive, loaded);
    drive->incarnation = loaded->incarnation;
    drive->life = loaded->life;
    drive->term = drive->term_promised = loaded->term;
    drive->vote = drive->vote_promised = loaded->vote;
    drive->loaded_last = loaded->last_index;
    drive->loaded = true;
    return ERR_NONE;
}

static enum err on_balloted(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    if (message->balloted.life != drive->life || message->balloted.ticket != drive->ballot_ticket)
        return ERR_NONE;
    drive->balloted = true;
    drive->term_promised = drive->term;
    drive->vote_promised = drive->vote;
    return ERR_NONE;
}

static enum err on_stored(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    const struct message_stored *stored = &message->stored;
    if (stored->life != drive->life)
        return ERR_NONE;
    drive->answered = stored->ticket; /* also of a term that has passed: it is in flight no more */
    if (stored->term != drive->term)
        return ERR_NONE;
    hold(drive, stored->last_index <= drive->last, "more is stored than sent", stored->last_index,
         drive->last);
    if (stored->last_index > drive->acked)
        drive->acked = stored->last_index;
    return ERR_NONE;
}

static enum err on_applied(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    hold(drive, message->applied.index <= drive->committed, "applied above the commit",
         message->applied.index, drive->committed);
    drive->told_applied = message->applied.index;
    if (message->applied.durable_index > drive->durable)
        drive->durable = message->applied.durable_index;
    return ERR_NONE;
}

static enum err on_fetched(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    struct span rest = message->fetched.entries, record;
    hold(drive, message->fetched.error.size == 0 || drive->looks, "the log cannot be read",
         drive->verified + 1, 0);
    drive->refused += message->fetched.error.size > 0;
    while (entry_next(&rest, &record)) {
        hold(drive, entry_index_of(record) == drive->verified + 1, "a hole", entry_index_of(record),
             drive->verified);
        judge_record(drive, record);
        drive->verified++;
    }
    drive->fetched = true;
    return ERR_NONE;
}

static enum err on_page(void *owner, uint32_t neighbour, const struct message *message)
{
    struct drive *drive = owner;
    bytes_clear(&drive->row);
    if (message->page.error.size == 0)
        bytes_append_span(&drive->row, message->page.rows);
    else
        drive->refused++;
    drive->has_page = true;
    return ERR_NONE;
}

static link_handler *const handlers[MESSAGE_TYPE_MAX] = {
    ON(LOADED, on_loaded),   ON(BALLOTED, on_balloted), ON(STORED, on_stored),
    ON(APPLIED, on_applied), ON(FETCHED, on_fetched),   ON(PAGE, on_page),
};

/* ---- the conversation ------------------------------------------------------------------------ */

static void open_links(struct drive *drive)
{
    static struct link_rules rules[3];
    static const char *const names[] = {"journal.ipc", "view.ipc", "keeper.ipc"};
    struct link *links[] = {&drive->journal, &drive->view, &drive->keeper};
    drive->context = zmq_ctx_new();
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        char endpoint[160];
        rules[i] =
            (struct link_rules){.process = "consensus", .handlers = handlers, .life = chance_u64()};
        snprintf(endpoint, sizeof endpoint, "ipc://%s/%s", drive->run_dir, names[i]);
        if (link_connect(links[i], &drive->loop, drive->context, endpoint, &rules[i], drive) !=
            ERR_NONE)
            fault(drive, "a link cannot be opened", i, 0);
    }
    drive->open = true;
}

static void close_links(struct drive *drive)
{
    if (!drive->open)
        return;
    link_close(&drive->journal);
    link_close(&drive->view);
    link_close(&drive->keeper);
    zmq_ctx_term(drive->context);
    drive->open = drive->writing = drive->loaded = false;
}

/* True: whoever starts and kills storages wants something, so the one that is waited for is gone.
 */
static bool is_interrupted(void)
{
    struct pollfd commands = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&commands, 1, 0) > 0;
}

/* False: there is no use in waiting any more. */
static bool await(struct drive *drive, const bool *done, const char *what)
{
    uint64_t begin = clock_now_ms();
    while (!*done) {
        loop_turn(&drive->loop, TURN_MS);
        if (drive->mortal && is_interrupted())
            return false;
        hold(drive, clock_now_ms() - begin < PATIENCE_MS, what, 0, 0);
    }
    return true;
}

static void say(struct drive *drive, struct link *link, const struct message *message)
{
    bool sent = link_send(link, 0, message) == ERR_NONE;
    hold(drive, sent || drive->mortal, "storage does not listen", message->type, 0);
}

static bool read_back(struct drive *drive, uint64_t from, uint64_t to)
{
    for (drive->verified = from - 1; drive->verified < to;) {
        struct message message = {.type = MESSAGE_FETCH};
        message.fetch.from = drive->verified + 1;
        message.fetch.to = to;
        message.fetch.bytes = CHECK_BYTES;
        drive->fetched = false;
        say(drive, &drive->keeper, &message);
        if (!await(drive, &drive->fetched, "storage does not read"))
            return false;
    }
    return true;
}

static bool all_up(const struct drive *drive)
{
    return link_is_up(&drive->journal, 0) && link_is_up(&drive->view, 0) &&
           link_is_up(&drive->keeper, 0);
}

static bool load(struct drive *drive)
{
    uint64_t begin = clock_now_ms();
    struct message message = {.type = MESSAGE_LOAD};
    while (!all_up(drive)) {
        loop_turn(&drive->loop, TURN_MS);
        if (drive->mortal && is_interrupted())
            return false;
        hold(drive, clock_now_ms() - begin < PATIENCE_MS, "no storage is there", 0, 0);
    }
    drive->ticket = drive->answered = 0;
    say(drive, &drive->journal, &message);
    if (!await(drive, &drive->loaded, "storage does not load"))
        return false;
    if (drive->acked > 0 && drive->acked < drive->tail_first && /* the tail is of one file */
        !read_back(drive, drive->acked, drive->tail_first - 1))
        return false;
    drive->last = drive->acked = drive->loaded_last;
    drive->replaced_count = 0;
    drive->lives++;
    return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void send_ballot(struct drive *drive)
{
    struct message message = {.type = MESSAGE_BALLOT};
    drive->term++;
    drive->vote = 1 + draw(drive, 3);
    drive->ballot_ticket = ++drive->ticket;
    message.ballot.life = drive->life;
    message.ballot.ticket = drive->ballot_ticket;
    message.ballot.term = drive->term;
    message.ballot.vote = drive->vote;
    message.ballot.note = SPAN("note", 4);
    drive->balloted = false;
    say(drive, &drive->journal, &message);
}

/* The end of the log from `index` on is promised to nobody any more. */
static void replace_from(struct drive *drive, uint64_t index)
{
    uint32_t more = (uint32_t)(drive->last + 1 - index);
    drive->replaced = realloc(drive->replaced, (drive->replaced_count + more + 1) *
                                                   sizeof *drive->replaced); /* NOLINT */
    for (uint64_t at = index; at <= drive->last; at++) {
        struct replaced *old = &drive->replaced[drive->replaced_count++];
        old->index = at;
        memcpy(old->hash, drive->sent[at].hash, HASH_SIZE);
    }
    drive->acked = drive->acked < index ? drive->acked : index - 1;
    drive->overwrites += more > 0;
}

static void append(struct drive *drive, struct log_kit *kit)
{
    char data[BODY_BYTES_MAX + 1], tag[16];
    size_t size = 1 + draw(drive, BODY_BYTES_MAX);
    memset(data, 'a' + (int)draw(drive, 26), size);
    data[size] = '\0';
    snprintf(tag, sizeof tag, "t%u", (unsigned)draw(drive, 40));
    struct span record = kit->last == 0 ? kit_founding(kit)
                                        : kit_put(kit, ++drive->txid, kit->ts,
                                                  1 + (uint32_t)draw(drive, 3), tag, data);
    hold(drive, kit->last < INDEX_MAX, "the drive has no room left", kit->last, 0);
    memcpy(drive->sent[kit->last].hash, entry_hash_of(record), HASH_SIZE);
    drive->sent[kit->last].term = kit->term;
}

static void send_store(struct drive *drive, uint64_t from, uint32_t count)
{
    struct message message = {.type = MESSAGE_STORE};
    struct log_kit kit = {.last = from - 1, .term = drive->term, .ts = drive->ts};
    if (from > 1)
        memcpy(kit.hash, drive->sent[from - 1].hash, HASH_SIZE);
    for (uint32_t i = 0; i < count; i++)
        append(drive, &kit);
    drive->ts = kit.ts;
    drive->last = kit.last;
    message.store.life = drive->life;
    message.store.ticket = ++drive->ticket;
    message.store.term = drive->term;
    message.store.entries = bytes_span(&kit.records);
    say(drive, &drive->journal, &message);
    kit_close(&kit);
    drive->stores++;
}

static void commit(struct drive *drive)
{
    struct message message = {.type = MESSAGE_COMMIT};
    if (drive->acked <= drive->committed || draw(drive, 4) == 0)
        return;
    drive->committed += 1 + draw(drive, drive->acked - drive->committed);
    message.commit.index = drive->committed;
    message.commit.term = drive->sent[drive->committed].term;
    link_tell(&drive->view, 0, &message);
}

static void write_some(struct drive *drive)
{
    uint64_t from = drive->last + 1;
    if (!drive->balloted)
        return;
    if (drive->term == 0 || draw(drive, drive->mortal ? 6 : 60) == 0) {
        send_ballot(drive);
        return;
    }
    if (drive->sent[drive->last].term < drive->term && drive->last > drive->committed &&
        draw(drive, 2) == 0) {
        from = drive->committed + 1 + draw(drive, drive->last - drive->committed);
        replace_from(drive, from);
    }
    if (drive->ticket - drive->answered < IN_FLIGHT_MAX || from <= drive->last) {
        send_store(drive, from, 1 + (uint32_t)draw(drive, BATCH_MAX));
        drive->left -= drive->left > 0;
        drive->writing = !drive->mortal || drive->left > 0;
    }
    commit(drive);
}

/* The last batch of a life was sent: all of it shall be stored, committed, applied. */
static void come_to_rest(struct drive *drive)
{
    uint64_t begin = clock_now_ms();
    while (drive->told_applied < drive->last) {
        loop_turn(&drive->loop, TURN_MS);
        commit(drive);
        if (is_interrupted())
            return;
        hold(drive, clock_now_ms() - begin < PATIENCE_MS, "storage comes to no rest",
             drive->told_applied, drive->committed);
    }
    printf("done\n");
    fflush(stdout);
}

/* ---- looking --------------------------------------------------------------------------------- */

/* One change, as a client reads it: what was learned, or nothing. */
static bool read_change(struct drive *drive, uint64_t id)
{
    struct message message = {.type = MESSAGE_READ};
    message.read.since = id - 1;
    message.read.limit = 1;
    message.read.bytes = 1;
    message.read.exact = true;
    drive->has_page = false;
    say(drive, &drive->keeper, &message);
    if (!await(drive, &drive->has_page, "storage does not serve"))
        return false;
    struct span row = bytes_span(&drive->row);
    if (row.size > 0) {
        hold(drive, span_equal(row, bytes_span(&drive->learned[id])), "a wrong byte is served", id,
             0);
        drive->served++;
    }
    return true;
}

/* Everything that was committed is to be applied again: as far as storage can. */
static void commit_again(struct drive *drive)
{
    struct message message = {.type = MESSAGE_COMMIT};
    uint64_t begin = clock_now_ms();
    message.commit.index = drive->committed;
    message.commit.term = drive->sent[drive->committed].term;
    drive->told_applied = 0;
    link_tell(&drive->view, 0, &message);
    while (drive->told_applied < drive->committed && clock_now_ms() - begin < 300) {
        loop_turn(&drive->loop, TURN_MS);
        if (is_interrupted())
            return;
    }
}

/* The log in pieces: after a refusal it goes on behind. */
static bool look_at_log(struct drive *drive)
{
    uint64_t last = drive->loaded_last < drive->last ? drive->loaded_last : drive->last;
    for (uint64_t from = 1; from <= last; from = drive->verified + 1) {
        uint64_t before = drive->refused;
        struct message message = {.type = MESSAGE_FETCH};
        message.fetch.from = from;
        message.fetch.to = last;
        message.fetch.bytes = CHECK_BYTES;
        drive->verified = from - 1;
        drive->fetched = false;
        say(drive, &drive->keeper, &message);
        if (!await(drive, &drive->fetched, "storage does not read"))
            return false;
        if (drive->refused > before || drive->verified < from)
            drive->verified = from + 15;
    }
    return true;
}

static void look(struct drive *drive)
{
    uint64_t acked = drive->acked, last = drive->last;
    close_links(drive);
    open_links(drive);
    drive->looks = drive->mortal = true;
    drive->served = drive->refused = 0;
    bool fine = load(drive);
    drive->acked = acked; /* what is damaged now is whole again next time */
    drive->last = last;
    if (fine)
        commit_again(drive);
    fine = fine && look_at_log(drive);
    for (uint64_t id = 1; fine && id <= drive->learned_count; id++)
        fine = read_change(drive, id);
    drive->looks = false;
    if (fine)
        printf("look %d %llu %llu\n", drive->votes, (unsigned long long)drive->served,
               (unsigned long long)drive->refused);
    else
        printf("interrupted\n");
}

static void learn(struct drive *drive)
{
    drive->learned_count = 0;
    for (uint64_t id = 1;; id++) {
        drive->learned = realloc(drive->learned, (id + 1) * sizeof *drive->learned); /* NOLINT */
        drive->learned[id] = (struct bytes){0};
        struct message message = {.type = MESSAGE_READ};
        message.read.since = id - 1;
        message.read.limit = message.read.bytes = 1;
        drive->has_page = false;
        say(drive, &drive->keeper, &message);
        await(drive, &drive->has_page, "storage does not serve");
        if (drive->row.size == 0)
            break;
        bytes_append_span(&drive->learned[id], bytes_span(&drive->row));
        drive->learned_count = id;
    }
    printf("learned %llu\n", (unsigned long long)drive->learned_count);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void start(struct drive *drive, bool writing)
{
    close_links(drive);
    open_links(drive);
    drive->told_applied = 0;
    if (!load(drive) || (!writing && !read_back(drive, 1, drive->last))) {
        printf("interrupted\n");
        return;
    }
    drive->balloted = drive->writing = writing;
    printf("loaded %llu applied %llu durable %llu\n", (unsigned long long)drive->last,
           (unsigned long long)drive->committed, (unsigned long long)drive->durable);
}

static void obey(struct drive *drive, const char *line)
{
    unsigned long long batches = 0;
    if (strncmp(line, "go", 2) == 0 || strncmp(line, "check", 5) == 0) {
        drive->mortal = false;
        start(drive, line[0] == 'g');
    } else if (sscanf(line, "life %llu", &batches) == 1) {
        drive->mortal = true;
        drive->left = batches;
        start(drive, true);
    } else if (strncmp(line, "learn", 5) == 0) {
        drive->mortal = false;
        start(drive, false);
        commit_again(drive);
        learn(drive);
    } else if (strncmp(line, "look", 4) == 0) {
        look(drive);
    } else if (strncmp(line, "halt", 4) == 0) {
        for (int i = 0; i < 3 && drive->open; i++)
            loop_turn(&drive->loop, 0); /* promises that have arrived count */
        close_links(drive);
        printf("halted acked %llu sent %llu stores %llu overwrites %llu\n",
               (unsigned long long)drive->acked, (unsigned long long)drive->last,
               (unsigned long long)drive->stores, (unsigned long long)drive->overwrites);
    } else {
        printf("what?\n");
    }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct drive *drive = bytes_zeroed(1, sizeof *drive);
    struct pollfd commands = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[64];
    if (argc != 3) {
        fprintf(stderr, "usage: drive RUN_DIR SEED\n");
        return 2;
    }
    log_open("drive", LOG_ERROR);
    setvbuf(stdin, NULL, _IONBF, 0);
    drive->run_dir = argv[1];
    drive->seed = strtoull(argv[2], NULL, 10);
    drive->sent = bytes_zeroed(INDEX_MAX + 1, sizeof *drive->sent);
    for (;;) {
        int asked = poll(&commands, 1, drive->writing ? 0 : 10);
        if (asked > 0) {
            if (fgets(line, sizeof line, stdin) == NULL)
                break;
            obey(drive, line);
        }
        if (drive->open)
            loop_turn(&drive->loop, drive->writing ? 1 : 0);
        if (drive->writing) {
            write_some(drive);
            if (drive->mortal && !drive->writing)
                come_to_rest(drive);
        }
    }
    close_links(drive);
    bytes_free(drive->sent);
    free(drive->replaced);
    bytes_free(drive);
    return 0;
}
