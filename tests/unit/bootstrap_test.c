/* bootstrap_test.c - the founding, seen from one node; whole clusters: tests/transcripts. */
#include "consensus/bootstrap.h"
#include "tests/unit/raft_kit.h"

/* Blank: nothing noted, nothing in the log. Node 1 has the lowest key. */
static void load_blank(struct kit *kit)
{
    struct message message = {.type = MESSAGE_LOADED};
    message.loaded.life = LIFE;
    message.loaded.incarnation = 11;
    message.loaded.may_vote = true;
    kit_tell(kit, INPUT_LOADED, &message);
}

static void open_blank(struct kit *kit)
{
    *kit = (struct kit){0};
    kit_make_members(kit);
    kit_open_core(kit);
    load_blank(kit);
}

static void met(struct kit *kit, uint32_t slot, bool noted, bool founded)
{
    struct message message = kit_from(kit, slot, 0, MESSAGE_MET);
    if (!noted)
        memset(message.peer.cluster, 0, CLUSTER_ID_SIZE);
    message.met.noted = noted;
    message.met.founded = founded;
    kit_peer(kit, slot, &message);
}

static void noted(struct kit *kit, uint32_t slot)
{
    struct message message = kit_from(kit, slot, 0, MESSAGE_NOTED);
    kit_peer(kit, slot, &message);
}

static bool waits_for(struct kit *kit, const char *text)
{
    struct raft_status status;
    raft_status(kit->raft, &status);
    return strstr(status.waits_for, text) != NULL;
}

TEST(a_blank_node_meets_everybody)
{
    struct kit kit;
    open_blank(&kit);
    kit_tick(&kit, 1);
    CHECK(kit_out(&kit, MESSAGE_MEET, 1) != NULL && kit_out(&kit, MESSAGE_MEET, 2) == NULL);
    CHECK(waits_for(&kit, "did not answer"));
    met(&kit, SLOT_2, false, false);
    kit_tick(&kit, 5000);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL); /* one is missing: nothing is founded */
    kit_close(&kit);
}

TEST(the_note_is_durable_here_then_there_then_a_campaign)
{
    struct kit kit;
    open_blank(&kit);
    met(&kit, SLOT_2, false, false);
    met(&kit, SLOT_3, false, false);
    const struct message *ballot = kit_out(&kit, MESSAGE_BALLOT, 0);
    struct members note;
    CHECK(ballot && members_decode(ballot->ballot.note, &note) == ERR_NONE);
    CHECK(note.count == 3 && note.at[1].incarnation == 12 && note.history == 5);
    CHECK(kit_out(&kit, MESSAGE_NOTE, 0) == NULL);
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_NOTE, 1) != NULL);
    noted(&kit, SLOT_2);
    CHECK(kit.raft->role == ROLE_FOUNDING && waits_for(&kit, "must note"));
    noted(&kit, SLOT_3);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    kit_vote(&kit, SLOT_2, 1, true);
    kit_balloted(&kit);
    kit_vote(&kit, SLOT_2, 1, false);
    CHECK(kit.raft->role == ROLE_LEADER && kit.raft->log.last == 1);
    CHECK(entry_kind_of(raftlog_record(&kit.raft->log, 1)) == ENTRY_FOUNDING);
    kit_close(&kit);
}

TEST(a_node_that_noted_elsewhere_stops_the_founding)
{
    struct kit kit;
    open_blank(&kit);
    met(&kit, SLOT_2, true, false);
    met(&kit, SLOT_3, false, false);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    CHECK(waits_for(&kit, "already noted"));
    kit_close(&kit);
}

TEST(a_blank_node_beside_a_founded_cluster_stays_outside)
{
    struct kit kit;
    open_blank(&kit);
    met(&kit, SLOT_2, true, true);
    CHECK(kit.raft->role == ROLE_OUTSIDE);
    CHECK(waits_for(&kit, "already founded") && waits_for(&kit, "6b6974")); /* "kit" */
    met(&kit, SLOT_3, false, false);
    kit_tick(&kit, 60000);
    CHECK(kit.out.count == 0);
    kit_close(&kit);
}

/* Node 1 plays a voter here: the note comes from the one with the lowest key, made to be 0. */
static struct message note_of(struct kit *kit, struct bytes *bytes, uint64_t incarnation)
{
    struct members members = kit->members;
    members.at[0].incarnation = incarnation;
    bytes_clear(bytes);
    members_encode(&members, bytes);
    struct message message = kit_from(kit, SLOT_2, 0, MESSAGE_NOTE);
    message.note.note = bytes_span(bytes);
    return message;
}

static void lower_key_of_two(struct kit *kit)
{
    memset(kit->raft->peers.at[SLOT_2].key, 0, RAFT_KEY_SIZE);
    struct members members = {.cluster = "kit", .history = 5};
    struct member two = kit->members.at[1];
    memset(two.key, 0, RAFT_KEY_SIZE);
    members_add(&members, &kit->members.at[0]);
    members_add(&members, &two);
    members_add(&members, &kit->members.at[2]);
    kit->members = members;
}

