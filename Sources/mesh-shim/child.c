#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "CMeshSystem.h"
#include "shim.h"

static struct {
    enum phase phase;
    struct incarnation incarnation;
    bool adopted;  // from a lost shim: not our child
    int pidfd;     // of an adopted one, else -1
    bool closes;  // on_exit=close
    bool we_killed;
    int exec_error;
    int64_t started_ms;
    int64_t kill_at;  // -1: not stopping
    int64_t oom_kills;
    char waiting_spec[64];  // to start when the sweep is done
    struct limits limits;
    int64_t look_at;        // when its memory is looked at next; -1: it has no limit
    int64_t memory_killed;  // what it used when it was killed for that; 0: it was not
    const char *group;      // what its control group keeps; "-": it is in none
} child = {.pidfd = -1, .kill_at = -1, .look_at = -1, .group = "-"};

// For the next start only, and in no file.
static struct {
    char *text;
    size_t length, entries;
} variables;

static void variables_forget(void) {
    if (variables.text) explicit_bzero(variables.text, variables.length);
    free(variables.text);
    variables.text = NULL;
    variables.length = variables.entries = 0;
}

static int variables_take(int memory) {
    variables_forget();
    struct stat status;
    if (memory < 0) return 0;
    if (fstat(memory, &status) < 0 || !(variables.text = malloc((size_t)status.st_size + 1))) return -1;
    ssize_t length = pread(memory, variables.text, (size_t)status.st_size, 0);
    if (length != status.st_size) {
        variables_forget();
        errno = EIO;
        return -1;
    }
    variables.length = (size_t)length;
    variables.text[length] = 0;
    for (size_t i = 0; i < variables.length; i++) variables.entries += variables.text[i] == 0;
    return 0;
}

bool child_is_gone(void) { return child.phase == phase_idle; }
static bool is_alive(void) { return child.phase == phase_running || child.phase == phase_stopping; }
int child_pidfd(void) { return is_alive() ? child.pidfd : -1; }

void child_describe(char *text, size_t capacity) {
    static const char *const names[] = {"idle", "running", "stopping", "sweeping"};
    bool alive = is_alive();
    snprintf(
        text, capacity,
        "state version=3 pid=%d start=%lld replica=%s phase=%s uuid=%s child=%d child_start=%lld adopted=%d time=%lld on_exit=%s group=%s "
        "listeners=%s log_dropped=%lld log_at=%lld record_failed=%d stderr=%s",
        (int)getpid(), (long long)mesh_process_start_time(getpid()), options.replica, names[child.phase],
        child.incarnation.uuid[0] ? child.incarnation.uuid : "-", alive ? (int)child.incarnation.process : 0,
        alive ? (long long)child.incarnation.start_time : 0, child.adopted, (long long)child.incarnation.started_ns, child.closes ? "close" : "hold",
        alive ? child.group : "-", listeners_state(), (long long)output_dropped(), (long long)output_position(), record_failed(), output_last_error_line());
}

static int64_t count_oom_kills(void) {
    char text[8192];
    int file = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (file >= 0) close(file);
    if (length < 0) return 0;
    text[length] = 0;
    const char *at = strstr(text, "oom_kill ");
    return at ? atoll(at + 9) : 0;
}

// MARK: The specification of one incarnation

struct spec {
    char *text;
    char **arguments, **environment;
    const char *folder, *group, *note;
    struct limits limits;
};

static void spec_free(struct spec *spec) {
    free(spec->text);
    free(spec->arguments);
    free(spec->environment);
}

