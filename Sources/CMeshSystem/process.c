#define _GNU_SOURCE
#include "CMeshSystem.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int mesh_pidfd_open(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int mesh_pidfd_send_signal(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0); }

int mesh_pidfd_signal_group(int pidfd, pid_t leader, int signal) {
    const unsigned process_group = 1u << 2;  // PIDFD_SIGNAL_PROCESS_GROUP, since Linux 6.9
    if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, process_group) == 0) return 0;
    if (errno != EINVAL) return -1;
    // The number of a process that still exists can't be another's.
    if (mesh_pidfd_send_signal(pidfd, 0) < 0) return -1;
    return kill(-leader, signal);
}

int mesh_pidfd_getfd(int pidfd, int descriptor) { return (int)syscall(SYS_pidfd_getfd, pidfd, descriptor, 0); }

int mesh_reap(int pidfd, int *status) {
    siginfo_t info = {0};
    const int by_pidfd = 3;  // P_PIDFD; not in every glibc's idtype_t
    if (waitid((idtype_t)by_pidfd, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0) return -1;
    if (info.si_pid == 0) return 0;
    *status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : (info.si_status & 0x7f);
    return 1;
}

static ssize_t read_file(const char *path, char *buffer, size_t capacity) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t length = read(file, buffer, capacity - 1);
    int saved = errno;
    close(file);
    errno = saved;
    if (length < 0) return -1;
    buffer[length] = 0;
    return length;
}

// Fields of /proc/PID/stat from the third on; the second (the name) may hold spaces and parentheses.
static char *stat_fields(pid_t process, char *buffer, size_t capacity) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    if (read_file(path, buffer, capacity) < 0) {
        errno = ESRCH;
        return NULL;
    }
    char *end = strrchr(buffer, ')');
    if (!end || end[1] != ' ') {
        errno = ESRCH;
        return NULL;
    }
    return end + 2;
}

// Field numbers as in proc(5); the third is the first here.
static long long stat_number(const char *fields, int number) {
    for (int at = 3; at < number; at++) {
        fields = strchr(fields, ' ');
        if (!fields) return -1;
        fields++;
    }
    return strtoll(fields, NULL, 10);
}

int64_t mesh_process_start_time(pid_t process) {
    char buffer[1024];
    char *fields = stat_fields(process, buffer, sizeof buffer);
    if (!fields) return -1;
    if (fields[0] == 'Z' || fields[0] == 'X') {
        errno = ESRCH;
        return -1;
    }
    return stat_number(fields, 22);
}

pid_t mesh_process_session(pid_t process) {
    char buffer[1024];
    char *fields = stat_fields(process, buffer, sizeof buffer);
    return fields ? (pid_t)stat_number(fields, 6) : -1;
}

int mesh_pidfd_open_checked(pid_t process, int64_t start_time) {
    if (process <= 0) {
        errno = ESRCH;
        return -1;
    }
    int pidfd = mesh_pidfd_open(process);
    if (pidfd < 0) return -1;
    if (mesh_process_start_time(process) == start_time) return pidfd;
    close(pidfd);
    errno = ESRCH;
    return -1;
}

int mesh_boot_id(char text[37]) {
    char buffer[64];
    if (read_file("/proc/sys/kernel/random/boot_id", buffer, sizeof buffer) < 36) return -1;
    memcpy(text, buffer, 36);
    text[36] = 0;
    return 0;
}

int mesh_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int mesh_process_sample(pid_t process, struct mesh_process_sample *sample) {
    char buffer[1024], path[64];
    char *fields = stat_fields(process, buffer, sizeof buffer);
    if (!fields) return -1;
    long ticks = sysconf(_SC_CLK_TCK);
    sample->cpu_nanoseconds = (stat_number(fields, 14) + stat_number(fields, 15)) * (1000000000 / ticks);
    sample->resident_bytes = stat_number(fields, 24) * sysconf(_SC_PAGESIZE);
    sample->threads = stat_number(fields, 20);
    sample->descriptors = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)process);
    DIR *folder = opendir(path);
    if (folder) {
        struct dirent *entry;
        while ((entry = readdir(folder))) sample->descriptors += isdigit((unsigned char)entry->d_name[0]) != 0;
        closedir(folder);
    }
    return 0;
}

