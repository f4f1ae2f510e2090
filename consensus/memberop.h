/* memberop.h - PURE: one wish for the membership, as a text.
 *
 *   add peer=tcp://host:port key=Z85 [node=ID] [api=tcp://…] [name=…] [role=voter|replica]
 *   remove node=ID | key=Z85
 *   set node=ID | key=Z85 [peer=…] [api=…] [name=…] [role=voter|replica]
 *   promote node=ID | key=Z85           the same as set … role=voter
 *   cancel                              what is pending shall not happen
 *
 * Whether a wish can be fulfilled is not known here: see plan.h. */
#ifndef CONSENSUS_MEMBEROP_H
#define CONSENSUS_MEMBEROP_H

#include "protocol/members.h"

enum memberop_kind { MEMBEROP_ADD, MEMBEROP_REMOVE, MEMBEROP_SET, MEMBEROP_CANCEL };

enum { MEMBEROP_MAX = 16, MEMBEROP_WHY_MAX = 256 };

struct memberop {
    enum memberop_kind kind;
    bool has_key, has_role;
    uint8_t key[MEMBERS_KEY_SIZE];
    uint64_t node;         /* 0: not told */
    uint64_t incarnation;  /* of an add: what the server itself said; 0: not yet */
    enum member_role role; /* VOTER or REPLICA */
    char endpoint[MEMBERS_ENDPOINT_MAX], api[MEMBERS_ENDPOINT_MAX], name[MEMBERS_NAME_MAX];
};

/* ERR_BAD_REQUEST: not such a text; `why` says what is wrong with it. */
MUST_USE enum err memberop_parse(struct span text, struct memberop *op, char why[MEMBEROP_WHY_MAX]);

#endif
