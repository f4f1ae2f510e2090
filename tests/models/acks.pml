/* acks.pml - what STORED proves (I4, docs/decisions/0007): one follower's core and its storage, which
 * are two processes, while leaders of several terms replace one another's entries.
 *
 * The core keeps a mark (ticket, term, last index) for each STORE on its way. A truncation lowers the
 * marks; a lost storage voids them. Storage answers late, may die at any step, and comes back with a
 * new life and what it had written. The core may die too. Leaders of old terms go on sending.
 *
 * Promise: whatever the core takes for stored, or would answer to the leader of its term, is on the
 * disk, and is what that leader has.
 *
 * The rules, each of which can be broken:
 * run: Q=3 STORES=5
 *
 * BUG_MARKS     a truncation leaves the marks of what is on its way as they were
 * BUG_INDEX     an acknowledgement counts by its index, whatever was asked
 * BUG_LIFE      tickets begin anew with each life of storage, and the life is not looked at
 * BUG_VERIFIED  what a leader of an earlier term had verified still counts
 * BUG_EARLY     storage answers before it has written
 * REACH         (no bug) an entry that was replaced twice, first and last by the same term, is stored */

#define N 3 /* entries */
#define T 3 /* terms */
#ifndef Q
#define Q 2 /* STOREs on their way */
#endif
#ifndef LIVES
#define LIVES 2
#endif
#ifndef STORES
#define STORES 4
#endif

#define at(t, i) leader[(t) * (N + 1) + (i)]

byte leader[(T + 1) * (N + 1)]; /* the log of each term's leader: the term of each entry */
byte disk[N + 1], disk_last;

chan store = [Q] of {byte, byte, byte, byte, byte, byte, byte, byte}; /* life ticket term first last e1..e3 */
chan stored = [Q] of {byte, byte, byte, byte};                        /* life ticket term last */
byte storage_life = 1;

/* the core */
byte entry[N + 1], last, emitted, durable, term, verified, verified_term, life = 1, ticket;
byte mark_ticket[Q], mark_term[Q], mark_last[Q], marks;
bool gone, back; /* for REACH */

inline truncate(index)
{
    last = index;
    if :: emitted > index -> emitted = index :: else fi;
    if :: durable > index -> durable = index :: else fi;
#ifndef BUG_MARKS
    k = 0;
    do
    :: k < marks -> if :: mark_last[k] > index -> mark_last[k] = index :: else fi; k++
    :: else -> break
    od;
#endif
}

inline drop_mark()
{
    k = 1;
    do
    :: k < marks -> mark_ticket[k - 1] = mark_ticket[k]; mark_term[k - 1] = mark_term[k];
                    mark_last[k - 1] = mark_last[k]; k++
    :: else -> break
    od;
    marks--;
    mark_ticket[marks] = 0; mark_term[marks] = 0; mark_last[marks] = 0;
}

/* What the disk has is the truth: after a death of either side. */
inline load()
{
    k = 1;
    do
    :: k <= N -> entry[k] = (k <= disk_last -> disk[k] : 0); k++
    :: else -> break
    od;
    last = disk_last; emitted = disk_last; durable = disk_last;
    verified = 0; verified_term = 0;
    do :: marks > 0 -> drop_mark() :: else -> break od;
#ifdef BUG_LIFE
    ticket = 0;
#endif
}

/* Entries prev+1..upto of the leader of term t. */
inline append(t, prev, upto)
{
    if
    :: t > term -> term = t
    :: else
    fi;
#ifdef BUG_VERIFIED
    verified_term = term;
#else
    if :: verified_term != term -> verified = 0; verified_term = term :: else fi;
#endif
    if
    :: prev > last || (prev > 0 && entry[prev] != at(t, prev)) /* refused; the leader tries below */
    :: else ->
        i = prev + 1;
        do
        :: i <= upto ->
            if
            :: i <= last && entry[i] == at(t, i)
            :: else ->
                if
                :: i <= last -> gone = gone || (i == 2 && entry[2] == 1); truncate(i - 1)
                :: else
                fi;
                back = back || (gone && i == 2 && at(t, i) == 1);
                entry[i] = at(t, i); last = i
            fi;
            i++
        :: else -> break
        od;
        if :: verified < upto -> verified = upto :: else fi
    fi;
    i = 0
}

