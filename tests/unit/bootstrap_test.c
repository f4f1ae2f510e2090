/* bootstrap_test.c - the founding, seen from one node; whole clusters: tests/transcripts. */
#include "consensus/bootstrap.h"
#include "tests/unit/raft_kit.h"

/* Blank: nothing noted, nothing in the log. Node 1 has the lowest key. */
static void load_blank_as(struct kit *kit, uint64_t incarnation)
{
    struct message message = {.type = MESSAGE_LOADED};
    message.loaded.life = LIFE;
    message.loaded.incarnation = incarnation;
    message.loaded.may_vote = true;
    kit_tell(kit, INPUT_LOADED, &message);
}

static void load_blank(struct kit *kit)
{
    load_blank_as(kit, 11);
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

static void hint(struct kit *kit, uint8_t key, const char *endpoint)
{
    struct raft_voter voter = {.endpoint = endpoint};
    memset(voter.key, key, sizeof voter.key);
    kit_step(kit, (struct raft_input){.kind = INPUT_HINT, .voter = &voter});
}

static void lose_storage(struct kit *kit)
{
    kit_step(kit, (struct raft_input){.kind = INPUT_STORAGE_LOST});
    kit_step(kit, (struct raft_input){.kind = INPUT_STORAGE_UP});
}

TEST(the_list_must_be_whole_before_anything_is_founded)
{
    struct kit kit;
    open_blank(&kit);
    kit.raft->expect = 4;
    met(&kit, SLOT_2, false, false);
    met(&kit, SLOT_3, false, false);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL && waits_for(&kit, "with 4 voters, 3 are"));
    hint(&kit, 4, "");
    CHECK(waits_for(&kit, "key 04040404") && waits_for(&kit, "did not answer"));
    kit_close(&kit);
}

/* A stranger that discovery named: not asked, not waited for, not in the note. */
TEST(who_is_not_listed_has_no_part_in_the_founding)
{
    struct kit kit;
    struct members note;
    open_blank(&kit);
    kit.raft->expect = 2;
    kit.raft->peers.at[SLOT_3].listed = false;
    memset(kit.raft->peers.at[SLOT_3].key, 0, RAFT_KEY_SIZE); /* the lowest of all */
    kit_tick(&kit, 1);
    CHECK(kit_out(&kit, MESSAGE_MEET, 0) != NULL && kit_out(&kit, MESSAGE_MEET, 1) == NULL);
    met(&kit, SLOT_2, false, false);
    const struct message *ballot = kit_out(&kit, MESSAGE_BALLOT, 0);
    CHECK(ballot && members_decode(ballot->ballot.note, &note) == ERR_NONE && note.count == 2);
    kit_balloted(&kit);
    CHECK(kit_out(&kit, MESSAGE_NOTE, 0) != NULL && kit_out(&kit, MESSAGE_NOTE, 1) == NULL);
    CHECK(waits_for(&kit, "must note") && !waits_for(&kit, ";")); /* one is waited for */
    noted(&kit, SLOT_2);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE);
    kit_close(&kit);
}

/* Node 2 has a lower key than this one: its note is waited for, and then its record 1. */
TEST(only_the_lowest_key_founds)
{
    struct kit kit;
    struct bytes bytes = {0};
    open_blank(&kit);
    lower_key_of_two(&kit);
    met(&kit, SLOT_2, false, false);
    met(&kit, SLOT_3, false, false);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    CHECK(waits_for(&kit, "the founding note of the voter with the lowest key"));
    members_encode(&kit.members, &bytes);
    struct message note = kit_from(&kit, SLOT_2, 0, MESSAGE_NOTE);
    note.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &note);
    kit_balloted(&kit);
    CHECK(waits_for(&kit, "the founder at tcp://x to write record 1"));
    kit_tick(&kit, 5000); /* it asks nobody to note anything */
    CHECK(kit.out.count == 0);
    noted(&kit, SLOT_3); /* and is not told by others that they have */
    CHECK(!kit.raft->peers.at[SLOT_3].noted);
    bytes_close(&bytes);
    kit_close(&kit);
}

TEST(with_all_noted_a_quorum_is_waited_for)
{
    struct kit kit;
    open_blank(&kit);
    met(&kit, SLOT_2, false, false);
    met(&kit, SLOT_3, false, false);
    kit_balloted(&kit);
    struct message message = kit_from(&kit, SLOT_2, 0, MESSAGE_NOTED);
    message.peer.from_incarnation = 999; /* not the directory that is in the note (I11) */
    kit_peer(&kit, SLOT_2, &message);
    CHECK(!kit.raft->peers.at[SLOT_2].noted);
    noted(&kit, SLOT_2);
    hint(&kit, 9, "tcp://stranger"); /* known, and not in the note: nothing hangs on it */
    noted(&kit, SLOT_3);
    CHECK(kit.raft->role == ROLE_PRECANDIDATE && waits_for(&kit, "a quorum to vote"));
    met(&kit, SLOT_2, false, false); /* late: the note stands */
    CHECK(kit.raft->note.count == 3);
    kit_close(&kit);
}