// Entries `name=value`, each ended by a NUL: uuid, cwd, on_exit, limit_…, group, group_…, note, arg (in order), env (in order);
// then the variables.
static int spec_read(const char *path, struct spec *spec, char uuid[uuid_length + 1], bool *closes) {
    memset(spec, 0, sizeof *spec);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0) return -1;
    ssize_t length = -1;
    if (fstat(file, &status) == 0 && (spec->text = malloc((size_t)status.st_size + 1))) length = read(file, spec->text, (size_t)status.st_size);
    close(file);
    if (length != status.st_size || length == 0) goto invalid;
    spec->text[length] = 0;
    size_t entries = 0;
    for (ssize_t i = 0; i < length; i++) entries += spec->text[i] == 0;
    spec->arguments = calloc(entries + 1, sizeof *spec->arguments);
    spec->environment = calloc(entries + variables.entries + 4, sizeof *spec->environment);
    if (!spec->arguments || !spec->environment) return -1;
    size_t arguments = 0, environment = 0;
    uuid[0] = 0;
    for (char *at = spec->text; at < spec->text + length; at += strlen(at) + 1) {
        if (strncmp(at, "arg=", 4) == 0) spec->arguments[arguments++] = at + 4;
        else if (strncmp(at, "env=", 4) == 0) spec->environment[environment++] = at + 4;
        else if (strncmp(at, "cwd=", 4) == 0) spec->folder = at + 4;
        else if (strncmp(at, "uuid=", 5) == 0) snprintf(uuid, uuid_length + 1, "%s", at + 5);
        else if (strncmp(at, "limit_memory=", 13) == 0) spec->limits.memory = atoll(at + 13);
        else if (strncmp(at, "limit_cores=", 12) == 0) spec->limits.cores = atoi(at + 12);
        else if (strncmp(at, "limit_files=", 12) == 0) spec->limits.files = atoll(at + 12);
        else if (strncmp(at, "group=", 6) == 0) spec->group = at + 6;
        else if (strcmp(at, "group_memory=1") == 0) spec->limits.group_memory = true;
        else if (strcmp(at, "group_cpu=1") == 0) spec->limits.group_cpu = true;
        else if (strncmp(at, "note=", 5) == 0) spec->note = at + 5;
        else if (strcmp(at, "on_exit=close") == 0) *closes = true;
        else if (strcmp(at, "on_exit=hold") == 0) *closes = false;
    }
    for (char *at = variables.text; at && at < variables.text + variables.length; at += strlen(at) + 1)
        if (strncmp(at, "env=", 4) == 0) spec->environment[environment++] = at + 4;
    if (arguments > 0 && spec->folder && strlen(uuid) == uuid_length) return 0;
invalid:
    spec_free(spec);
    errno = EINVAL;
    return -1;
}

// MARK: Start

static _Noreturn void become_service(const struct spec *spec, int go, int answer) {
    setpgid(0, 0);
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(options.umask);

    // Until the parent has written down that we exist, nobody could find us again; it tells whether we are in our group.
    char entered;
    if (read(go, &entered, 1) != 1) _exit(127);

    const int room = 128;
    int listeners[listener_limit];
    answer = fcntl(answer, F_DUPFD_CLOEXEC, room);
    bool placed = answer >= 0;
    for (int i = 0; i < options.listener_count && placed; i++)
        placed = (listeners[i] = fcntl(options.listeners[i].descriptor, F_DUPFD_CLOEXEC, room)) >= 0;
    int input = open("/dev/null", O_RDONLY), output = open("stdout", O_RDWR), error = open("stderr", O_RDWR);
    placed = placed && input >= 0 && output >= 0 && error >= 0;
    output = fcntl(output, F_DUPFD_CLOEXEC, room);
    error = fcntl(error, F_DUPFD_CLOEXEC, room);
    placed = placed && dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(error, 2) == 2;
    for (int i = 0; i < options.listener_count && placed; i++) placed = dup2(listeners[i], 3 + i) == 3 + i;
    syscall(SYS_close_range, 3 + options.listener_count, ~0u, CLOSE_RANGE_CLOEXEC);

    char process[32], count[32], names[1024] = "LISTEN_FDNAMES=";
    size_t last = 0, used = strlen(names);
    for (int i = 0; i < options.listener_count; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ":" : "", options.listeners[i].name);
    snprintf(process, sizeof process, "LISTEN_PID=%d", (int)getpid());
    snprintf(count, sizeof count, "LISTEN_FDS=%d", options.listener_count);
    while (spec->environment[last]) last++;
    if (options.listener_count > 0) {
        spec->environment[last++] = process;
        spec->environment[last++] = count;
        spec->environment[last++] = names;
    }
    extern char **environ;
    environ = spec->environment;  // whose PATH is searched
    limits_apply(&spec->limits, entered == 'g');
    if (placed && chdir(spec->folder) == 0) execvp(spec->arguments[0], spec->arguments);
    int reason = errno;
    ssize_t ignored = write(answer, &reason, sizeof reason);
    (void)ignored;
    _exit(127);
}

