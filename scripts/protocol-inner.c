/* protocol-inner.c - prints docs/protocol-inner.md from the message table: `make docs`. */
#include "protocol/message.h"

#include <stdio.h>

static const char *const kinds[] = {
    [FIELD_U64] = "number", [FIELD_FLAG] = "flag",       [FIELD_TEXT] = "text",
    [FIELD_BIN] = "bytes",  [FIELD_RECORDS] = "records", [FIELD_TEXTS] = "list of texts",
    [FIELD_RAW] = "value",
};

static void print_message(unsigned type, const struct message_info *info)
{
    printf("### %u `%s`: %s to %s, %s\n\n%s\n\n", type, info->name,
           message_process_name(info->from), message_process_name(info->to),
           info->is_ask ? "ask" : "answer", info->sentence);
    if (info->fields[0].name == NULL)
        return;
    printf("| field | kind | at most | meaning |\n|---|---|---|---|\n");
    for (const struct message_field *field = info->fields; field->name != NULL; field++) {
        char max[32] = "";
        if (field->max > 0)
            snprintf(max, sizeof max, "%zu bytes", field->max);
        printf("| `%s` | %s | %s | %s |\n", field->name, kinds[field->kind], max, field->sentence);
    }
    printf("\n");
}

int main(void)
{
    printf("# The words between processes\n\n"
           "Derived from `protocol/messages.def` by `make docs`; do not edit. What clients say is "
           "explained\nfor people in [protocol.md](protocol.md).\n\n"
           "Between processes of a node a message is one frame, a msgpack array: the number of the "
           "message,\nthen its fields in the order of the table. Between servers the array starts "
           "with the peer head:\nprotocol version, cluster id (of every history but the first "
           "with its 8 bytes behind it), sender,\nits incarnation, receiver, "
           "its incarnation, term. Fields that\nan older side lacks are zero or empty, fields a "
           "newer side appended are skipped.\n\n");
    for (unsigned type = 1; type < MESSAGE_TYPE_MAX; type++)
        if (message_info(type)->name != NULL)
            print_message(type, message_info(type));
    return 0;
}
