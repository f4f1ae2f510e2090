/* message.h - structs and codec of every message, read from messages.def.
 *
 * A decoded message lends: its spans point into the frame it was read from.
 * What a field means is not known here; only its kind and its limit are. */
#ifndef PROTOCOL_MESSAGE_H
#define PROTOCOL_MESSAGE_H

#include "common/bytes.h"
#include "common/err.h"

enum {
    TEXTS_MAX = 64,
    PROTOCOL_VERSION = 1,
    CLUSTER_ID_SIZE = 16,
    TXID_SIZE = 16,
    FRAME_BYTES_MAX = 10 << 20, /* of a message between processes or servers */
};

/* A bounded list of texts. */
struct texts {
    struct span at[TEXTS_MAX];
    uint32_t count;
};

enum message_type {
    MESSAGE_NONE,
#define ASK(NAME, name, number, from, to, sentence) MESSAGE_##NAME = number,
#include "protocol/messages.def"
    MESSAGE_TYPE_MAX = 256
};

/* What a field of each kind is in a struct. */
#define MESSAGE_FIELD_U64     uint64_t
#define MESSAGE_FIELD_FLAG    bool
#define MESSAGE_FIELD_TEXT    struct span
#define MESSAGE_FIELD_BIN     struct span
#define MESSAGE_FIELD_RECORDS struct span
#define MESSAGE_FIELD_TEXTS   struct texts
#define MESSAGE_FIELD_RAW     struct span

#define ASK(NAME, name, number, from, to, sentence) struct message_##name {
#define FIELD(kind, message, field, max, sentence)  MESSAGE_FIELD_##kind field;
#define END(name) \
    }             \
    ;
#include "protocol/messages.def"

/* Every peer message starts with this (Z9): checked before anything else. */
struct peer_head {
    uint8_t cluster[CLUSTER_ID_SIZE]; /* zeros: the sender belongs to no cluster yet */
    uint64_t history;                 /* of its log; 0: the first of that cluster, or none yet */
    uint64_t from, from_incarnation;  /* node id and incarnation of the sender */
    uint64_t to, to_incarnation;      /* of the receiver; 0 where not known yet (MEET, MET) */
    uint64_t term;                    /* current term of the sender */
};

struct message {
    enum message_type type;
    uint64_t request;      /* client messages: `req`, echoed in the answer */
    struct peer_head peer; /* peer messages */
    union {
#define ASK(NAME, name, number, from, to, sentence) struct message_##name name;
#include "protocol/messages.def"
    };
};

enum message_process {
    PROCESS_ANY,
    PROCESS_CLIENT,
    PROCESS_API,
    PROCESS_CONSENSUS,
    PROCESS_STORAGE,
    PROCESS_DISCOVERY,
    PROCESS_PEER,
    PROCESS_COUNT
};

enum field_kind {
    FIELD_U64,
    FIELD_FLAG,
    FIELD_TEXT,
    FIELD_BIN,
    FIELD_RECORDS,
    FIELD_TEXTS,
    FIELD_RAW
};

struct message_field {
    const char *name; /* NULL ends the list */
    size_t name_size;
    enum field_kind kind;
    size_t offset, max;
    const char *sentence;
};

struct message_info {
    const char *name; /* as in the table, lower case; NULL: no such type */
    size_t name_size;
    bool is_ask;
    enum message_process from, to;
    const struct message_field *fields;
    const char *sentence;
};

/* Lends the row of a type; never NULL, but its name is NULL for unknown types. */
const struct message_info *message_info(unsigned type);
const char *message_process_name(enum message_process process);

/* Inner and peer messages: a msgpack array. Appends to `out`. The type decides
 * whether the peer head is written. A span over its limit is our mistake. */
void message_encode(const struct message *message, struct bytes *out);

/* ERR_BAD_MESSAGE: not a message, a wrong kind of field, a limit passed.
 * ERR_VERSION: a peer of another protocol version.
 * ERR_UNKNOWN_VERB: a well-formed message of an unknown type. */
MUST_USE enum err message_decode(struct span frame, struct message *out);

/* Client messages: a msgpack map. Errors as above; on ERR_UNKNOWN_VERB and ERR_BAD_REQUEST
 * (a known verb with a wrong field) `out->request` is set where it could be read, and
 * `*field` (if not NULL) lends the name of the field to blame. Unknown keys are skipped. */
void message_encode_map(const struct message *message, struct bytes *out);
MUST_USE enum err message_decode_map(struct span frame, struct message *out, const char **field);

#endif
