#include "CMeshSystem.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Headers of older kernels don't have all of these. The numbers are the kernel's interface (include/uapi/linux/io_uring.h).
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif
#ifndef IORING_FEAT_CQE_SKIP
#define IORING_FEAT_CQE_SKIP (1U << 11)
#endif
#define SKIP_SUCCESS (1U << 6)

#define PLACES MESH_RING_PLACES
// The sends, and the watch on the epoll instance.
#define ENTRIES (2 * PLACES)
#define WATCH UINT64_MAX

struct mesh_ring {
    int descriptor;
    void *submissions, *completions;
    size_t submissions_size, completions_size;
    struct io_uring_sqe *entries;
    size_t entries_size;
    unsigned *head, *tail, mask, *order;
    unsigned *completed, *completed_tail, completed_mask;
    struct io_uring_cqe *results;
    // The kernel will tell when the epoll instance has events.
    bool watches;
    bool failed;
    size_t held;
    size_t length[PLACES];
    ssize_t sent[PLACES];
    uint8_t places[PLACES][MESH_RING_CAPACITY];
};

static void *map(int descriptor, size_t size, off_t offset) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, offset);
    return memory == MAP_FAILED ? NULL : memory;
}

static struct io_uring_sqe *add(struct mesh_ring *ring) {
    unsigned tail = *ring->tail, index = tail & ring->mask;
    struct io_uring_sqe *entry = &ring->entries[index];
    memset(entry, 0, sizeof *entry);
    ring->order[index] = index;
    __atomic_store_n(ring->tail, tail + 1, __ATOMIC_RELEASE);
    return entry;
}

// Without waiting for room (MSG_DONTWAIT), so that it is over when the kernel has taken the entry, and heard of only where not all bytes were
// taken: what is less than all counts as a failure (MSG_WAITALL), and of successes nothing is told.
static void add_send(struct mesh_ring *ring, int descriptor, const void *bytes, size_t count, uint64_t place) {
    struct io_uring_sqe *entry = add(ring);
    entry->opcode = IORING_OP_SEND;
    entry->flags = SKIP_SUCCESS;
    entry->fd = descriptor;
    entry->addr = (uintptr_t)bytes;
    entry->len = (unsigned)count;
    entry->msg_flags = MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL;
    entry->user_data = place;
}

// A ring that fails for any reason but that the kernel is short of something is not used again.
static int enter(struct mesh_ring *ring, unsigned awaited, unsigned flags) {
    unsigned count = *ring->tail - __atomic_load_n(ring->head, __ATOMIC_ACQUIRE);
    int taken;
    do taken = (int)syscall(SYS_io_uring_enter, ring->descriptor, count, awaited, flags, NULL, (size_t)0);
    while (taken < 0 && errno == EINTR && awaited == 0);
    if (taken < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY && errno != ENOMEM) ring->failed = true;
    return taken;
}

// What the kernel had no memory for is as good as blocked: the caller sends it by itself.
static void take_back(struct mesh_ring *ring) {
    unsigned head = __atomic_load_n(ring->head, __ATOMIC_ACQUIRE);
    while (*ring->tail != head) {
        unsigned tail = *ring->tail - 1;
        uint64_t place = ring->entries[tail & ring->mask].user_data;
        if (place == WATCH) ring->watches = false;
        else ring->sent[place] = 0;
        __atomic_store_n(ring->tail, tail, __ATOMIC_RELEASE);
    }
}

static void read_results(struct mesh_ring *ring) {
    unsigned head = *ring->completed, tail = __atomic_load_n(ring->completed_tail, __ATOMIC_ACQUIRE);
    for (; head != tail; head++) {
        const struct io_uring_cqe *result = &ring->results[head & ring->completed_mask];
        if (result->user_data == WATCH) ring->watches = false;
        else if (result->user_data < PLACES) ring->sent[result->user_data] = result->res;
    }
    __atomic_store_n(ring->completed, head, __ATOMIC_RELEASE);
}

// Everything rests on the kernel telling of a send that it took a part of, so a new ring is asked.
static bool tells_of_short_sends(struct mesh_ring *ring) {
    enum { MUCH = 4 << 20 };
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) return false;
    void *bytes = mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool tells = false;
    if (bytes != MAP_FAILED) {
        ring->sent[0] = MUCH;
        add_send(ring, pair[0], bytes, MUCH, 0);
        tells = enter(ring, 0, 0) == 1;
        take_back(ring);
        read_results(ring);
        ssize_t sent = ring->sent[0], received = 0, count;
        while ((count = recv(pair[1], bytes, MUCH, MSG_DONTWAIT)) > 0) received += count;
        tells = tells && sent > 0 && sent < MUCH && received == sent;
        munmap(bytes, MUCH);
    }
    close(pair[0]);
    close(pair[1]);
    return tells;
}