/* Whatever else it says of itself: a cluster was met, and storage was lost since. */
TEST(a_cluster_that_was_met_is_not_forgotten_with_storage)
{
    struct kit kit;
    open_blank(&kit);
    met(&kit, SLOT_2, false, true);
    CHECK(kit.raft->role == ROLE_OUTSIDE);
    lose_storage(&kit);
    load_blank_as(&kit, 11);
    CHECK(kit.raft->role == ROLE_FOUNDING);
    met(&kit, SLOT_3, false, false);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    kit_close(&kit);
}

TEST(without_an_incarnation_or_a_sender_nothing_is_founded)
{
    struct kit kit;
    open_blank(&kit);
    lose_storage(&kit);
    load_blank_as(&kit, 0);
    kit.raft->peers.at[SLOT_2].met = kit.raft->peers.at[SLOT_3].met = true;
    kit_tick(&kit, 1000);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    lose_storage(&kit);
    kit.raft->peers.at[SLOT_2].met = false;
    load_blank_as(&kit, 11);
    struct message message = kit_from(&kit, SLOT_2, 0, MESSAGE_MET);
    memset(message.peer.cluster, 0, CLUSTER_ID_SIZE);
    message.peer.from = 0;
    kit_peer(&kit, SLOT_2, &message);
    CHECK(!kit.raft->peers.at[SLOT_2].met && kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    kit.raft->joins = true; /* one that is to join a cluster, whatever it hears */
    met(&kit, SLOT_2, false, false);
    CHECK(kit_out(&kit, MESSAGE_BALLOT, 0) == NULL);
    kit_close(&kit);
}

static void note_is_refused(struct kit *kit, const struct members *members)
{
    struct bytes bytes = {0};
    members_encode(members, &bytes);
    struct message note = kit_from(kit, SLOT_2, 0, MESSAGE_NOTE);
    note.note.note = bytes_span(&bytes);
    kit->raft->peers.at[SLOT_2].complained = false;
    kit_peer(kit, SLOT_2, &note);
    CHECK(!kit->raft->has_note && kit_count(kit, OUTPUT_COMPLAINT) == 1);
    kit_peer(kit, SLOT_2, &note); /* said once */
    CHECK(!kit->raft->has_note && kit_count(kit, OUTPUT_COMPLAINT) == 0);
    bytes_close(&bytes);
}

TEST(a_note_must_name_this_node_and_everybody_listed)
{
    struct kit kit;
    open_blank(&kit);
    lower_key_of_two(&kit);
    struct members note = kit.members;
    note.at[1].node = 9;
    note_is_refused(&kit, &note);
    note = kit.members;
    members_drop(&note, 1); /* without this node */
    note_is_refused(&kit, &note);
    note = kit.members;
    members_drop(&note, 2);
    note_is_refused(&kit, &note); /* fewer than expected */
    kit.raft->expect = 2;
    note_is_refused(&kit, &note); /* as many, but one that is listed here is not in it */
    kit.raft->peers.at[SLOT_3].listed = false;
    struct message message = kit_from(&kit, SLOT_2, 0, MESSAGE_NOTE);
    message.note.note = SPAN_TEXT("no note");
    kit.raft->peers.at[SLOT_2].complained = false;
    kit_peer(&kit, SLOT_2, &message);
    CHECK(!kit.raft->has_note && kit_count(&kit, OUTPUT_COMPLAINT) == 1);
    struct bytes bytes = {0};
    members_encode(&note, &bytes);
    message.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &message); /* and this one fits */
    CHECK(kit.raft->has_note);
    bytes_close(&bytes);
    kit_close(&kit);
}

