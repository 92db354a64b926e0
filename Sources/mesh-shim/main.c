// mesh-shim: parent, subreaper, owner of the listening sockets and of stdout and stderr, and recorder of exits for one replica.
//
// It outlives the daemon. At most one incarnation of the service lives at a time; the lock on `shim.lock` in the instance
// folder keeps a second shim out, and `record` tells a successor which incarnation to take over.
// Everything that it keeps lies in the instance folder, which is its working folder; only the control socket lies elsewhere,
// because a socket's path has 107 bytes at most.
//
// mesh-shim --folder F --socket S --replica R --grace MS --inherited N [--log-limit BYTES] [--log-kept N] [--control FD]
//           [--listen NAME ADDRESS]...
// The first N listeners come as descriptors 3, 4, …; FD is a connected SOCK_SEQPACKET socket, the first client.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "CMeshSystem.h"
#include "shim.h"

struct options options = {.stop_grace_ms = 10000, .log_limit = 16 << 20, .log_kept = 3};

static int control_listener = -1;
static bool beginning = true, quitting = false;

int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t unix_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void quit_when_gone(void) { quitting = true; }
bool is_quitting(void) { return quitting; }
bool is_beginning(void) { return beginning; }

static _Noreturn void fail(const char *stage) {
    control_send("failed stage=%s errno=%d", stage, errno);
    exit(1);
}

static void read_options(int count, char **arguments) {
    const char *folder = NULL;
    int inherited = 0, control = -1;
    for (int i = 1; i + 1 < count; i += 2) {
        const char *name = arguments[i], *value = arguments[i + 1];
        if (strcmp(name, "--folder") == 0) folder = value;
        else if (strcmp(name, "--socket") == 0) options.socket = value;
        else if (strcmp(name, "--replica") == 0) options.replica = value;
        else if (strcmp(name, "--grace") == 0) options.stop_grace_ms = atoll(value);
        else if (strcmp(name, "--log-limit") == 0) options.log_limit = atoll(value);
        else if (strcmp(name, "--log-kept") == 0) options.log_kept = atoi(value);
        else if (strcmp(name, "--inherited") == 0) inherited = atoi(value);
        else if (strcmp(name, "--control") == 0) control = atoi(value);
        else if (strcmp(name, "--listen") == 0 && i + 2 < count && options.listener_count < listener_limit) {
            options.listeners[options.listener_count++] = (struct listener){value, arguments[i + 2], -1};
            i++;
        } else exit(2);
    }
    if (control >= 0) {
        fcntl(control, F_SETFD, FD_CLOEXEC);
        control_add(control);
    }
    errno = EINVAL;
    if (!folder || !options.socket || !options.replica || inherited > options.listener_count) fail("arguments");
    for (int i = 0; i < inherited; i++) {
        // Out of the way of the numbers that a child gets.
        options.listeners[i].descriptor = fcntl(3 + i, F_DUPFD_CLOEXEC, 64);
        if (options.listeners[i].descriptor < 0) fail("descriptors");
        close(3 + i);
    }
    if (chdir(folder) < 0) fail("folder");
}

static int watch_signals(void) {
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void terminate(void) {
    bool again = quitting;
    quitting = true;
    if (again) child_signal(SIGKILL);
    else child_stop(options.stop_grace_ms);
}

static void read_signals(int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD) child_reap();
        else terminate();
    }
}

static void open_control(void) {
    if (control_listener >= 0) close(control_listener);
    unlink(options.socket);
    control_listener = mesh_packet_listen(options.socket, 8);
}

// A shim whose folder is gone has nobody who could find it; one whose socket was swept away makes it anew.
static void keep_house(void) {
    struct stat status;
    if (fstatat(AT_FDCWD, "shim.lock", &status, 0) < 0 && errno == ENOENT && child_is_gone()) quitting = true;
    if (!quitting && stat(options.socket, &status) < 0 && errno == ENOENT) open_control();
}

static void leave(void) {
    unlink(options.socket);
    listeners_unlink();
    unlink("stdout");
    unlink("stderr");
}

int main(int count, char **arguments) {
    options.umask = umask(077);
    read_options(count, arguments);
    if (mesh_lock("shim.lock") < 0) fail("lock");
    int signals = watch_signals();
    if (signals < 0) fail("signals");
    if (mesh_become_subreaper() < 0) fail("subreaper");
    if (output_prepare() < 0) fail("output");
    record_prepare();
    child_adopt_from_record();
    open_control();
    if (control_listener < 0) fail("socket");

    char state[message_limit];
    child_describe(state, sizeof state);
    control_send("%s", state);
    beginning = false;

    const int64_t house_every_ms = 10000;
    int64_t next_house = now_ms() + house_every_ms;
    bool more_output = false;
    while (!(quitting && child_is_gone())) {
        int64_t now = now_ms(), wake = next_house, tick = child_next_tick();
        if (tick >= 0 && tick < wake) wake = tick;
        struct pollfd watched[5 + client_limit] = {
            {signals, POLLIN, 0},
            {control_listener, POLLIN, 0},
            {output_descriptor(0), POLLIN, 0},
            {output_descriptor(1), POLLIN, 0},
            {child_pidfd(), POLLIN, 0},
        };
        for (int i = 0; i < client_limit; i++) watched[5 + i] = (struct pollfd){control_client(i), POLLIN, 0};
        int timeout = more_output || wake <= now ? 0 : (int)(wake - now);
        if (poll(watched, 5 + client_limit, timeout) < 0 && errno != EINTR) fail("poll");

        if (watched[2].revents || watched[3].revents || more_output) more_output = output_drain(256 << 10);
        if (watched[0].revents) read_signals(signals);
        if (watched[4].revents) child_adopted_ended();
        for (int i = 0; i < client_limit; i++)
            if (watched[5 + i].revents) control_read(i);
        if (watched[1].revents) control_accept(control_listener);
        now = now_ms();
        child_tick(now);
        if (now >= next_house) {
            next_house = now + house_every_ms;
            keep_house();
        }
    }
    output_drain(SIZE_MAX);
    output_end_lines();
    leave();
    control_send("bye");
    return 0;
}
