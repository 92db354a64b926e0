#define _GNU_SOURCE
#include "CMeshSystem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
};

static int read_path(const char *path, union address *address, socklen_t *length) {
    size_t count = strlen(path);
    if (count == 0 || count >= sizeof address->local.sun_path) {
        errno = count ? ENAMETOOLONG : EINVAL;
        return -1;
    }
    address->local.sun_family = AF_UNIX;
    memcpy(address->local.sun_path, path, count + 1);
    *length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + count + 1);
    return 0;
}

static int read_address(const char *text, union address *address, socklen_t *length) {
    memset(address, 0, sizeof *address);
    if (strncmp(text, "unix:", 5) == 0) return read_path(text + 5, address, length);
    char host[64];
    const char *colon = strrchr(text, ':');
    errno = EINVAL;
    if (strncmp(text, "tcp:", 4) != 0 || !colon || colon < text + 5) return -1;
    const char *from = text + 4, *to = colon;
    bool bracketed = *from == '[' && to[-1] == ']';
    if (bracketed) from++, to--;
    if ((size_t)(to - from) >= sizeof host) return -1;
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = 0;
    char *end;
    long port = strtol(colon + 1, &end, 10);
    if (*end || end == colon + 1 || port < 0 || port > 65535) return -1;
    if (bracketed) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons((uint16_t)port);
        *length = sizeof address->v6;
        return inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1 ? 0 : -1;
    }
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons((uint16_t)port);
    *length = sizeof address->v4;
    return inet_pton(AF_INET, host, &address->v4.sin_addr) == 1 ? 0 : -1;
}

static int close_failed(int descriptor) {
    int saved = errno;
    close(descriptor);
    errno = saved;
    return -1;
}

static int listen_on(const union address *address, socklen_t length, int type, int backlog) {
    int listener = socket(address->any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) return -1;
    int on = 1;
    if (address->any.sa_family != AF_UNIX) setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->any.sa_family == AF_INET6) setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(listener, &address->any, length) < 0 || listen(listener, backlog) < 0) return close_failed(listener);
    return listener;
}

int mesh_listen(const char *text, int backlog) {
    union address address;
    socklen_t length;
    if (read_address(text, &address, &length) < 0) return -1;
    return listen_on(&address, length, SOCK_STREAM, backlog);
}

int mesh_listener_address(int descriptor, char *text, size_t capacity) {
    union address address = {0};
    socklen_t length = sizeof address, size = sizeof(int);
    int listening = 0;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0) return -1;
    errno = EINVAL;
    if (!listening || getsockname(descriptor, &address.any, &length) < 0) return -1;
    char host[64];
    int written = -1;
    if (address.any.sa_family == AF_UNIX)
        written = snprintf(text, capacity, "unix:%.*s", (int)sizeof address.local.sun_path, address.local.sun_path);
    else if (address.any.sa_family == AF_INET && inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host))
        written = snprintf(text, capacity, "tcp:%s:%d", host, ntohs(address.v4.sin_port));
    else if (address.any.sa_family == AF_INET6 && inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host))
        written = snprintf(text, capacity, "tcp:[%s]:%d", host, ntohs(address.v6.sin6_port));
    if (written < 0 || (size_t)written >= capacity) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}

int mesh_connect(const char *text) {
    union address address;
    socklen_t length;
    if (read_address(text, &address, &length) < 0) return -1;
    int connection = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection < 0) return -1;
    if (connect(connection, &address.any, length) < 0 && errno != EINPROGRESS) return close_failed(connection);
    return connection;
}

int mesh_socket_error(int descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

int mesh_stream_accept(int listener, void *name, size_t capacity) {
    socklen_t length = (socklen_t)capacity;
    return accept4(listener, name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

bool mesh_host_text(const void *name, char text[46]) {
    const union address *address = name;
    if (address->any.sa_family == AF_INET) return inet_ntop(AF_INET, &address->v4.sin_addr, text, 46) != NULL;
    if (address->any.sa_family == AF_INET6) return inet_ntop(AF_INET6, &address->v6.sin6_addr, text, 46) != NULL;
    return false;
}

int mesh_packet_listen(const char *path, int backlog) {
    union address address = {0};
    socklen_t length;
    if (read_path(path, &address, &length) < 0) return -1;
    return listen_on(&address, length, SOCK_SEQPACKET, backlog);
}

int mesh_packet_connect(const char *path) {
    union address address = {0};
    socklen_t length;
    if (read_path(path, &address, &length) < 0) return -1;
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection < 0) return -1;
    if (connect(connection, &address.any, length) < 0) return close_failed(connection);
    return connection;
}

int mesh_packet_accept(int listener) {
    int connection;
    do {
        connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (connection < 0 && errno == EINTR);
    return connection;
}

int mesh_packet_pair(int pair[2]) { return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair); }

enum { descriptor_limit = 8 };

union descriptor_space {
    struct cmsghdr alignment;
    char bytes[CMSG_SPACE(descriptor_limit * sizeof(int))];
};

int mesh_descriptors_send(int connection, const void *message, size_t length, const int *descriptors, size_t count) {
    if (count > descriptor_limit) {
        errno = EINVAL;
        return -1;
    }
    struct iovec text = {(void *)message, length};
    union descriptor_space space = {0};
    struct msghdr header = {.msg_iov = &text, .msg_iovlen = 1};
    if (count > 0) {
        header.msg_control = space.bytes;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), descriptors, count * sizeof(int));
    }
    return sendmsg(connection, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

ssize_t mesh_descriptors_receive(int connection, void *message, size_t capacity, int descriptors[8], size_t *count) {
    struct iovec text = {message, capacity};
    union descriptor_space space;
    struct msghdr header = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = space.bytes, .msg_controllen = sizeof space.bytes};
    *count = 0;
    ssize_t length = recvmsg(connection, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) return -1;
    for (struct cmsghdr *rights = CMSG_FIRSTHDR(&header); rights; rights = CMSG_NXTHDR(&header, rights)) {
        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) continue;
        size_t received = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(descriptors, CMSG_DATA(rights), received * sizeof(int));
        *count = received;
    }
    return length;
}

int mesh_peer(int descriptor, pid_t *process, uid_t *user) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return -1;
    *process = peer.pid;
    *user = peer.uid;
    return 0;
}

int mesh_lock(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return -1;
    if (flock(file, LOCK_EX | LOCK_NB) < 0) return close_failed(file);
    return file;
}
