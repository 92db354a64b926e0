// Limits of one incarnation that need no privilege and outlive the daemon: those that no control group keeps.
//
// Memory is what is resident: RLIMIT_AS and RLIMIT_DATA count what is reserved, which allocators and thread stacks do by the
// gigabyte without ever touching it. So this process looks, and kills.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shim.h"

/// So many of those that we may run on, not the same ones for every replica.
static bool choose_cores(int wanted, cpu_set_t *chosen) {
    cpu_set_t allowed;
    if (wanted <= 0 || sched_getaffinity(0, sizeof allowed, &allowed) < 0 || CPU_COUNT(&allowed) <= wanted) return false;
    unsigned start = 2166136261u;  // FNV-1a
    for (const char *at = options.replica; *at; at++) start = (start ^ (unsigned char)*at) * 16777619u;
    unsigned cores[CPU_SETSIZE], count = 0;
    for (unsigned core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &allowed)) cores[count++] = core;
    CPU_ZERO(chosen);
    for (unsigned i = 0; i < (unsigned)wanted; i++) CPU_SET(cores[(start % count + i) % count], chosen);
    return true;
}

static rlim_t files_to_have(int64_t wanted) {
    struct rlimit now;
    if (getrlimit(RLIMIT_NOFILE, &now) < 0) return (rlim_t)wanted;
    return geteuid() != 0 && (rlim_t)wanted > now.rlim_max ? now.rlim_max : (rlim_t)wanted;
}

void limits_apply(const struct limits *limits, bool in_group) {
    cpu_set_t cores;
    if (!(in_group && limits->group_cpu) && choose_cores(limits->cores, &cores)) sched_setaffinity(0, sizeof cores, &cores);
    if (limits->files > 0) {
        rlim_t files = files_to_have(limits->files);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){files, files});
    }
}

void limits_note(const struct limits *limits) {
    if (limits->files <= 0) return;
    rlim_t files = files_to_have(limits->files);
    if (files < (rlim_t)limits->files)
        output_note("limits.files is %lld, but it can have %lld here: raise ulimit -Hn where mesh up is run", (long long)limits->files, (long long)files);
}

static int64_t resident(pid_t process) {
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length <= 0) return 0;
    text[length] = 0;
    long long pages = 0;
    return sscanf(text, "%*s %lld", &pages) == 1 ? pages * sysconf(_SC_PAGESIZE) : 0;
}

// Any of a process's threads may have started others.
int64_t limits_memory_used(pid_t process) {
    int64_t used = resident(process);
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    if (!threads) return used;
    struct dirent *entry;
    while ((entry = readdir(threads))) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/children", (int)process, entry->d_name);
        FILE *children = fopen(path, "re");
        int child;
        while (children && fscanf(children, "%d", &child) == 1) used += limits_memory_used(child);
        if (children) fclose(children);
    }
    closedir(threads);
    return used;
}