/* The answer was lost: the founder asks again, when record 1 is here already. */
TEST(a_note_that_was_noted_is_confirmed_again)
{
    struct kit kit;
    struct bytes bytes = {0};
    kit_open(&kit);
    CHECK(kit.raft->role == ROLE_FOLLOWER && kit.raft->has_note);
    members_encode(&kit.raft->note, &bytes);
    struct message note = kit_from(&kit, SLOT_2, 1, MESSAGE_NOTE);
    note.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &note);
    CHECK(kit_out(&kit, MESSAGE_NOTED, 0) != NULL);
    note.note.note = SPAN_TEXT("no note");
    kit_peer(&kit, SLOT_2, &note);
    CHECK(kit_out(&kit, MESSAGE_NOTED, 0) == NULL);
    struct members other = kit.raft->note;
    other.history++;
    bytes_clear(&bytes);
    members_encode(&other, &bytes);
    note.note.note = bytes_span(&bytes);
    kit_peer(&kit, SLOT_2, &note);
    CHECK(kit_out(&kit, MESSAGE_NOTED, 0) == NULL);
    kit.raft->has_note = false; /* one that joined later never noted anything */
    kit_peer(&kit, SLOT_2, &note);
    CHECK(kit_out(&kit, MESSAGE_NOTED, 0) == NULL);
    bytes_close(&bytes);
    kit_close(&kit);
}

TEST(hints_become_slots_and_the_list_while_there_is_room)
{
    struct kit kit;
    open_blank(&kit);
    hint(&kit, 1, "tcp://ourselves");
    CHECK(kit.raft->peers.count == 2);
    for (uint8_t key = 10; key < 10 + RAFT_PEERS_MAX; key++)
        hint(&kit, key, "tcp://many");
    CHECK(kit.raft->peers.count == RAFT_PEERS_MAX);
    uint32_t listed = 1;
    for (uint32_t i = 0; i < RAFT_PEERS_MAX; i++)
        listed += kit.raft->peers.at[i].listed;
    CHECK(listed == RAFT_VOTERS_MAX);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 0); /* a stranger gave way */
    for (uint32_t i = 0; i < RAFT_PEERS_MAX; i++)
        kit.raft->peers.at[i].listed = true;
    hint(&kit, 99, "tcp://one more");
    uint8_t key[RAFT_KEY_SIZE];
    memset(key, 99, sizeof key);
    CHECK(kit_count(&kit, OUTPUT_COMPLAINT) == 1 && raft_slot_of(kit.raft, key) < 0);
    kit_close(&kit);
}

/* After the founding a hint lists nobody: members come by the log alone. */
TEST(a_hint_adds_no_voter_to_a_founded_cluster)
{
    struct kit kit;
    kit_open(&kit);
    hint(&kit, 9, "tcp://nine");
    CHECK(kit.raft->peers.count == 3 && !kit.raft->peers.at[2].listed);
    hint(&kit, 9, "tcp://elsewhere"); /* no member: it may have moved */
    CHECK(strcmp(kit.raft->peers.at[2].endpoint, "tcp://elsewhere") == 0);
    hint(&kit, 2, "tcp://elsewhere"); /* where a member is, the configuration says (R112) */
    CHECK(strcmp(kit.raft->peers.at[SLOT_2].endpoint, "tcp://x") == 0);
    CHECK(strcmp(kit.raft->peers.at[SLOT_2].hinted, "tcp://elsewhere") == 0);
    kit_close(&kit);
}

/* As many as there may be, each with the longest address: the sentence ends, it does not overrun.
 */
TEST(what_is_waited_for_fits_its_text)
{
    struct kit kit;
    char longest[RAFT_ENDPOINT_MAX];
    open_blank(&kit);
    memset(longest, 'e', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    for (uint8_t key = 10; key < 16; key++)
        hint(&kit, key, longest);
    struct raft_status status;
    raft_status(kit.raft, &status);
    CHECK(strlen(status.waits_for) == sizeof status.waits_for - 1);
    kit_close(&kit);
}

TEST_MAIN(T(a_blank_node_meets_everybody), T(the_note_is_durable_here_then_there_then_a_campaign),
          T(a_node_that_noted_elsewhere_stops_the_founding),
          T(a_blank_node_beside_a_founded_cluster_stays_outside),
          T(a_voter_notes_durably_before_it_says_so),
          T(a_note_of_the_wrong_founder_or_incarnation_is_refused), T(a_second_note_is_refused),
          T(a_directory_that_is_not_the_admitted_one_stays_outside),
          T(who_waits_to_join_is_not_bound_by_a_caller_that_fell_silent),
          T(the_list_must_be_whole_before_anything_is_founded),
          T(who_is_not_listed_has_no_part_in_the_founding), T(only_the_lowest_key_founds),
          T(with_all_noted_a_quorum_is_waited_for),
          T(a_cluster_that_was_met_is_not_forgotten_with_storage),
          T(without_an_incarnation_or_a_sender_nothing_is_founded),
          T(a_note_must_name_this_node_and_everybody_listed),
          T(a_note_that_was_noted_is_confirmed_again),
          T(hints_become_slots_and_the_list_while_there_is_room),
          T(a_hint_adds_no_voter_to_a_founded_cluster), T(what_is_waited_for_fits_its_text))
