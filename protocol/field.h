/* field.h - one field of a message, written and read by its kind. Used by message.c alone;
 * which fields a message has is not known here. */
#ifndef PROTOCOL_FIELD_H
#define PROTOCOL_FIELD_H

#include "protocol/message.h"

/* `at` is the field's place in a struct message. A span over its limit is our mistake. */
void field_encode(const struct message_field *field, const void *at, struct bytes *out);

/* A field that is as if absent: maps leave it out. */
bool field_is_empty(const struct message_field *field, const void *at);

/* Takes the next value off `*rest`. Nil stands for an absent field of every kind. False: the
 * bytes are broken, of another kind, or over the limit. */
bool field_decode(const struct message_field *field, struct span *rest, void *at);

/* Sets every field of a message to absent. */
void field_clear_all(const struct message_field *fields, struct message *out);

#endif