static const char *group_text(const struct limits *limits) {
    static const char *const texts[] = {"none", "memory", "cpu", "memory,cpu"};
    return texts[limits->group_memory + 2 * limits->group_cpu];
}

static bool is_looked_at(const struct limits *limits, bool in_group) { return limits->memory > 0 && !(in_group && limits->group_memory); }

static void start_failed(const char *uuid, const char *stage, int reason) {
    control_send("start_failed uuid=%s stage=%s errno=%d", uuid[0] ? uuid : "-", stage, reason);
}

static void start_now(const char *path) {
    struct spec spec;
    char uuid[uuid_length + 1] = "";
    bool closes = false;
    if (spec_read(path, &spec, uuid, &closes) < 0) return start_failed(uuid, "spec", errno);
    group_choose(spec.group);
    if (listeners_open() >= 0) {
        start_failed(uuid, "listen", errno);
        group_remove();
        return spec_free(&spec);
    }
    output_drain(SIZE_MAX);
    output_end_lines();
    output_incarnation(uuid);
    if (spec.note) output_note("%s", spec.note);
    int go[2] = {-1, -1}, answer[2] = {-1, -1};
    pid_t process = -1;
    if (pipe2(go, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0) process = fork();
    if (process == 0) {
        close(go[1]);
        become_service(&spec, go[0], answer[1]);
    }
    int reason = errno;
    if (go[0] >= 0) close(go[0]);
    if (answer[1] >= 0) close(answer[1]);
    variables_forget();
    struct limits limits = spec.limits;
    spec_free(&spec);
    if (process < 0) {
        if (go[1] >= 0) close(go[1]);
        if (answer[0] >= 0) close(answer[0]);
        group_remove();
        return start_failed(uuid, "fork", reason);
    }
    setpgid(process, process);
    bool has_group = group_is_there(), in_group = group_enter(process);
    if (has_group && !in_group) output_note("runs without a control group, which it could not enter: %s", strerror(errno));
    memcpy(child.incarnation.uuid, uuid, sizeof uuid);
    child.incarnation.process = process;
    child.incarnation.start_time = mesh_process_start_time(process);
    child.phase = phase_running;
    child.adopted = false;
    child.pidfd = -1;
    child.closes = closes;
    child.we_killed = false;
    child.kill_at = -1;
    child.started_ms = now_ms();
    child.incarnation.started_ns = unix_ns();
    child.oom_kills = count_oom_kills();
    child.limits = limits;
    child.look_at = is_looked_at(&limits, in_group) ? child.started_ms : -1;
    child.memory_killed = 0;
    child.group = in_group ? group_text(&limits) : "-";
    limits_note(&limits);
    char line[256];
    snprintf(
        line, sizeof line, "start uuid=%s pid=%d start=%lld time=%lld", uuid, (int)process, (long long)child.incarnation.start_time,
        (long long)child.incarnation.started_ns);
    record_append(line);
    ssize_t sent = write(go[1], in_group ? "g" : "-", 1);
    child.exec_error = 0;
    ssize_t length = sent == 1 ? read(answer[0], &child.exec_error, sizeof child.exec_error) : 0;
    close(go[1]);
    close(answer[0]);
    // A failed exec is told when the process was reaped, so that the answer means that nothing is left.
    if (length <= 0)
        control_send(
            "started uuid=%s pid=%d start=%lld time=%lld log_at=%lld group=%s", uuid, (int)process, (long long)child.incarnation.start_time,
            (long long)child.incarnation.started_ns, (long long)output_position(), child.group);
}

void child_start(const char *spec, int memory) {
    if (is_alive() || is_quitting()) return start_failed("", "busy", EBUSY);
    if (variables_take(memory) < 0) return start_failed("", "spec", errno);
    if (child.phase == phase_sweeping) snprintf(child.waiting_spec, sizeof child.waiting_spec, "%s", spec);
    else start_now(spec);
}

// MARK: Signals

static int signal_group(int signal) {
    if (child.adopted) return mesh_pidfd_signal_group(child.pidfd, child.incarnation.process, signal);
    // Our child keeps its number until we reap it.
    return kill(-child.incarnation.process, signal);
}

// Those, too, that left the process group.
static void kill_all(void) {
    child.we_killed = true;
    group_kill();
}

int child_signal(int signal) {
    if (!is_alive()) {
        errno = ESRCH;
        return -1;
    }
    if (signal == SIGKILL) kill_all();
    return signal_group(signal);
}

int child_stop(int64_t grace_ms) {
    child.waiting_spec[0] = 0;
    variables_forget();
    if (!is_alive()) return 0;
    child.phase = phase_stopping;
    child.kill_at = now_ms() + (grace_ms < 0 ? 0 : grace_ms);
    if (signal_group(SIGTERM) < 0) return -1;
    signal_group(SIGCONT);  // one that was halted could not obey
    return 0;
}

// MARK: End

static void begin_sweep(void) {
    child.phase = phase_sweeping;
    child.kill_at = -1;
    group_kill();
}

enum oom { oom_none, oom_machine, oom_limit };

static void tell_end(const char *how, int value, bool core, enum oom oom, const struct rusage *usage, bool expected) {
    if (child.closes) listeners_close();
    output_drain(1 << 20);
    output_end_lines();
    char line[message_limit];
    snprintf(
        line, sizeof line,
        "uuid=%s pid=%d how=%s value=%d core=%d oom=%d memory_kb=%lld limit_kb=%lld expected=%d time=%lld ran_ms=%lld user_us=%lld system_us=%lld max_rss_kb=%ld stderr=%s",
        child.incarnation.uuid, (int)child.incarnation.process, how, value, core, oom,
        (long long)(child.memory_killed >> 10), (long long)(child.limits.memory >> 10), expected, (long long)unix_ns(),
        (long long)(now_ms() - child.started_ms), (long long)usage->ru_utime.tv_sec * 1000000 + usage->ru_utime.tv_usec,
        (long long)usage->ru_stime.tv_sec * 1000000 + usage->ru_stime.tv_usec, usage->ru_maxrss, output_last_error_line());
    char record[message_limit + 8];
    snprintf(record, sizeof record, "exit %s", line);
    record_append(record);
    begin_sweep();
    if (child.exec_error) start_failed(child.incarnation.uuid, "exec", child.exec_error);
    else if (!is_beginning()) control_send("exited %s", line);
}

/// Why somebody else killed it.
static enum oom want_of_memory(void) {
    if (child.memory_killed) return oom_limit;
    if (!child.limits.group_memory || child.group[0] == '-') return count_oom_kills() > child.oom_kills ? oom_machine : oom_none;
    struct group_memory memory = group_memory();
    if (memory.kills == 0) return oom_none;
    if (memory.reached == 0) return oom_machine;
    child.memory_killed = memory.peak > 0 ? memory.peak : child.limits.memory;
    output_note(
        "killed out of memory: it needed more than limits.memory, which is %lld MB", (long long)(child.limits.memory >> 20));
    return oom_limit;
}

void child_reap(void) {
    siginfo_t info;
    for (;;) {
        memset(&info, 0, sizeof info);
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0) return;
        bool ours = is_alive() && !child.adopted && info.si_pid == child.incarnation.process;
        // While it is a zombie its number, and so its group's, is nobody else's.
        if (ours) kill(-info.si_pid, SIGKILL);
        int status = 0;
        struct rusage usage;
        if (wait4(info.si_pid, &status, 0, &usage) < 0 || !ours) continue;
        bool expected = child.phase == phase_stopping, signalled = WIFSIGNALED(status);
        enum oom oom = signalled && WTERMSIG(status) == SIGKILL && !child.we_killed ? want_of_memory() : oom_none;
        if (child.exec_error) tell_end("exec", child.exec_error, false, oom_none, &usage, expected);
        else if (signalled) tell_end("signal", WTERMSIG(status), WCOREDUMP(status), oom, &usage, expected);
        else tell_end("code", WEXITSTATUS(status), false, oom_none, &usage, expected);
    }
}

