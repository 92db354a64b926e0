// The control group (cgroup v2) of one incarnation. The daemon makes it and sets its limits; it is entered, read, emptied and
// removed here, since this process outlives the daemon. This process stays outside: what it takes is not the service's.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

static char folder[group_path_limit];

void group_choose(const char *path) { snprintf(folder, sizeof folder, "%s", path && strlen(path) < sizeof folder ? path : ""); }
bool group_is_there(void) { return folder[0] != 0; }

static int open_file(const char *name, int flags) {
    char path[group_path_limit + 32];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC);
}

static bool write_file(const char *name, const char *text) {
    int file = open_file(name, O_WRONLY);
    if (file < 0) return false;
    bool written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    int saved = errno;
    close(file);
    errno = saved;
    return written;
}

static bool read_file(const char *name, char *text, size_t capacity) {
    int file = group_is_there() ? open_file(name, O_RDONLY) : -1;
    if (file < 0) return false;
    ssize_t length = read(file, text, capacity - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    return length >= 0;
}

/// Of a file of lines `name number`.
static int64_t number(const char *text, const char *name) {
    size_t length = strlen(name);
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, length) == 0 && line[length] == ' ') return atoll(line + length + 1);
    return 0;
}

bool group_enter(pid_t process) {
    if (!group_is_there()) return false;
    char text[16];
    snprintf(text, sizeof text, "%d", (int)process);
    if (write_file("cgroup.procs", text)) return true;
    int saved = errno;
    group_remove();
    errno = saved;
    return false;
}

bool group_is_empty(void) {
    char text[512];
    return !read_file("cgroup.events", text, sizeof text) || number(text, "populated") == 0;
}

void group_kill(void) {
    if (group_is_there()) write_file("cgroup.kill", "1");
}

struct group_memory group_memory(void) {
    char text[512];
    struct group_memory memory = {0};
    if (read_file("memory.events", text, sizeof text)) {
        memory.kills = number(text, "oom_kill");
        memory.reached = number(text, "oom");
    }
    if (read_file("memory.peak", text, sizeof text)) memory.peak = atoll(text);
    return memory;
}

void group_remove(void) {
    // One that holds groups of its own is left to the daemon.
    if (group_is_there()) rmdir(folder);
    folder[0] = 0;
}
