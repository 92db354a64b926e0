// A service for the tests of supervision: answers HTTP on the socket that it inherits as descriptor 3.
//
// test-service serve [MS]     answers every request with 200 and its own process id, after MS milliseconds of not accepting
// test-service status CODE    answers every request with CODE
// test-service deaf           never accepts
// test-service hog MB         touches so much memory, says so, and waits
// test-service inspect        prints its descriptors, LISTEN_* and signal mask, and ends
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void inspect(void) {
    printf("descriptors");
    for (int i = 0; i < 64; i++)
        if (fcntl(i, F_GETFD) >= 0) printf(" %d", i);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    struct sigaction pipe_action;
    sigaction(SIGPIPE, NULL, &pipe_action);
    printf(
        "\npid_is_mine %d\nfds %s\nnames %s\nterm_blocked %d\npipe_ignored %d\ngroup_is_mine %d\n", atoi(getenv("LISTEN_PID")) == getpid(),
        getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"), sigismember(&mask, SIGTERM), pipe_action.sa_handler == SIG_IGN, getpgrp() == getpid());
}

static void serve(int status) {
    for (;;) {
        int connection = accept(3, NULL, NULL);
        if (connection < 0) {
            // The socket is handed down non-blocking.
            usleep(1000);
            continue;
        }
        char request[4096], body[32], answer[256];
        if (recv(connection, request, sizeof request, 0) > 0) {
            snprintf(body, sizeof body, "%d", (int)getpid());
            int length = snprintf(
                answer, sizeof answer, "HTTP/1.1 %d Status\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n%s", status, strlen(body), body);
            send(connection, answer, (size_t)length, MSG_NOSIGNAL);
        }
        close(connection);
    }
}

static void hog(size_t bytes) {
    char *memory = malloc(bytes);
    memset(memory, 1, bytes);
    printf("took %d\n", memory[bytes / 2]);
    fflush(stdout);
    pause();
}

int main(int count, char **arguments) {
    const char *mode = count > 1 ? arguments[1] : "serve";
    int number = count > 2 ? atoi(arguments[2]) : 0;
    if (strcmp(mode, "inspect") == 0) inspect();
    else if (strcmp(mode, "deaf") == 0) pause();
    else if (strcmp(mode, "hog") == 0) hog((size_t)number << 20);
    else if (strcmp(mode, "status") == 0) serve(number);
    else {
        usleep((useconds_t)number * 1000);
        serve(200);
    }
    return 0;
}
