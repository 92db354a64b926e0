// The parent of one replica's incarnations; see main.c for the whole picture.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum { listener_limit = 8, client_limit = 4, uuid_length = 36, message_limit = 4096, group_path_limit = 1024 };

struct listener {
    const char *name;
    const char *address;
    int descriptor;  // -1: closed
};

struct options {
    const char *replica;
    const char *socket;
    int64_t stop_grace_ms;
    int64_t log_limit;  // bytes; a file of the log that has so many is followed by another
    int log_kept;       // so many beside the one that is written: log.1 is the one before it
    struct listener listeners[listener_limit];
    int listener_count;
    mode_t umask;
};
extern struct options options;

// child.c: the one incarnation that may live
enum phase { phase_idle, phase_running, phase_stopping, phase_sweeping };
void child_adopt_from_record(void);
/// Answers by `started` or `start_failed`; waits for a sweep that is under way.
/// `variables`: memory with more entries `env=NAME=value` for this start alone, -1 for none; it stays the caller's.
void child_start(const char *spec, int variables);
int child_signal(int signal);
int child_stop(int64_t grace_ms);
void child_reap(void);
void child_adopted_ended(void);
void child_tick(int64_t now);
int64_t child_next_tick(void);  // -1: none
bool child_is_gone(void);
int child_pidfd(void);  // of an adopted child, else -1
void child_describe(char *text, size_t capacity);

// limits.c: what the incarnation may take
struct limits {
    int64_t memory;  // bytes, resident; 0: unlimited
    int cores;       // 0: all
    int64_t files;   // 0: as many as we may have
    // Which of them its control group keeps, as long as it is in it.
    bool group_memory, group_cpu;
};
/// In the child, before exec. What can't be had is taken as far as it can.
void limits_apply(const struct limits *limits, bool in_group);
/// Notes in the log which of the limits can't be had.
void limits_note(const struct limits *limits);
/// What a process and its descendants keep in memory, in bytes.
int64_t limits_memory_used(pid_t process);

// group.c: the control group of the incarnation, which the daemon made for it; without one, all of this does nothing
void group_choose(const char *path);
/// False where there is none, or, with errno, where the process can't enter it; then it has none.
bool group_enter(pid_t process);
bool group_is_there(void);
bool group_is_empty(void);
/// Ends all of it at once, where the kernel can (since 5.14).
void group_kill(void);
struct group_memory {
    int64_t kills;    // processes of it that the kernel killed for want of memory
    int64_t reached;  // how often its limit was reached, and nothing could be reclaimed
    int64_t peak;     // bytes; 0: unknown
};
struct group_memory group_memory(void);
void group_remove(void);

// listener.c
void listeners_close(void);
/// Opens again what was closed; the index that failed, or -1, with errno.
int listeners_open(void);
void listeners_take_from(int pidfd);
void listeners_unlink(void);
/// Hands copies of the open listeners to a client, for another shim that is to listen beside this one.
void listeners_share(int client);
const char *listeners_state(void);

// output.c: what the service says, into `log`
int output_prepare(void);
int output_descriptor(int stream);  // 0: stdout, 1: stderr
void output_incarnation(const char *uuid);
/// Reads what is there, at most `limit` bytes per stream; true if there may be more.
bool output_drain(size_t limit);
void output_end_lines(void);
const char *output_last_error_line(void);
int64_t output_position(void);
int64_t output_dropped(void);
void output_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// record.c: what a daemon that was away must learn, into `record`
struct incarnation {
    char uuid[uuid_length + 1];
    pid_t process;
    int64_t start_time;  // clock ticks since boot, as /proc tells
    int64_t started_ns;  // since 1970
};
void record_prepare(void);
void record_append(const char *line);
bool record_failed(void);
/// The last incarnation that was started in this boot and whose end was not recorded.
bool record_unfinished(struct incarnation *found);

// control.c: those who command
void control_accept(int listener);
void control_add(int descriptor);
void control_read(int index);
void control_send(const char *format, ...) __attribute__((format(printf, 1, 2)));
int control_client(int index);

// main.c
int64_t now_ms(void);
int64_t unix_ns(void);
void quit_when_gone(void);
bool is_quitting(void);
bool is_beginning(void);