void child_adopted_ended(void) {
    struct rusage none = {0};
    bool expected = child.phase == phase_stopping;
    close(child.pidfd);
    child.pidfd = -1;
    tell_end("unknown", 0, false, oom_none, &none, expected);
}

static bool sweep(void) {
    if (child.adopted) {
        // Not our descendants: known by the environment that they inherited.
        char mark[64];
        snprintf(mark, sizeof mark, "MESH_INSTANCE=%s", child.incarnation.uuid);
        bool empty = group_is_empty();
        if (!empty) group_kill();
        return mesh_signal_marked(mark, SIGKILL) <= 0 && empty;
    }
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD) return true;
    mesh_kill_children();
    child_reap();
    return false;
}

static const int64_t sweep_every_ms = 2;
// Often enough that what fills the machine within seconds is met before it does, and seldom enough to cost nothing.
static const int64_t look_every_ms = 1000, look_closely_every_ms = 50;

static void look_at_memory(int64_t now) {
    int64_t used = limits_memory_used(child.incarnation.process);
    child.look_at = now + (used > child.limits.memory / 4 * 3 ? look_closely_every_ms : look_every_ms);
    if (used <= child.limits.memory) return;
    child.memory_killed = used;
    group_kill();
    signal_group(SIGKILL);
    output_note(
        "killed out of memory: it used %lld MB, and limits.memory is %lld MB", (long long)(used >> 20), (long long)(child.limits.memory >> 20));
}

