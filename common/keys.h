/* keys.h - the identity directory: node id and CURVE key pair.
 *
 * DIR/identity/node.id      the node id, printable (base 36)
 * DIR/identity/node.key     public certificate (ZPL, as CZMQ writes it)
 * DIR/identity/node.key_secret   the secret one, mode 0600; refused otherwise (X2) */
#ifndef COMMON_KEYS_H
#define COMMON_KEYS_H

#include "common/bytes.h"
#include "common/err.h"

enum { KEY_SIZE = 32, KEY_TEXT_SIZE = 41, NODE_ID_TEXT_SIZE = 14 };

struct keys {
    uint64_t node_id;
    uint8_t public_key[KEY_SIZE], secret_key[KEY_SIZE];
};

/* Makes identity and directory where missing, else reads them.
 * ERR_DENIED: the secret key may be read by others.  ERR_IO, ERR_CORRUPT. */
MUST_USE enum err keys_open(struct keys *keys, const char *data_dir);

/* Reads what keys_open of another process made. ERR_NOT_FOUND: nothing is there. */
MUST_USE enum err keys_read(struct keys *keys, const char *data_dir);
void keys_close(struct keys *keys); /* wipes */

/* Z85 text of a key, and back. ERR_BAD_REQUEST: not 40 characters of Z85. */
void keys_print(const uint8_t key[KEY_SIZE], char text[KEY_TEXT_SIZE]);
MUST_USE enum err keys_parse(struct span text, uint8_t key[KEY_SIZE]);

/* Node ids are printed in base 36. */
void node_id_print(uint64_t id, char text[NODE_ID_TEXT_SIZE]);
MUST_USE enum err node_id_parse(struct span text, uint64_t *id);

#endif
