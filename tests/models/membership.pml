/* membership.pml - election and change of configuration (Raft sections 5.2 to 5.4 and 6): four nodes,
 * joint consensus between any two of three sets, nodes that are in no configuration but receive the
 * log (learners), leaders that are not in the new one.
 *
 * Replication is one step (the leader's whole log, and the answer), votes are given and counted one by
 * one. A leader of an earlier term acts until it hears of a later one. All that a node promised is
 * durable, so a crash is the same as silence.
 *
 * Promises: one leader a term (I1); what was committed stays as it is, and every leader has it.
 *
 * The rules, each of which can be broken:
 * run:
 * run: STATIC TERMS=4 LEN=3   no changes, one more term (figure 8 needs four)
 * run: BEGUN TERMS=4          from a change on that only its leader knows of
 *
 * BUG_VOTE      a node forgets that it voted in this term
 * BUG_LOG       a vote is given without a look at the candidate's log
 * BUG_OLD       STATIC TERMS=4 LEN=3: an entry of an earlier term is committed by counting (figure 8)
 * BUG_DIRECT    the new configuration follows the old one without a joint one between them
 * BUG_NEW_ONLY  in a joint configuration the majority of the new one is enough
 * BUG_LEAVE     the joint configuration is left before it is committed
 * BUG_LEARNER   a node outside of the configuration counts
 * BUG_SELF      a leader that is not in the configuration counts itself
 * BUG_ROLLBACK  BEGUN TERMS=4: a configuration stays in force though its entry was replaced
 * REACH         (no bug) a leader that joined later commits in a changed configuration */

#define NODES 4
#ifndef TERMS
#define TERMS 3
#endif
#ifndef LEN
#define LEN 4
#endif

/* The sets, as masks of nodes 0 to 3. Majorities of the first and the second can miss each other. */
#define SET0 7  /* 0 1 2 */
#define SET1 14 /* 1 2 3 */
#define SET2 8  /* 3 */
#define set(s) ((s) == 0 -> SET0 : ((s) == 1 -> SET1 : SET2))

/* A configuration: 1 + old * 3 + new; stable where both are the same. 0: the entry is none. */
#define joined(a, b) (1 + (a) * 3 + (b))
#define old_of(c) (((c) - 1) / 3)
#define new_of(c) (((c) - 1) % 3)
#define is_joint(c) (old_of(c) != new_of(c))
#define is_member(n, c) (((set(old_of(c)) | set(new_of(c))) >> (n)) & 1)

#define ones(m) (((m) & 1) + (((m) >> 1) & 1) + (((m) >> 2) & 1) + (((m) >> 3) & 1))
#ifdef BUG_SELF
#define most(m, s, n) (ones((m) & (s)) + 1 - (((s) >> (n)) & 1) > ones(s) / 2)
#else
#ifdef BUG_LEARNER
#define most(m, s, n) (ones(m) > ones(s) / 2)
#else
#define most(m, s, n) (ones((m) & (s)) > ones(s) / 2)
#endif
#endif
#ifdef BUG_NEW_ONLY
#define quorum(m, c, n) most(m, set(new_of(c)), n)
#else
#define quorum(m, c, n) (most(m, set(old_of(c)), n) && most(m, set(new_of(c)), n))
#endif

#ifdef BUG_OLD
#define is_own(l, i) true
#else
#define is_own(l, i) (term_of(entry(l, i)) == term[l])
#endif

/* An entry: term * 16 + configuration. */
#define entry(n, i) log[(n) * (LEN + 1) + (i)]
#define term_of(e) ((e) >> 4)
#define config_of(e) ((e) & 15)

byte log[NODES * (LEN + 1)], size[NODES], term[NODES], voted[NODES], votes[NODES], commit[NODES];
byte role[NODES]; /* 0 follower, 1 candidate, 2 leader */
byte config[NODES], config_at[NODES];
byte match[NODES * NODES];
byte led[TERMS + 1];
byte chosen[LEN + 1], chosen_term[LEN + 1], chosen_size; /* committed by anybody, ever, and when */

inline step_down(n)
{
    role[n] = 0; votes[n] = 0; commit[n] = 0;
    k = 0;
    do :: k < NODES -> match[n * NODES + k] = 0; k++ :: else -> break od;
    k = 0
}

inline heard(n, t)
{
    if
    :: term[n] < t -> term[n] = t; voted[n] = 0; step_down(n)
    :: else
    fi
}

/* I8: the last one in the log. */
inline find_config(n)
{
    k = size[n];
    do
    :: k > 0 && config_of(entry(n, k)) == 0 -> k--
    :: else -> break
    od;
    config_at[n] = k;
    config[n] = (k == 0 -> joined(0, 0) : config_of(entry(n, k)));
    k = 0
}

#ifdef BUG_ROLLBACK
inline take_config(n)
{
    m = config[n]; i = config_at[n];
    find_config(n);
    if :: i > config_at[n] -> config[n] = m; config_at[n] = i :: else fi;
    m = 0; i = 0
}
#else
inline take_config(n) { find_config(n) }
#endif

inline add(n, c)
{
    size[n]++;
    entry(n, size[n]) = term[n] * 16 + c;
    match[n * NODES + n] = size[n];
    if :: c != 0 -> config[n] = c; config_at[n] = size[n] :: else fi
}

/* The first n entries of the leader's log. What conflicts goes, with all behind it; what does not, stays. */
inline copy(l, f, n)
{
    k = 1;
    do
    :: k <= n && k <= size[f] && entry(f, k) == entry(l, k) -> k++
    :: else -> break
    od;
    if
    :: k <= n ->
        do
        :: k <= LEN -> entry(f, k) = (k <= n -> entry(l, k) : 0); k++
        :: else -> break
        od;
        size[f] = n;
        take_config(f)
    :: else
    fi;
    k = 0;
    if :: match[l * NODES + f] < n -> match[l * NODES + f] = n :: else fi
}