static bool environment_has(pid_t process, const char *mark) {
    char path[64], buffer[8192];
    size_t length = strlen(mark) + 1, kept = 0;  // with its NUL
    if (length >= sizeof buffer / 2) return false;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)process);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    bool found = false, first = true;
    ssize_t count;
    while (!found && (count = read(file, buffer + kept, sizeof buffer - kept)) > 0) {
        size_t filled = kept + (size_t)count;
        for (char *at = buffer; (at = memmem(at, filled - (size_t)(at - buffer), mark, length)); at++) {
            if (at == buffer ? first : at[-1] == 0) {
                found = true;
                break;
            }
        }
        // Keep one byte before a mark that may straddle two reads.
        size_t keep = filled < length ? filled : length;
        if (filled > keep) first = false;
        memmove(buffer, buffer + filled - keep, keep);
        kept = keep;
    }
    close(file);
    return found;
}

static int for_each_process(bool (*visit)(pid_t process, const void *context), const void *context) {
    DIR *folder = opendir("/proc");
    if (!folder) return -1;
    int count = 0;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        pid_t process = (pid_t)atoi(entry->d_name);
        if (process != getpid() && visit(process, context)) count++;
    }
    closedir(folder);
    return count;
}

struct marked {
    const char *mark;
    int signal;
};

static bool signal_if_marked(pid_t process, const void *context) {
    const struct marked *marked = context;
    if (!environment_has(process, marked->mark)) return false;
    int pidfd = mesh_pidfd_open(process);
    if (pidfd < 0) return false;
    bool still = environment_has(process, marked->mark);
    if (still && marked->signal) mesh_pidfd_send_signal(pidfd, marked->signal);
    close(pidfd);
    return still;
}

int mesh_signal_marked(const char *mark, int signal) {
    struct marked marked = {mark, signal};
    return for_each_process(signal_if_marked, &marked);
}

static bool kill_if_child(pid_t process, const void *context) {
    (void)context;
    char buffer[1024];
    char *fields = stat_fields(process, buffer, sizeof buffer);
    if (!fields || stat_number(fields, 4) != getpid()) return false;
    // A child that was not reaped keeps its number.
    if (fields[0] != 'Z') kill(process, SIGKILL);
    return true;
}

int mesh_kill_children(void) { return for_each_process(kill_if_child, NULL); }

static int add_descriptors(const struct mesh_spawn *spawn, posix_spawn_file_actions_t *actions, int *staged) {
    // Copies above every target number, so that no mapping overwrites a source.
    int floor = 3 + (int)spawn->descriptor_count;
    int error = 0;
    for (size_t i = 0; i < spawn->descriptor_count && !error; i++) {
        staged[i] = fcntl(spawn->descriptors[i], F_DUPFD_CLOEXEC, floor);
        error = staged[i] < 0 ? errno : posix_spawn_file_actions_adddup2(actions, staged[i], 3 + (int)i);
    }
    return error ? error : posix_spawn_file_actions_addclosefrom_np(actions, floor);
}

pid_t mesh_spawn_process(const struct mesh_spawn *spawn) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    int staged[16], output = -1, failure = -1;
    pid_t process = -1;
    if (spawn->descriptor_count > sizeof staged / sizeof *staged) {
        errno = E2BIG;
        return -1;
    }
    for (size_t i = 0; i < sizeof staged / sizeof *staged; i++) staged[i] = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    flags |= spawn->new_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    posix_spawnattr_setflags(&attributes, flags);

    // 1 and 2 may be each other's source: copies first.
    int error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    output = fcntl(spawn->output, F_DUPFD_CLOEXEC, 3);
    failure = fcntl(spawn->error, F_DUPFD_CLOEXEC, 3);
    for (int target = 1; target <= 2 && !error; target++) {
        int source = target == 1 ? output : failure;
        error = source < 0 ? posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_WRONLY, 0)
                           : posix_spawn_file_actions_adddup2(&actions, source, target);
    }
    if (!error && spawn->folder) error = posix_spawn_file_actions_addchdir_np(&actions, spawn->folder);
    if (!error) error = add_descriptors(spawn, &actions, staged);
    if (!error) error = posix_spawn(&process, spawn->path, &actions, &attributes, spawn->arguments, spawn->environment);

    for (size_t i = 0; i < spawn->descriptor_count; i++)
        if (staged[i] >= 0) close(staged[i]);
    if (output >= 0) close(output);
    if (failure >= 0) close(failure);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error) {
        errno = error;
        return -1;
    }
    return process;
}

struct mesh_thread_use mesh_thread_use(void) {
    // Cannot fail with these arguments.
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    int64_t seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
    int64_t microseconds = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
    return (struct mesh_thread_use){
        .cpu_nanoseconds = seconds * 1000000000 + microseconds * 1000, .waits = usage.ru_nvcsw, .preemptions = usage.ru_nivcsw};
}
