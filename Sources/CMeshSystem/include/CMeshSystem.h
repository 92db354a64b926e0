// What process supervision and the data plane need of Linux and neither Swift nor glibc gives in a typed form.
//
// Every function that can fail returns -1 and sets errno, unless it says otherwise. Descriptors are close-on-exec.
// Addresses are text: "unix:PATH", "tcp:IPV4:PORT" or "tcp:[IPV6]:PORT"; hosts are numeric.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
// malloc_trim, epoll, eventfd, timerfd and getxattr are not in Swift's Glibc module.
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/xattr.h>

#pragma clang assume_nonnull begin

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Processes (process.c)

/// A descriptor for a process, immune to reuse of its number; readable once the process has ended.
int mesh_pidfd_open(pid_t process);
/// A descriptor for `process` if, and only if, it is the one that started at `start_time`; otherwise -1 with ESRCH.
int mesh_pidfd_open_checked(pid_t process, int64_t start_time);
int mesh_pidfd_send_signal(int pidfd, int signal);
/// Signals the process group led by the process of `pidfd`, which must not have been reaped.
int mesh_pidfd_signal_group(int pidfd, pid_t leader, int signal);
/// A copy of another process's descriptor; EPERM where the kernel's ptrace rules forbid it.
int mesh_pidfd_getfd(int pidfd, int descriptor);
/// Reaps the child of `pidfd` if it ended: 1 and its wait status, 0 while it runs, -1 with ECHILD if it is nobody's child here.
int mesh_reap(int pidfd, int *status);
/// When a process started, in clock ticks since boot; -1 with ESRCH if there is none (a zombie counts as none).
int64_t mesh_process_start_time(pid_t process);
/// The session of a process, or -1.
pid_t mesh_process_session(pid_t process);
/// The id of this boot of the kernel as 36 characters and a NUL; process ids and start times mean nothing beyond it.
int mesh_boot_id(char text[_Nonnull 37]);
/// Makes orphaned descendants of this process its children.
int mesh_become_subreaper(void);

struct mesh_process_sample {
    int64_t cpu_nanoseconds;
    int64_t resident_bytes;
    int64_t threads;
    int64_t descriptors;
};
int mesh_process_sample(pid_t process, struct mesh_process_sample *sample);

/// What the calling thread has done since it began.
struct mesh_thread_use {
    int64_t cpu_nanoseconds;
    /// How often it waited for something, and how often the kernel took the processor away from it.
    int64_t waits;
    int64_t preemptions;
};
struct mesh_thread_use mesh_thread_use(void);

/// Sends `signal` (0: only counts) to every process of this user whose environment has the entry `mark` ("NAME=value"), except the caller.
/// Returns how many there are. The mark is read again after the process was pinned by a pidfd, so that no reused number is hit.
int mesh_signal_marked(const char *mark, int signal);
/// Sends SIGKILL to every child of this process and returns how many there are.
int mesh_kill_children(void);

struct mesh_spawn {
    const char *path;
    char *const _Nullable *_Nonnull arguments;
    char *const _Nullable *_Nonnull environment;
    /// Nil: the caller's.
    const char *_Nullable folder;
    /// Become 3, 4, … in the new process; everything else above 2 is closed. Null if there are none.
    const int *_Nullable descriptors;
    size_t descriptor_count;
    /// Become 1 and 2; -1 is /dev/null. Standard input is /dev/null.
    int output;
    int error;
    /// A new session, or otherwise a new process group.
    bool new_session;
};
/// Starts a process with default signals and an empty signal mask; returns its id. A failed exec is an error here.
pid_t mesh_spawn_process(const struct mesh_spawn *spawn);

// MARK: Sockets and files (socket.c)

