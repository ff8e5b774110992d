// What the upstream and the load tools of the benchmark agree on: the clock, the event, the pattern of large bodies, and how a
// run ends when something is wrong. Must never be lenient: whatever is not as expected ends the run.

#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000LL
#define NS_PER_US 1000LL

// One event: `data: {"number":000001,"sent_ns":0000000000000000000,"content":"xxx…"}` and an empty line, always of this length.
#define EVENT_BYTES 200
#define EVENT_HEAD "data: {\"number\":"
#define EVENT_NUMBER_AT 16
#define EVENT_SENT_AT 33
#define EVENT_FILLER_AT 64
#define EVENT_TAIL "\"}\n\n"

// Large bodies repeat this many bytes, which no power of two divides, so that a lost or doubled buffer is seen.
#define PATTERN_BYTES 65521
#define HEAD_BYTES_MAX 4096

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static inline void *allocate(size_t count, size_t bytes) {
    void *memory = calloc(count, bytes);
    if (!memory) fail("out of memory");
    return memory;
}

// As many descriptors as the system allows, timers without slack, and write errors as error codes.
static inline void prepare_process(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_TIMERSLACK, 1);
    signal(SIGPIPE, SIG_IGN);
}

static inline void set_nonblocking(int descriptor) {
    fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

static inline void set_nodelay(int descriptor) {
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

// Twice the pattern, so that a whole one starts at every offset below PATTERN_BYTES.
static inline unsigned char *make_pattern(void) {
    unsigned char *pattern = allocate(2, PATTERN_BYTES);
    uint32_t state = 1;
    for (int index = 0; index < PATTERN_BYTES; index++) {
        state = state * 1664525u + 1013904223u;
        pattern[index] = pattern[index + PATTERN_BYTES] = (unsigned char)(state >> 24);
    }
    return pattern;
}

// Whether `bytes` are what stands at `offset` of a large body.
static inline int follows_pattern(const unsigned char *pattern, int64_t offset, const unsigned char *bytes, size_t count) {
    while (count > 0) {
        size_t part = count < PATTERN_BYTES ? count : PATTERN_BYTES;
        if (memcmp(pattern + offset % PATTERN_BYTES, bytes, part) != 0) return 0;
        offset += (int64_t)part, bytes += part, count -= part;
    }
    return 1;
}

// The value of a header in a head that ends with a NUL, or NULL. `name` begins with "\n" and ends with ":".
static inline const char *header(const char *head, const char *name) {
    const char *found = strcasestr(head, name);
    if (!found) return NULL;
    found += strlen(name);
    while (*found == ' ') found++;
    return found;
}

#endif
