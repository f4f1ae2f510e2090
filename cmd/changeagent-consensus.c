/* changeagent-consensus.c - the consensus process; the supervisor starts it. */
#include "consensus/consensus.h"

int main(int argc, char **argv)
{
    return service_main(&consensus_service, argc, argv);
}