TEST(a_voter_notes_durably_before_it_says_so)
{
    struct kit kit;
    struct bytes bytes = {0};
    open_blank(&kit);
    lower_key_of_two(&kit);
    bytes_clear(&bytes);
    members_encode(&kit.members, &bytes);
    struct message note = kit_from(&kit, SLOT_2, 0, MESSAGE_NOTE);
    note.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &note);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) && !kit_out(&kit, MESSAGE_NOTED, 0));
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_NOTED, 0) != NULL);
    kit_tick(&kit, 60000);
    CHECK(kit.raft->role == ROLE_FOUNDING); /* record 1 is not here: it may not campaign */
    CHECK(kit_out(&kit, MESSAGE_VOTE, 0) == NULL);
    struct message vote = kit_from(&kit, SLOT_3, 1, MESSAGE_VOTE); /* but it votes for any */
    vote.vote.candidate_term = 1;
    kit_peer(&kit, SLOT_3, &vote);
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_VOTED, 0)->voted.granted);
    bytes_close(&bytes);
    kit_close(&kit);
}

TEST(a_note_of_the_wrong_founder_or_incarnation_is_refused)
{
    struct kit kit;
    struct bytes bytes = {0};
    open_blank(&kit);
    struct message note = note_of(&kit, &bytes, 11); /* node 2 has not the lowest key */
    kit_peer(&kit, SLOT_2, &note);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 1 && !kit.raft->has_note);
    lower_key_of_two(&kit);
    kit.members.at[1].incarnation = 999; /* ourselves, as we were before a wipe */
    bytes_clear(&bytes);
    members_encode(&kit.members, &bytes);
    note.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &note);
    CHECK(!kit.raft->has_note && kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    bytes_close(&bytes);
    kit_close(&kit);
}

/* Noted once, noted for good: the same founder cannot found a second cluster with this voter. */
TEST(a_second_note_is_refused)
{
    struct kit kit;
    struct bytes bytes = {0};
    open_blank(&kit);
    lower_key_of_two(&kit);
    members_encode(&kit.members, &bytes);
    struct message note = kit_from(&kit, SLOT_2, 0, MESSAGE_NOTE);
    note.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &note);
    kit_balloted(&kit);
    CHECK(kit.raft->has_note);
    kit.members.history++;
    bytes_clear(&bytes);
    members_encode(&kit.members, &bytes);
    note.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &note);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL && kit_out(&kit, MESSAGE_NOTED, 0) == NULL);
    CHECK(kit.raft->note.history == 5 && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    bytes_close(&bytes);
    kit_close(&kit);
}

TEST(a_directory_that_is_not_the_admitted_one_stays_outside)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit.members.at[0].incarnation = 999;
    kit_open_core(&kit);
    kit_load(&kit, 1, (uint64_t[]){1}, 1, true);
    CHECK(kit.raft->role == ROLE_OUTSIDE && waits_for(&kit, "wiped, copied"));
    kit_close(&kit);
}

/* An append, or a call-back, of the leader in a slot, from this cluster. */
static void call(struct kit *kit, uint32_t slot, enum message_type type, const char *cluster)
{
    struct message message = kit_from(kit, slot, type == MESSAGE_APPEND ? 3 : 0, type);
    memset(message.peer.cluster, 0, CLUSTER_ID_SIZE);
    memcpy(message.peer.cluster, cluster, strlen(cluster));
    if (type == MESSAGE_MEET)
        message.peer.to = message.peer.to_incarnation = 0;
    message.append.round = 1;
    kit_peer(kit, slot, &message);
    if (!state_settled(kit->raft))
        kit_balloted(kit);
}

/* Two clusters may want the same server, and the first may change its mind. */
TEST(who_waits_to_join_is_not_bound_by_a_caller_that_fell_silent)
{
    struct kit kit = {0};
    kit_make_members(&kit);
    kit_open_core(&kit);
    kit.raft->joins = true;
    load_blank(&kit);
    CHECK(kit.raft->role == ROLE_OUTSIDE);
    call(&kit, SLOT_2, MESSAGE_APPEND, "first");
    CHECK(kit.raft->leader == SLOT_2 && memcmp(state_cluster(kit.raft), "first", 6) == 0);
    kit.now += kit.raft->election_max_ms - 1;
    call(&kit, SLOT_3, MESSAGE_MEET, "other");
    CHECK(kit_out(&kit, MESSAGE_MET, 0) == NULL && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    call(&kit, SLOT_3, MESSAGE_APPEND, "other");
    CHECK(kit.raft->leader == SLOT_2);
    kit.now += 1;
    call(&kit, SLOT_3, MESSAGE_MEET, "other");
    CHECK(kit_out(&kit, MESSAGE_MET, 0) != NULL);
    call(&kit, SLOT_3, MESSAGE_APPEND, "other");
    CHECK(kit.raft->leader == SLOT_3 && memcmp(state_cluster(kit.raft), "other", 6) == 0);
    kit_close(&kit);
}

TEST_MAIN(T(a_blank_node_meets_everybody), T(the_note_is_durable_here_then_there_then_a_campaign),
          T(a_node_that_noted_elsewhere_stops_the_founding),
          T(a_blank_node_beside_a_founded_cluster_stays_outside),
          T(a_voter_notes_durably_before_it_says_so),
          T(a_note_of_the_wrong_founder_or_incarnation_is_refused), T(a_second_note_is_refused),
          T(a_directory_that_is_not_the_admitted_one_stays_outside),
          T(who_waits_to_join_is_not_bound_by_a_caller_that_fell_silent))