inline count()
{
#ifdef BUG_INDEX
    if :: m_last <= last && m_last > durable -> durable = m_last :: else fi;
    do :: marks > 0 && mark_ticket[0] <= m_ticket -> drop_mark() :: else -> break od
#else
    do
    :: marks > 0 && mark_ticket[0] <= m_ticket && (mark_ticket[0] != m_ticket || mark_term[0] == m_term) ->
        if :: mark_last[0] > durable -> durable = mark_last[0] :: else fi;
        drop_mark()
    :: else -> break
    od
#endif
}

inline write()
{
    k = m_first;
    do
    :: k <= m_last -> disk[k] = (k == 1 -> e1 : (k == 2 -> e2 : e3)); k++
    :: else -> break
    od;
    disk_last = m_last;
    do :: k <= N -> disk[k] = 0; k++ :: else -> break od
}

inline forget() { m_life = 0; m_ticket = 0; m_term = 0; m_first = 0; m_last = 0; e1 = 0; e2 = 0; e3 = 0; i = 0; k = 0 }

inline check()
{
    i = 1;
    do
    :: i <= durable -> assert(i <= disk_last && disk[i] == entry[i]); i++
    :: else -> break
    od;
    i = 1;
    do
    :: verified_term == term && i <= verified && i <= durable ->
        assert(disk[i] == at(term, i)); i++
    :: else -> break
    od;
#ifdef REACH
    assert(!(back && durable >= 2 && entry[2] == 1 && term == T));
#endif
    i = 0; k = 0
}

inline log_of(t, a, b, c) { at(t, 1) = a; at(t, 2) = b; at(t, 3) = c }

active proctype node()
{
    byte i, k, t, p, u;
    byte m_life, m_ticket, m_term, m_first, m_last, e1, e2, e3;

    d_step { log_of(1, 1, 1, 1); log_of(2, 1, 2, 2); log_of(3, 1, 1, 3) }
    if /* who leads term 3 may know of the leader of term 2, or of that of term 1 only */
    :: true
    :: d_step { log_of(3, 1, 2, 3) }
    :: d_step { log_of(2, 2, 2, 2) }
    fi;
    term = 1;

    do
    :: atomic { /* an append of a leader that the core follows, or will follow from now on */
        select(t : 1 .. T); t >= term;
        select(p : 0 .. N - 1); select(u : 1 .. N); u > p;
        d_step { append(t, p, u); t = 0; p = 0; u = 0; check() }
       }
    :: d_step { /* FLUSH: all that the disk was not asked for yet */
        last > emitted && nfull(store) && marks < Q && ticket < STORES ->
        ticket++;
        mark_ticket[marks] = ticket; mark_term[marks] = term; mark_last[marks] = last; marks++;
        store!life, ticket, term, emitted + 1, last, entry[1], entry[2], entry[3];
        emitted = last; check()
       }
    :: d_step { /* storage takes one STORE; one that was meant for an earlier life is refused */
        nempty(store) && nfull(stored) ->
        store?m_life, m_ticket, m_term, m_first, m_last, e1, e2, e3;
        if
        :: m_life == storage_life -> write(); stored!m_life, m_ticket, m_term, m_last
        :: else
        fi;
        forget(); check()
       }
#ifdef BUG_EARLY
    :: d_step { /* it answers, and dies before it wrote */
        nempty(store) && nfull(stored) && storage_life < LIVES ->
        store?m_life, m_ticket, m_term, m_first, m_last, e1, e2, e3;
        if :: m_life == storage_life -> stored!m_life, m_ticket, m_term, m_last; storage_life++ :: else fi;
        forget(); check()
       }
#endif
    :: d_step { /* STORED arrives */
        nempty(stored) ->
        stored?m_life, m_ticket, m_term, m_last;
        if
#ifdef BUG_LIFE
        :: true -> count()
#else
        :: m_life == life -> count()
        :: else
#endif
        fi;
        forget(); check()
       }
    :: d_step { storage_life < LIVES -> storage_life++; check() } /* storage dies and is started again */
    :: d_step { life != storage_life -> life = storage_life; load(); check() } /* the core hears of it */
    :: d_step { /* the core dies: its conversation with storage ends, what is under way goes nowhere */
        marks > 0 && life == storage_life ->
        do :: nempty(store) -> store?m_life, m_ticket, m_term, m_first, m_last, e1, e2, e3 :: else -> break od;
        do :: nempty(stored) -> stored?m_life, m_ticket, m_term, m_last :: else -> break od;
        forget(); load(); check()
       }
    od
}
