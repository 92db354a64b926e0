// stdout and stderr of the service are FIFOs that the service itself holds open for reading too: it neither ends nor blocks
// when this process goes, and the next one reads on.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

enum { line_limit = 8192, pending_limit = 32768, prefix_limit = 96, error_line_limit = 400 };

struct stream {
    int fifo;
    const char *name;
    char line[line_limit];
    size_t used;
};

static struct stream streams[2] = {{-1, "out", {0}, 0}, {-1, "err", {0}, 0}};
static int log_file = -1;
static int64_t log_length = 0;
static char pending[pending_limit];
static size_t pending_used = 0;
static bool torn = false;  // the file ends within a line
static int64_t dropped = 0, dropped_reported = 0;
static int dropped_because = 0;
static char incarnation[uuid_length + 1] = "-";
static char last_error_line[error_line_limit + 1];
static bool in_backtrace;

static int open_fifo(const char *path) {
    struct stat status;
    if (lstat(path, &status) == 0 && !S_ISFIFO(status.st_mode)) unlink(path);
    if (mkfifo(path, 0600) < 0 && errno != EEXIST) return -1;
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

static void open_log(void) {
    log_file = open("log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct stat status;
    log_length = log_file >= 0 && fstat(log_file, &status) == 0 ? status.st_size : 0;
}

// Between two writes, each of which is of whole lines: no line is in two files. Who reads the old file goes on reading it.
static void rotate(void) {
    if (log_length < options.log_limit) return;
    char old[24], older[24];
    for (int i = options.log_kept; i >= 1; i--) {
        snprintf(older, sizeof older, "log.%d", i);
        snprintf(old, sizeof old, i > 1 ? "log.%d" : "log", i - 1);
        rename(old, older);
    }
    close(log_file);
    torn = false;
    open_log();
}

int output_prepare(void) {
    streams[0].fifo = open_fifo("stdout");
    streams[1].fifo = open_fifo("stderr");
    open_log();
    return streams[0].fifo < 0 || streams[1].fifo < 0 ? -1 : 0;
}

int output_descriptor(int stream) { return streams[stream].fifo; }
void output_incarnation(const char *uuid) {
    snprintf(incarnation, sizeof incarnation, "%s", uuid);
    last_error_line[0] = 0;
    in_backtrace = false;
}
const char *output_last_error_line(void) { return last_error_line; }
int64_t output_position(void) { return log_length; }
int64_t output_dropped(void) { return dropped; }

static int write_prefix(char *text, const char *stream) {
    // Civil date from a day count: https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    int64_t ns = unix_ns(), second = ns / 1000000000, day = second / 86400 + 719468, rest = second % 86400;
    int64_t era = day / 146097, doe = day - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    return snprintf(
        text, prefix_limit, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ %s %s ", (int)year, (int)month, (int)(doy - (153 * mp + 2) / 5 + 1),
        (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60), (int)(ns % 1000000000 / 1000), incarnation, stream);
}

static bool write_out(const char *text, size_t length, size_t *written) {
    *written = 0;
    while (*written < length) {
        ssize_t count = write(log_file, text + *written, length - *written);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            dropped_because = count < 0 ? errno : ENOSPC;
            return false;
        }
        *written += (size_t)count;
        log_length += count;
    }
    return true;
}

// What can't be written is dropped and counted, by lines: a full disk must not stop the service.
static void flush_pending(void) {
    if (pending_used == 0) return;
    if (log_file < 0) open_log();
    else rotate();
    size_t written = 0;
    bool whole = log_file >= 0;
    if (log_file < 0) dropped_because = errno;
    if (whole && torn) {
        whole = write_out("\n", 1, &written);
        torn = !whole;
        written = 0;
    }
    if (whole && !write_out(pending, pending_used, &written)) torn = written > 0 && pending[written - 1] != '\n';
    for (size_t i = written; i < pending_used; i++) dropped += pending[i] == '\n';
    whole = whole && written == pending_used;
    pending_used = 0;
    if (whole && dropped > dropped_reported) {
        char note[prefix_limit + 160];
        int length = write_prefix(note, "shim");
        length += snprintf(
            note + length, sizeof note - (size_t)length, "%lld lines were lost: %s; free some space\n", (long long)(dropped - dropped_reported),
            strerror(dropped_because));
        if (write_out(note, (size_t)length, &written)) {
            dropped_reported = dropped;
            control_send("log_dropped total=%lld", (long long)dropped);
        } else torn = written > 0;
    }
}

static void add_line(const char *stream, const char *text, size_t length) {
    if (pending_used + prefix_limit + length + 1 > sizeof pending) flush_pending();
    pending_used += (size_t)write_prefix(pending + pending_used, stream);
    memcpy(pending + pending_used, text, length);
    pending_used += length;
    pending[pending_used++] = '\n';
}

static bool begins(const char *text, size_t length, const char *beginning) {
    size_t wanted = strlen(beginning);
    return length >= wanted && memcmp(text, beginning, wanted) == 0;
}

// The last line says why a process ended, but for a backtrace of the Swift runtime: there it is what came before, or its heading.
static void keep_error_line(const char *text, size_t length) {
    bool crashed = begins(text, length, "*** Program crashed: ");
    if (in_backtrace && !crashed) return;
    in_backtrace = crashed || begins(text, length, "*** Signal ");
    if (in_backtrace && (!crashed || strstr(last_error_line, "Fatal error: "))) return;
    size_t kept = length < error_line_limit ? length : error_line_limit;
    memcpy(last_error_line, text, kept);
    last_error_line[kept] = 0;
    for (size_t i = 0; i < kept; i++)
        if ((unsigned char)last_error_line[i] < ' ') last_error_line[i] = ' ';
}

static void end_line(struct stream *stream) {
    add_line(stream->name, stream->line, stream->used);
    if (stream == &streams[1] && stream->used > 0) keep_error_line(stream->line, stream->used);
    stream->used = 0;
}

static void take(struct stream *stream, const char *bytes, size_t count) {
    while (count > 0) {
        const char *newline = memchr(bytes, '\n', count);
        size_t length = newline ? (size_t)(newline - bytes) : count, room = sizeof stream->line - stream->used;
        // A line longer than the buffer goes on in the next one.
        if (length > room) {
            memcpy(stream->line + stream->used, bytes, room);
            stream->used += room;
            bytes += room, count -= room;
            end_line(stream);
            continue;
        }
        memcpy(stream->line + stream->used, bytes, length);
        stream->used += length;
        bytes += length, count -= length;
        if (newline) {
            bytes++, count--;
            end_line(stream);
        }
    }
}

bool output_drain(size_t limit) {
    static char bytes[16384];
    bool more = false;
    for (int i = 0; i < 2; i++) {
        size_t total = 0;
        ssize_t count = 0;
        while (total < limit && (count = read(streams[i].fifo, bytes, sizeof bytes)) > 0) {
            take(&streams[i], bytes, (size_t)count);
            total += (size_t)count;
        }
        more = more || (total >= limit && count > 0);
    }
    flush_pending();
    return more;
}

void output_end_lines(void) {
    for (int i = 0; i < 2; i++)
        if (streams[i].used > 0) end_line(&streams[i]);
    flush_pending();
}

void output_note(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    add_line("shim", text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
    flush_pending();
}