inline count(l)
{
    i = size[l];
    do
    :: i > commit[l] ->
        m = 0; k = 0;
        do
        :: k < NODES -> m = m | ((match[l * NODES + k] >= i) << k); k++
        :: else -> break
        od;
        if
        :: is_own(l, i) && quorum(m, config[l], l) -> break
        :: else -> i--
        fi
    :: else -> break
    od;
    if
    :: i > commit[l] ->
        commit[l] = i;
        k = 1;
        do
        :: k <= i ->
            if
            :: k <= chosen_size -> assert(chosen[k] == entry(l, k))
            :: else -> chosen[k] = entry(l, k); chosen_term[k] = term[l]; chosen_size = k
            fi;
            k++
        :: else -> break
        od;
#ifdef REACH
        assert(!(l == 3 && term[l] == TERMS && config[l] == joined(1, 1) && commit[l] >= config_at[l]));
#endif
        if /* I10: its work is done */
        :: !is_joint(config[l]) && commit[l] >= config_at[l] && !is_member(l, config[l]) -> step_down(l)
        :: else
        fi
    :: else
    fi;
    i = 0; k = 0; m = 0
}

inline lead(c)
{
    assert(led[term[c]] == 0); /* I1 */
    led[term[c]] = 1;
    k = 1;
    do
    :: k <= chosen_size && chosen_term[k] < term[c] ->
        assert(k <= size[c] && chosen[k] == entry(c, k)); k++
    :: else -> break
    od;
    k = 0;
    role[c] = 2; votes[c] = 0;
    match[c * NODES + c] = size[c];
    if :: size[c] < LEN -> add(c, 0) :: else fi;
    count(c)
}

#define last_term(n) (size[n] == 0 -> 0 : term_of(entry(n, size[n])))
#ifdef BUG_LOG
#define log_is_enough(c, v) true
#else
#define log_is_enough(c, v) (last_term(c) > last_term(v) || (last_term(c) == last_term(v) && size[c] >= size[v]))
#endif
#ifdef BUG_LEAVE
#define may_leave(l) true
#else
#define may_leave(l) (commit[l] >= config_at[l])
#endif
/* I9: one at a time, and an entry of the own term is committed. */
#ifdef STATIC
#define may_change(l) false
#else
#define may_change(l) (role[l] == 2 && commit[l] > 0 && term_of(entry(l, commit[l])) == term[l] && size[l] < LEN)
#endif

active proctype cluster()
{
    byte i, k, m, a, b;
    d_step {
        do :: i < NODES -> config[i] = joined(0, 0); i++ :: else -> break od;
        i = 0;
#ifdef BEGUN /* node 0 leads term 1 and has just begun a change that nobody else has heard of */
        term[0] = 1; term[1] = 1; term[2] = 1; voted[0] = 1; voted[1] = 1; voted[2] = 1;
        role[0] = 2; led[1] = 1;
        do
        :: i < 3 -> size[i] = 1; entry(i, 1) = 1 * 16; match[i] = 1; i++
        :: else -> break
        od;
        i = 0;
        commit[0] = 1; chosen[1] = 1 * 16; chosen_term[1] = 1; chosen_size = 1;
        add(0, joined(0, 2))
#endif
    }
    do
    :: atomic {
        select(a : 0 .. 3);
        if
        :: d_step { /* a candidacy */
            role[a] != 2 && term[a] < TERMS && is_member(a, config[a]) ->
            term[a]++; voted[a] = a + 1; role[a] = 1; votes[a] = 1 << a; a = 0
           }
        :: d_step { role[a] == 1 && quorum(votes[a], config[a], a) -> lead(a); a = 0 }
        :: d_step { /* out of a joint configuration */
            role[a] == 2 && is_joint(config[a]) && size[a] < LEN && may_leave(a) ->
            add(a, joined(new_of(config[a]), new_of(config[a]))); count(a); a = 0
           }
        :: /* a new configuration */
            may_change(a) && !is_joint(config[a]) && commit[a] >= config_at[a];
            select(b : 0 .. 2);
            d_step {
                b != new_of(config[a]) ->
#ifdef BUG_DIRECT
                add(a, joined(b, b));
#else
                add(a, joined(new_of(config[a]), b));
#endif
                count(a); a = 0; b = 0
            }
#ifdef BUG_VOTE
        :: d_step { role[a] == 0 && voted[a] != 0 -> voted[a] = 0; a = 0 }
#endif
        :: role[a] != 0;
            select(b : 0 .. 3); a != b;
            if
            :: d_step { /* a vote is asked and given */
                role[a] == 1 && term[b] <= term[a] && !((votes[a] >> b) & 1) ->
                heard(b, term[a]);
                if
                :: voted[b] == 0 && log_is_enough(a, b) ->
                   voted[b] = a + 1; votes[a] = votes[a] | (1 << b)
                :: else
                fi;
                a = 0; b = 0
               }
            :: d_step { /* the log is sent, and acknowledged */
                role[a] == 2 && term[b] <= term[a] && match[a * NODES + b] < size[a] ->
                heard(b, term[a]);
                if :: role[b] == 1 -> step_down(b) :: else fi;
                copy(a, b, size[a]); count(a); a = 0; b = 0
               }
            :: d_step { /* the same without its last entry */
                role[a] == 2 && term[b] <= term[a] && match[a * NODES + b] + 1 < size[a] ->
                heard(b, term[a]);
                if :: role[b] == 1 -> step_down(b) :: else fi;
                copy(a, b, size[a] - 1); count(a); a = 0; b = 0
               }
            fi
        fi
       }
    od
}
