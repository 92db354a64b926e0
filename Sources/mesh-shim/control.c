// One message per packet: a verb and fields `name=value`, separated by spaces; the last field may be free text.
// A client that connects is told the state; then come events. A client that doesn't read is dropped: it may connect again.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CMeshSystem.h"
#include "shim.h"

static int clients[client_limit] = {-1, -1, -1, -1};

int control_client(int index) { return clients[index]; }

static void drop(int index) {
    close(clients[index]);
    clients[index] = -1;
}

static void send_to(int index, const char *text) {
    if (send(clients[index], text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) drop(index);
}

void control_add(int descriptor) {
    int index = 0;
    while (index < client_limit - 1 && clients[index] >= 0) index++;
    if (clients[index] >= 0) drop(index);
    clients[index] = descriptor;
}

void control_accept(int listener) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    pid_t process;
    uid_t user;
    if (mesh_peer(client, &process, &user) < 0 || (user != getuid() && user != 0)) {
        close(client);
        return;
    }
    control_add(client);
    char state[message_limit];
    child_describe(state, sizeof state);
    send(client, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void control_send(const char *format, ...) {
    char text[message_limit];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (int i = 0; i < client_limit; i++)
        if (clients[i] >= 0) send_to(i, text);
}

static long long number(const char *message, const char *field, long long otherwise) {
    const char *at = strstr(message, field);
    return at ? atoll(at + strlen(field)) : otherwise;
}

static int obey(const char *message, int attached) {
    char spec[64];
    if (sscanf(message, "start spec=%63[a-zA-Z0-9._-]", spec) == 1) {
        child_start(spec, attached);
        return 0;
    }
    if (strncmp(message, "signal", 6) == 0) return child_signal((int)number(message, " n=", 0));
    if (strncmp(message, "stop", 4) == 0) return child_stop(number(message, " grace_ms=", options.stop_grace_ms));
    if (strcmp(message, "listeners close") == 0) {
        listeners_close();
        return 0;
    }
    if (strcmp(message, "listeners open") == 0) return listeners_open() < 0 ? 0 : -1;
    if (strcmp(message, "exit") == 0) {
        errno = EBUSY;
        if (!child_is_gone()) return -1;
        quit_when_gone();
        return 0;
    }
    if (strcmp(message, "state") == 0) {
        char state[message_limit];
        child_describe(state, sizeof state);
        control_send("%s", state);
        return 0;
    }
    errno = ENOSYS;
    return -1;
}

void control_read(int index) {
    char message[message_limit];
    while (clients[index] >= 0) {
        int descriptors[8];
        size_t attached = 0;
        ssize_t length = mesh_descriptors_receive(clients[index], message, sizeof message - 1, descriptors, &attached);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (length <= 0) {
            drop(index);
            return;
        }
        message[length] = 0;
        if (strcmp(message, "listeners share") == 0) {
            listeners_share(clients[index]);
            continue;
        }
        if (obey(message, attached > 0 ? descriptors[0] : -1) < 0) {
            char answer[256];
            snprintf(answer, sizeof answer, "refused errno=%d command=%.100s", errno, message);
            if (clients[index] >= 0) send_to(index, answer);
        }
        while (attached > 0) close(descriptors[--attached]);
    }
}
