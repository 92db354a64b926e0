// One line per fact, each by one write to a file in append mode: whoever reads it after a kill -9 of this process finds whole
// lines. It is not synced: it speaks of processes, which a crash of the host ends too, and the boot id tells.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "CMeshSystem.h"
#include "shim.h"

enum { record_limit = 256 << 10, record_kept = 32 << 10 };

static int record_file = -1;
static bool failed = false;
static char boot[37] = "-";

bool record_failed(void) { return failed; }

// The last `capacity - 1` bytes, from the start of a line on.
static char *read_tail(size_t capacity) {
    int file = open("record", O_RDONLY | O_CLOEXEC);
    if (file < 0) return NULL;
    struct stat status;
    char *text = NULL;
    if (fstat(file, &status) == 0 && (text = malloc(capacity))) {
        off_t from = status.st_size > (off_t)capacity - 1 ? status.st_size - ((off_t)capacity - 1) : 0;
        ssize_t count = pread(file, text, capacity - 1, from);
        text[count > 0 ? count : 0] = 0;
        char *line = from > 0 ? strchr(text, '\n') : NULL;
        if (line) memmove(text, line + 1, strlen(line + 1) + 1);
    }
    close(file);
    return text;
}

static void open_record(void) {
    record_file = open("record", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    failed = record_file < 0;
}

static void shorten(void) {
    struct stat status;
    if (fstat(record_file, &status) < 0 || status.st_size < record_limit) return;
    char *text = read_tail(record_kept);
    int file = open("record.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool whole = text && file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0) close(file);
    free(text);
    if (!whole || rename("record.new", "record") < 0) return;
    close(record_file);
    open_record();
}

void record_append(const char *line) {
    char text[message_limit];
    int length = snprintf(text, sizeof text, "%s boot=%s\n", line, boot);
    if (length >= (int)sizeof text) length = (int)sizeof text - 1;
    // The last field may be free text: the boot id comes before it.
    const char *rest = strstr(line, " stderr=");
    if (rest) length = snprintf(text, sizeof text, "%.*s boot=%s%s\n", (int)(rest - line), line, boot, rest);
    if (record_file < 0) open_record();
    ssize_t written = record_file < 0 ? -1 : write(record_file, text, (size_t)length);
    if (written >= 0 && written < length && ftruncate(record_file, lseek(record_file, 0, SEEK_END) - written) < 0) written = -1;
    failed = written != length;
    if (!failed) shorten();
}

void record_prepare(void) {
    mesh_boot_id(boot);
    open_record();
    char line[160];
    snprintf(
        line, sizeof line, "shim pid=%d start=%lld time=%lld", (int)getpid(), (long long)mesh_process_start_time(getpid()), (long long)unix_ns());
    record_append(line);
}

bool record_unfinished(struct incarnation *found) {
    char *text = read_tail(record_kept), *rest = text, *line;
    char line_boot[37], uuid[uuid_length + 1];
    bool open = false;
    while (text && (line = strsep(&rest, "\n"))) {
        int process;
        long long start_time, started_ns;
        if (sscanf(line, "start uuid=%36s pid=%d start=%lld time=%lld", uuid, &process, &start_time, &started_ns) == 4) {
            char *of = strstr(line, " boot=");
            open = of && sscanf(of, " boot=%36s", line_boot) == 1 && strcmp(line_boot, boot) == 0;
            memcpy(found->uuid, uuid, sizeof uuid);
            found->process = process;
            found->start_time = start_time;
            found->started_ns = started_ns;
        } else if (sscanf(line, "exit uuid=%36s", uuid) == 1 && strcmp(uuid, found->uuid) == 0) open = false;
    }
    free(text);
    return open;
}