/// A non-blocking listening socket. A Unix path must be free; a TCP socket has SO_REUSEADDR.
int mesh_listen(const char *address, int backlog);
/// The address of a listening socket, as text; ENOTSOCK or EINVAL if it isn't one.
int mesh_listener_address(int descriptor, char *text, size_t capacity);
/// A non-blocking stream connection, perhaps not established yet: wait until writable, then ask `mesh_socket_error`.
/// EAGAIN: the backlog of a Unix listener is full.
int mesh_connect(const char *address);
/// Takes the pending error of a socket: 0 or an errno value.
int mesh_socket_error(int descriptor);
/// The next connection of a listening stream socket, non-blocking, and the `sockaddr` of who connected; -1 with EAGAIN if there is none.
int mesh_stream_accept(int listener, void *name, size_t capacity);
/// The address in a `sockaddr`, without its port, as text; false for one that is no internet address.
bool mesh_host_text(const void *name, char text[_Nonnull 46]);
/// Non-blocking SOCK_SEQPACKET sockets on Unix paths: messages keep their bounds.
int mesh_packet_listen(const char *path, int backlog);
int mesh_packet_connect(const char *path);
/// The next connection, or -1 with EAGAIN.
int mesh_packet_accept(int listener);
int mesh_packet_pair(int pair[_Nonnull 2]);
/// Sends one message with up to 8 descriptors, which stay open here.
int mesh_descriptors_send(int connection, const void *message, size_t length, const int *_Nullable descriptors, size_t count);
/// Receives one message without waiting, and the descriptors that came with it, which are the caller's to close; as `recv`.
ssize_t mesh_descriptors_receive(int connection, void *message, size_t capacity, int descriptors[_Nonnull 8], size_t *count);
/// Who is at the other end of a Unix socket.
int mesh_peer(int descriptor, pid_t *process, uid_t *user);
/// Opens (and makes, 0600) and locks a file for as long as the descriptor is open; EWOULDBLOCK if another process holds it.
int mesh_lock(const char *path);

// MARK: Shared memory (memory.c)

/// Zeroed memory of a fixed size (sealed against shrinking and growing) that another process can be handed; pages take room once touched.
int mesh_memory_create(const char *name, size_t size);
/// Maps such memory, wholly, to be read and written; null with EINVAL if its size isn't sealed.
void *_Nullable mesh_memory_map(int descriptor, size_t *size);
void mesh_memory_unmap(void *memory, size_t size);
/// Sends one message, with a descriptor beside it unless that is -1. Never waits: EAGAIN.
ssize_t mesh_packet_send(int socket, const void *bytes, size_t count, int descriptor);
/// Takes one message and the descriptor beside it (-1: none). Never waits: EAGAIN; 0 once the other end has closed.
ssize_t mesh_packet_receive(int socket, void *bytes, size_t capacity, int *descriptor);

// MARK: Sends that go out with the wait for what comes next (ring.c)

/// A ring of io_uring; belongs to the thread that made it.
struct mesh_ring;

enum {
    /// So many sends at most are held,
    MESH_RING_PLACES = 8,
    /// of so many bytes each.
    MESH_RING_CAPACITY = 4096,
};

/// Null where the kernel is too old (before 6.1), or does not allow it.
struct mesh_ring *_Nullable mesh_ring_create(void);
void mesh_ring_destroy(struct mesh_ring *ring);
/// Room for the bytes of the next send; null where all places are taken, or the ring has failed.
uint8_t *_Nullable mesh_ring_place(struct mesh_ring *ring);
/// Holds a send of the first `count` bytes (1 or more) of that room.
void mesh_ring_hold(struct mesh_ring *ring, int descriptor, size_t count);
/// Hands what is held to the kernel. Returns how many of the sends were not taken as a whole; until the next is held, `mesh_ring_unsent`
/// says what is left of each.
size_t mesh_ring_submit(struct mesh_ring *ring);
/// The same, and waits by the same call until `epoll` has events, a send was not taken as a whole, or a signal came.
size_t mesh_ring_submit_and_wait(struct mesh_ring *ring, int epoll);
/// The bytes of the send at a place that the kernel did not take: all of them where it refused. Valid until the next send is held.
const uint8_t *mesh_ring_unsent(struct mesh_ring *ring, size_t place, size_t *count);

#ifdef __cplusplus
}
#endif

#pragma clang assume_nonnull end
