/* api.h - the process that clients meet: it asks consensus and storage, decides
 * nothing about order, and never writes to a database. */
#ifndef API_API_H
#define API_API_H

#include "common/service.h"

extern const struct service api_service;

#endif
