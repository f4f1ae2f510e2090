/* changeagent-storage - the disk of a node; see storage/storage.h. With a verb, one of the offline
 * tools, which `changeagent` executes. */
#include "storage/force.h"
#include "storage/inspect.h"
#include "storage/restore.h"
#include "storage/salvage.h"
#include "storage/storage.h"
#include "storage/verify.h"

#include <string.h>

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "salvage") == 0)
        return salvage_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "verify") == 0)
        return verify_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "snapshot") == 0)
        return inspect_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "restore") == 0)
        return restore_main(argc, argv);
    if (argc > 1 && strcmp(argv[1], "force-new-cluster") == 0)
        return force_main(argc, argv);
    return service_main(&storage_service, argc, argv);
}
