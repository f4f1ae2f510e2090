/* changeagent-storage - the disk of a node; see storage/storage.h. */
#include "storage/storage.h"

int main(int argc, char **argv)
{
    return service_main(&storage_service, argc, argv);
}
