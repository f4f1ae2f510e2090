/* reads.pml - linearizable reads by ReadIndex (I15): three nodes, leaders that do not know that they
 * were deposed, heartbeats and their answers that are delayed for ever, repeated, and reordered.
 *
 * A leader that is asked notes its commit index, makes a token (term, sequence) and sends it along. An
 * answer of a follower proves that this one had heard of no later term when it answered. With a quorum
 * of answers to this very token, a node (any: reads may be asked of followers) answers as soon as it
 * has applied up to the noted index.
 *
 * Elections and replication are not under test here: each is one step, with a quorum of two.
 *
 * Promise (G4): a read sees all that was committed anywhere before it was asked.
 *
 * The rules, each of which can be broken:
 * run:
 *
 * BUG_NOOP     a leader answers before an entry of its own term was committed
 * BUG_TOKEN    an answer to an earlier token of the same term confirms a later read
 * BUG_TERM     tokens of different terms are told apart by their sequence only
 * BUG_QUORUM   the leader's own word is enough
 * BUG_STALE    a follower answers a heartbeat of a term that is over
 * BUG_APPLIED  the answer does not wait until the noted index is applied
 * REACH        (no bug) a read is answered in the last term */

#define NODES 3
#define TERMS 3
#ifndef LEN
#define LEN 3
#endif
#define TOKENS 2

#define entry(n, i) log[(n) * (LEN + 1) + (i)]
#define BIT(t, k) (1 << (((t) - 1) * TOKENS + (k)))
#define MASK(t) (((1 << TOKENS) - 1) << (((t) - 1) * TOKENS))

byte log[NODES * (LEN + 1)], size[NODES], term[NODES], commit[NODES]; /* what is committed is applied at once */
bool leads[NODES];
byte committed; /* by anybody, ever */

byte answers[NODES * NODES]; /* [leader, follower]: answers that were sent */
byte sequence[NODES];
byte asked; /* 1 + the leader that holds the one read that is under way */
byte token, need, noted, reader;

inline forget() { asked = 0; token = 0; need = 0; noted = 0; reader = 0 }

inline heard(n, t)
{
    if
    :: term[n] < t ->
        term[n] = t; leads[n] = false; sequence[n] = 0;
#ifndef BUG_TERM /* else nobody looks at them any more */
        answers[n * NODES] = 0; answers[n * NODES + 1] = 0; answers[n * NODES + 2] = 0;
#endif
        if :: asked == n + 1 -> forget() :: else fi
    :: else
    fi
}

/* All of the leader's log; what the leader knows of commits goes along. */
inline copy(l, f)
{
    i = 1;
    do
    :: i <= LEN -> entry(f, i) = (i <= size[l] -> entry(l, i) : 0); i++
    :: else -> break
    od;
    i = 0; size[f] = size[l];
    if :: commit[f] < commit[l] -> commit[f] = commit[l] :: else fi
}

inline count(l)
{
    if
    :: entry(l, size[l]) == term[l] -> /* I3 */
        commit[l] = size[l];
        if :: committed < size[l] -> committed = size[l] :: else fi
    :: else
    fi
}

#define last_term(n) (size[n] == 0 -> 0 : entry(n, size[n]))
#define log_is_enough(c, v) (last_term(c) > last_term(v) || (last_term(c) == last_term(v) && size[c] >= size[v]))

#ifdef BUG_NOOP
#define settled(l) true
#else
#define settled(l) (commit[l] > 0 && entry(l, commit[l]) == term[l])
#endif
#ifdef BUG_STALE
#define in_time(l, f) true
#else
#define in_time(l, f) (term[f] <= term[l])
#endif
#ifdef BUG_QUORUM
#define proven(l, f) true
#else
#ifdef BUG_TOKEN
#define proven(l, f) (answers[(l) * NODES + f] & MASK(term[l]))
#else
#ifdef BUG_TERM
#define proven(l, f) (answers[(l) * NODES + f] & (BIT(1, token) | BIT(2, token) | BIT(3, token)))
#else
#define proven(l, f) (answers[(l) * NODES + f] & BIT(term[l], token))
#endif
#endif
#endif
#ifdef BUG_APPLIED
#define has_applied(n, index) true
#else
#define has_applied(n, index) (commit[n] >= (index))
#endif

active proctype cluster()
{
    byte i, a, b, t, k;
    d_step { /* whoever leads first is called 0, and the one that voted for it is called 1 */
        term[0] = 1; term[1] = 1; leads[0] = true; size[0] = 1; entry(0, 1) = 1
    }
    do
    :: atomic { select(a : 0 .. 2); select(b : 0 .. 2); a != b;
        if
        :: d_step { /* elected by itself and one more */
            term[a] < TERMS && term[b] < TERMS && log_is_enough(a, b) && size[a] < LEN ->
            t = (term[a] > term[b] -> term[a] : term[b]) + 1;
            heard(a, t); heard(b, t);
            leads[a] = true; size[a]++; entry(a, size[a]) = t; t = 0
           }
        :: d_step { /* replicated; the answer is lost */
            leads[a] && term[b] <= term[a] ->
            heard(b, term[a]); copy(a, b)
           }
        :: d_step { /* replicated and counted */
            leads[a] && term[b] <= term[a] ->
            heard(b, term[a]); copy(a, b); count(a)
           }
        :: d_step { /* a deposed leader hears of it */
            leads[a] && term[b] > term[a] -> heard(a, term[b])
           }
        :: d_step { /* a read is asked, of b or of the leader itself */
            leads[a] && asked == 0 && sequence[a] < TOKENS && settled(a) ->
            asked = a + 1; token = sequence[a]; sequence[a]++;
            noted = commit[a]; need = committed; reader = b; /* or the leader itself: it knows more */
           }
        :: leads[a]; /* a heartbeat of whatever age arrives at b */
            select(k : 0 .. TOKENS - 1); skip;
            d_step {
                k < sequence[a] && in_time(a, b) ->
                heard(b, term[a]);
                answers[a * NODES + b] = answers[a * NODES + b] | BIT(term[a], k);
                k = 0
            }
        :: d_step { /* the round is won: b's answer and the own word are a quorum; the reader answers */
            leads[a] && asked == a + 1 && proven(a, b) && has_applied(reader, noted) ->
            assert(commit[reader] >= need);
#ifdef REACH
            assert(!(term[a] == TERMS && need == LEN));
#endif
            forget()
           }
        :: d_step { /* the read is given up: the client has gone */
            asked == a + 1 -> forget()
           }
        :: d_step { leads[a] && size[a] < LEN -> size[a]++; entry(a, size[a]) = term[a] } /* a write */
        fi;
        a = 0; b = 0
       }
    od
}
