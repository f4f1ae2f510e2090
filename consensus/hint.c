#include "consensus/hint.h"

#include "common/keys.h"

enum err hint_parse(struct span text, struct raft_voter *voter, char endpoint[RAFT_ENDPOINT_MAX])
{
    const uint8_t *space = memchr(text.data, ' ', text.size);
    if (space == NULL || (size_t)(space - text.data) >= RAFT_ENDPOINT_MAX)
        return ERR_BAD_REQUEST;
    size_t size = (size_t)(space - text.data);
    memcpy(endpoint, text.data, size);
    endpoint[size] = '\0';
    voter->endpoint = endpoint;
    return keys_parse(SPAN(space + 1, text.size - size - 1), voter->key);
}
