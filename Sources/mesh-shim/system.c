// The shim's own copy of CMeshSystem: it is built without the sanitizers that the rest of the package may be built with.
#include "../CMeshSystem/process.c"
#include "../CMeshSystem/socket.c"
