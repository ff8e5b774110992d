// One large body through a proxy, up or down, on one blocking connection; tells the time it took as one line of JSON.
// Must never report a time when a byte is missing or wrong.
//
// body up|down PORT BYTES

#define _GNU_SOURCE
#include "wire.h"

#define READ_BYTES 262144
#define SECONDS_MAX 60

static int connect_to(int port) {
    struct sockaddr_in address = loopback(port);
    struct timeval wait = {SECONDS_MAX, 0};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    set_nodelay(descriptor);
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address)) fail("body: connect: %s", strerror(errno));
    return descriptor;
}

static void write_all(int descriptor, const void *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(descriptor, bytes, count);
        if (written <= 0) fail("body: %zu bytes before the end of a part: %s", count, strerror(errno));
        bytes = (const char *)bytes + written, count -= (size_t)written;
    }
}

static void send_pattern(int descriptor, const unsigned char *pattern, int64_t bytes) {
    for (int64_t sent = 0; sent < bytes;) {
        // Each part is a whole pattern, but for the last one.
        size_t part = bytes - sent < PATTERN_BYTES ? (size_t)(bytes - sent) : PATTERN_BYTES;
        write_all(descriptor, pattern, part);
        sent += (int64_t)part;
    }
}

// Reads the head of the answer, checks it, and returns how many bytes of the body came with it, moved to the buffer's begin.
static size_t read_head(int descriptor, char *buffer, long long *length) {
    size_t have = 0;
    for (;;) {
        ssize_t count = read(descriptor, buffer + have, HEAD_BYTES_MAX - have);
        if (count <= 0) fail("body: the answer ends in its head");
        have += (size_t)count;
        buffer[have] = 0;
        char *end = strstr(buffer, "\r\n\r\n");
        if (!end && have == HEAD_BYTES_MAX) fail("body: the answer's head is too long");
        if (!end) continue;
        end[2] = 0;
        const char *told = header(buffer, "\nContent-Length:");
        if (strncmp(buffer, "HTTP/1.1 200 ", 13) || !told) fail("body: the answer is %s", buffer);
        *length = atoll(told);
        size_t head = (size_t)(end + 4 - buffer);
        memmove(buffer, buffer + head, have - head);
        return have - head;
    }
}

static void check_reply(int descriptor, char *buffer, size_t have, long long length, long long bytes) {
    char expected[64];
    int expected_bytes = sprintf(expected, "{\"received\":%lld}", bytes);
    while ((long long)have < length && have < HEAD_BYTES_MAX) {
        ssize_t count = read(descriptor, buffer + have, HEAD_BYTES_MAX - have);
        if (count <= 0) fail("body: the answer ends early");
        have += (size_t)count;
    }
    if (length != expected_bytes || memcmp(buffer, expected, (size_t)expected_bytes)) fail("body: the upstream saw %.*s", (int)have, buffer);
}

static void check_body(int descriptor, const unsigned char *pattern, char *buffer, size_t have, long long length, long long bytes) {
    if (length != bytes) fail("body: %lld bytes are announced, not %lld", length, bytes);
    int64_t received = 0;
    for (size_t count = have;;) {
        if (received + (int64_t)count > bytes || !follows_pattern(pattern, received, (unsigned char *)buffer, count))
            fail("body: wrong bytes after %lld", (long long)received);
        received += (int64_t)count;
        if (received == bytes) return;
        ssize_t more = read(descriptor, buffer, READ_BYTES);
        if (more <= 0) fail("body: ended after %lld bytes", (long long)received);
        count = (size_t)more;
    }
}

int main(int count, char **arguments) {
    if (count != 4) fail("body up|down PORT BYTES");
    prepare_process();
    int up = strcmp(arguments[1], "up") == 0, port = atoi(arguments[2]);
    long long bytes = atoll(arguments[3]), length;
    unsigned char *pattern = make_pattern();
    char *buffer = allocate(READ_BYTES + 1, 1), wanted[64] = "up", head[512];
    if (!up) sprintf(wanted, "down %lld", bytes);
    int head_bytes = sprintf(head,
        "POST /v1/files HTTP/1.1\r\nHost: bench.test\r\nContent-Type: application/octet-stream\r\n"
        "Authorization: Bearer sk-bench%043d\r\nX-Bench: %s\r\nContent-Length: %lld\r\n\r\n", 1, wanted, up ? bytes : 0LL);

    int descriptor = connect_to(port);
    int64_t started_ns = now_ns();
    write_all(descriptor, head, (size_t)head_bytes);
    if (up) send_pattern(descriptor, pattern, bytes);
    size_t have = read_head(descriptor, buffer, &length);
    if (up) check_reply(descriptor, buffer, have, length, bytes);
    else check_body(descriptor, pattern, buffer, have, length, bytes);
    printf("{\"bytes\":%lld,\"duration_us\":%.0f}\n", bytes, (double)(now_ns() - started_ns) / 1e3);
    return 0;
}
