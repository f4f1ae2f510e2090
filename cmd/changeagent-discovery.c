/* changeagent-discovery - the process that looks for other servers. */
#include "discovery/discovery.h"

int main(int argc, char **argv)
{
    return service_main(&discovery_service, argc, argv);
}
