/* err.h - every way to fail, in one table.
 *
 * A call that can fail returns `enum err` and is MUST_USE. On the wire an
 * error travels by its name, never by its number. */
#ifndef COMMON_ERR_H
#define COMMON_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_USE __attribute__((warn_unused_result))

/* Columns: C name, name on the wire, retryable, outcome of a write that got it,
 * sentence with advice.
 * Outcome: NONE nothing was written by this attempt, OPEN it may yet appear,
 * FINAL refused for ever. */
#define ERR_TABLE(X)                                                                               \
    X(ERR_BAD_MESSAGE, "E_BAD_MESSAGE", false, NONE,                                               \
      "the bytes are not a message of this protocol; see docs/protocol.md")                        \
    X(ERR_BAD_REQUEST, "E_BAD_REQUEST", false, NONE,                                               \
      "a field is missing or has a wrong value; the detail names it")                              \
    X(ERR_UNKNOWN_VERB, "E_UNKNOWN_VERB", false, NONE,                                             \
      "this server does not know the verb; hello lists those it knows")                            \
    X(ERR_LIMIT, "E_LIMIT", false, NONE, "over a limit; the detail gives the limit and the size")  \
    X(ERR_RESERVED_TYPE, "E_RESERVED_TYPE", false, NONE,                                           \
      "types below zero belong to the system; use zero or more")                                   \
    X(ERR_NOT_FOUND, "E_NOT_FOUND", false, NONE, "there is no such change")                        \
    X(ERR_BUSY, "E_BUSY", true, NONE, "a queue is full; send again after retry_after_ms")          \
    X(ERR_QUOTA, "E_QUOTA", true, NONE,                                                            \
      "over what the rule of a tag lets in; send again after retry_after_ms")                      \
    X(ERR_NO_LEADER, "E_NO_LEADER", true, NONE, "no leader is known; send again")                  \
    X(ERR_NOT_LEADER, "E_NOT_LEADER", true, NONE, "this node does not lead; ask that one")         \
    X(ERR_NOT_READY, "E_NOT_READY", true, NONE, "the node is starting; send again or ask another") \
    X(ERR_NO_QUORUM, "E_NO_QUORUM", true, NONE,                                                    \
      "no majority confirmed in time what the newest state is; send again or ask another")         \
    X(ERR_BEHIND, "E_BEHIND", true, NONE, "this node lags behind; send again or ask another")      \
    X(ERR_DRAINED, "E_DRAINED", false, NONE,                                                       \
      "the node is drained; undrain it first, or name another")                                    \
    X(ERR_TIMEOUT, "E_TIMEOUT", true, NONE, "no answer in time; send again")                       \
    X(ERR_OPEN, "E_OPEN", true, OPEN,                                                              \
      "the outcome is not known yet; retry with the same txid and born")                           \
    X(ERR_TXID_REUSED, "E_TXID_REUSED", false, FINAL,                                              \
      "this txid was used with another body; draw a new txid for a new write")                     \
    X(ERR_OUTCOME_EXPIRED, "E_OUTCOME_EXPIRED", false, OPEN,                                       \
      "the outcome of so old a txid is no longer kept; look for the change itself")                \
    X(ERR_UNSUPPORTED, "E_UNSUPPORTED", false, FINAL, "this version does not support it")          \
    X(ERR_IMPORT, "E_IMPORT", false, FINAL,                                                        \
      "the changes do not follow the head by id, time and hash; load into an empty cluster")       \
    X(ERR_AHEAD, "E_AHEAD", false, NONE, "the position is above the head of this log")             \
    X(ERR_HISTORY, "E_HISTORY", false, NONE, "it belongs to another history of the log")           \
    X(ERR_TRUNCATED, "E_TRUNCATED", false, NONE,                                                   \
      "changes before first_id are gone; take them from a dump, or start at first_id")             \
    X(ERR_NOSPACE, "E_NOSPACE", true, NONE, "the disk is nearly full; free space on the node")     \
    X(ERR_IO, "E_IO", false, OPEN, "the disk refused; the log of the node says what")              \
    X(ERR_CORRUPT, "E_CORRUPT", false, NONE, "stored bytes are damaged; the node must be healed")  \
    X(ERR_GAP, "E_GAP", false, NONE, "the entries do not follow the last one")                     \
    X(ERR_LOCKED, "E_LOCKED", false, NONE, "another process holds it")                             \
    X(ERR_VERSION, "E_VERSION", false, NONE, "written by a newer version; upgrade this one")       \
    X(ERR_CLUSTER, "E_CLUSTER", false, NONE, "the other side belongs to another cluster")          \
    X(ERR_DENIED, "E_DENIED", false, NONE, "the key is not allowed here")                          \
    X(ERR_CONFIG, "E_CONFIG", false, NONE,                                                         \
      "the configuration is wrong; the line above says where")                                     \
    X(ERR_SYSTEM, "E_SYSTEM", true, NONE, "the operating system refused; the log says what")       \
    X(ERR_CLOSED, "E_CLOSED", true, NONE, "the other side is gone")                                \
    X(ERR_NOMEM, "E_NOMEM", true, NONE, "out of memory")                                           \
    X(ERR_CLONE, "E_CLONE", false, NONE,                                                           \
      "another server has this node id or key; give each its own identity directory")              \
    X(ERR_ABORTED, "E_ABORTED", false, NONE, "it was cancelled, or another change replaced it")    \
    X(ERR_UNREACHABLE, "E_UNREACHABLE", true, NONE,                                                \
      "the server does not answer when it is called back; check its address and key")

enum err {
    ERR_NONE = 0,
#define ERR_ENUM(name, wire, retryable, outcome, sentence) name,
    ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
        ERR_COUNT
};

enum err_outcome { ERR_OUTCOME_NONE, ERR_OUTCOME_OPEN, ERR_OUTCOME_FINAL };

/* Returns the caller with the error of the call; the only macro that returns. */
#define TRY(call)                   \
    do {                            \
        enum err try_err_ = (call); \
        if (try_err_ != ERR_NONE)   \
            return try_err_;        \
    } while (0)

/* Runs x_close(&variable) at the end of the block: SCOPED(store) store = {0}; */
#define SCOPED(type) __attribute__((cleanup(type##_close))) struct type

/* Lend constant text. err_name(ERR_NONE) is "OK". */
const char *err_name(enum err err);
const char *err_sentence(enum err err);
bool err_retryable(enum err err);
enum err_outcome err_outcome(enum err err);

/* "none", "open" or "final". */
const char *err_outcome_name(enum err err);

/* The error with this wire name; ERR_BAD_MESSAGE if there is none ("OK" gives ERR_NONE). */
enum err err_by_name(const char *name, size_t size);

#endif
