#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CMeshSystem.h"
#include "shim.h"

void listeners_close(void) {
    for (int i = 0; i < options.listener_count; i++) {
        struct listener *listener = &options.listeners[i];
        if (listener->descriptor < 0) continue;
        // Also ends copies that a process of the dying group still holds.
        shutdown(listener->descriptor, SHUT_RDWR);
        close(listener->descriptor);
        listener->descriptor = -1;
    }
}

int listeners_open(void) {
    for (int i = 0; i < options.listener_count; i++) {
        struct listener *listener = &options.listeners[i];
        if (listener->descriptor >= 0) continue;
        if (strncmp(listener->address, "unix:", 5) == 0) unlink(listener->address + 5);
        listener->descriptor = mesh_listen(listener->address, 1024);
        if (listener->descriptor < 0) return i;
    }
    return -1;
}

void listeners_take_from(int pidfd) {
    for (int i = 0; i < options.listener_count; i++) {
        struct listener *listener = &options.listeners[i];
        if (listener->descriptor >= 0) continue;
        int copy = mesh_pidfd_getfd(pidfd, 3 + i);
        char address[256];
        if (copy < 0) continue;
        if (mesh_listener_address(copy, address, sizeof address) == 0 && strcmp(address, listener->address) == 0) listener->descriptor = copy;
        else close(copy);
    }
}

void listeners_share(int client) {
    int descriptors[listener_limit], count = 0;
    char message[64];
    for (int i = 0; i < options.listener_count; i++)
        if (options.listeners[i].descriptor >= 0) descriptors[count++] = options.listeners[i].descriptor;
    int length = snprintf(message, sizeof message, "listeners count=%d", count);
    mesh_descriptors_send(client, message, (size_t)length, descriptors, (size_t)count);
}

void listeners_unlink(void) {
    for (int i = 0; i < options.listener_count; i++)
        if (strncmp(options.listeners[i].address, "unix:", 5) == 0) unlink(options.listeners[i].address + 5);
}

const char *listeners_state(void) {
    int open = 0;
    for (int i = 0; i < options.listener_count; i++) open += options.listeners[i].descriptor >= 0;
    return open == options.listener_count ? "open" : open ? "some" : "closed";
}