int64_t child_next_tick(void) {
    if (child.phase == phase_sweeping) return now_ms() + sweep_every_ms;
    if (!is_alive() || child.look_at < 0) return child.kill_at;
    return child.kill_at >= 0 && child.kill_at < child.look_at ? child.kill_at : child.look_at;
}

void child_tick(int64_t now) {
    if (is_alive() && child.look_at >= 0 && now >= child.look_at) look_at_memory(now);
    if (child.phase == phase_stopping && child.kill_at >= 0 && now >= child.kill_at) {
        kill_all();
        signal_group(SIGKILL);
        child.kill_at = now + 1000;
    }
    if (child.phase != phase_sweeping || !sweep()) return;
    child.phase = phase_idle;
    group_remove();
    control_send("swept uuid=%s", child.incarnation.uuid);
    if (!child.waiting_spec[0]) return;
    char spec[sizeof child.waiting_spec];
    memcpy(spec, child.waiting_spec, sizeof spec);
    child.waiting_spec[0] = 0;
    start_now(spec);
}

// MARK: Taking over from a shim that was lost

void child_adopt_from_record(void) {
    if (!record_unfinished(&child.incarnation)) return;
    output_incarnation(child.incarnation.uuid);
    child.started_ms = now_ms() - (unix_ns() - child.incarnation.started_ns) / 1000000;
    child.oom_kills = count_oom_kills();
    child.adopted = true;
    child.phase = phase_running;
    struct spec spec;
    char uuid[uuid_length + 1] = "";
    if (spec_read("spec", &spec, uuid, &child.closes) == 0) {
        child.limits = spec.limits;
        // One that it could not enter was removed at once.
        group_choose(spec.group && access(spec.group, F_OK) == 0 ? spec.group : NULL);
        child.group = group_is_there() ? group_text(&spec.limits) : "-";
        child.look_at = is_looked_at(&spec.limits, group_is_there()) ? now_ms() : -1;
        spec_free(&spec);
    }
    child.pidfd = mesh_pidfd_open_checked(child.incarnation.process, child.incarnation.start_time);
    if (child.pidfd >= 0) {
        listeners_take_from(child.pidfd);
        output_note("took over process %d from a shim that was lost", (int)child.incarnation.process);
    } else {
        // Its end was seen by nobody. Only the record tells it: the first message to a client is the state.
        struct rusage none = {0};
        tell_end("unknown", 0, false, oom_none, &none, false);
    }
}
