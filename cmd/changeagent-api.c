/* changeagent-api.c - the api process; the supervisor starts it. */
#include "api/api.h"

int main(int argc, char **argv)
{
    return service_main(&api_service, argc, argv);
}