struct mesh_ring *mesh_ring_create(void) {
    struct io_uring_params facts = {.flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    int descriptor = (int)syscall(SYS_io_uring_setup, ENTRIES, &facts);
    if (descriptor < 0) return NULL;
    struct mesh_ring *ring = calloc(1, sizeof *ring);
    const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;
    if (ring == NULL || (facts.features & needed) != needed) {
        free(ring);
        close(descriptor);
        errno = ENOSYS;
        return NULL;
    }
    ring->descriptor = descriptor;
    ring->submissions_size = facts.sq_off.array + facts.sq_entries * sizeof(unsigned);
    ring->completions_size = facts.cq_off.cqes + facts.cq_entries * sizeof(struct io_uring_cqe);
    ring->entries_size = facts.sq_entries * sizeof(struct io_uring_sqe);
    ring->submissions = map(descriptor, ring->submissions_size, IORING_OFF_SQ_RING);
    ring->completions = map(descriptor, ring->completions_size, IORING_OFF_CQ_RING);
    ring->entries = map(descriptor, ring->entries_size, IORING_OFF_SQES);
    if (ring->submissions == NULL || ring->completions == NULL || ring->entries == NULL) {
        mesh_ring_destroy(ring);
        errno = ENOMEM;
        return NULL;
    }
    uint8_t *submissions = ring->submissions, *completions = ring->completions;
    ring->head = (unsigned *)(submissions + facts.sq_off.head);
    ring->tail = (unsigned *)(submissions + facts.sq_off.tail);
    ring->mask = *(unsigned *)(submissions + facts.sq_off.ring_mask);
    ring->order = (unsigned *)(submissions + facts.sq_off.array);
    ring->completed = (unsigned *)(completions + facts.cq_off.head);
    ring->completed_tail = (unsigned *)(completions + facts.cq_off.tail);
    ring->completed_mask = *(unsigned *)(completions + facts.cq_off.ring_mask);
    ring->results = (struct io_uring_cqe *)(completions + facts.cq_off.cqes);
    if (tells_of_short_sends(ring)) return ring;
    mesh_ring_destroy(ring);
    errno = ENOSYS;
    return NULL;
}

void mesh_ring_destroy(struct mesh_ring *ring) {
    if (ring->entries) munmap(ring->entries, ring->entries_size);
    if (ring->completions) munmap(ring->completions, ring->completions_size);
    if (ring->submissions) munmap(ring->submissions, ring->submissions_size);
    close(ring->descriptor);
    free(ring);
}

uint8_t *mesh_ring_place(struct mesh_ring *ring) { return ring->held < PLACES && !ring->failed ? ring->places[ring->held] : NULL; }

void mesh_ring_hold(struct mesh_ring *ring, int descriptor, size_t count) {
    size_t place = ring->held++;
    ring->length[place] = count;
    ring->sent[place] = (ssize_t)count;
    add_send(ring, descriptor, ring->places[place], count, place);
}

static size_t count_unsent(struct mesh_ring *ring) {
    size_t unsent = 0;
    for (size_t place = 0; place < ring->held; place++) unsent += ring->sent[place] != (ssize_t)ring->length[place];
    ring->held = 0;
    return unsent;
}

size_t mesh_ring_submit(struct mesh_ring *ring) {
    enter(ring, 0, 0);
    take_back(ring);
    read_results(ring);
    return count_unsent(ring);
}

size_t mesh_ring_submit_and_wait(struct mesh_ring *ring, int epoll) {
    if (!ring->watches) {
        struct io_uring_sqe *entry = add(ring);
        entry->opcode = IORING_OP_POLL_ADD;
        entry->fd = epoll;
        entry->poll32_events = EPOLLIN;
        entry->user_data = WATCH;
        ring->watches = true;
    }
    enter(ring, 1, IORING_ENTER_GETEVENTS);
    take_back(ring);
    read_results(ring);
    return count_unsent(ring);
}

const uint8_t *mesh_ring_unsent(struct mesh_ring *ring, size_t place, size_t *count) {
    size_t sent = ring->sent[place] > 0 ? (size_t)ring->sent[place] : 0;
    *count = ring->length[place] - sent;
    return ring->places[place] + sent;
}
