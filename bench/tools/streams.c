// The client of the stream and memory measurements: one thread, one epoll loop. It opens connections evenly over a time, sends
// one request at a time on each, checks every event (number, length, frame) and tells times as one line of JSON.
// Must never report figures when an event is missing, doubled or damaged, or a connection ended.
//
// streams run   PORT STREAMS INTERVAL_US EVENTS REPEATS RAMP_US PID…
//     Every connection has REPEATS streams of EVENTS events, one after the other. CPU time of the processes and latencies are
//     those of the window between the first event of the last connection and the end of the first one.
// streams hold  PORT CONNECTIONS RAMP_US INTERVAL_US EVENTS
//     Opens the connections, prints `open` once each had its answer (INTERVAL_US 0: the fixed reply; otherwise one event of a
//     stream that goes on), keeps them until standard input ends, and checks that all are still there.

#define _GNU_SOURCE
#include "wire.h"

#define READ_BYTES 65536
#define READY_MAX 512
#define PIDS_MAX 64
#define BODY_BYTES 300
#define SECONDS_MAX 120

enum framing { HEAD, SIZE, DATA, DATA_END, LAST_END, BY_LENGTH, DONE };

struct stream {
    int descriptor, number, connected;
    enum framing framing;
    int head_bytes, size_digits, line_bytes;
    int64_t left;
    int64_t asked_ns;
    int events, repeats_done, record_bytes;
    int64_t all_events;
    char head[1024];
    char record[EVENT_BYTES];
};

struct samples {
    int64_t *values;
    size_t count, room;
};

static int epoll, port, count, events_per_stream, repeats, holds;
static int64_t interval_us, ramp_ns;
static struct stream *streams;
static int opened, begun, finished;
static struct samples first_event, latency;
static pid_t pids[PIDS_MAX];
static int pid_count;
static struct { int open, closed; int64_t at_ns, cpu_ns, events, end_ns, end_cpu_ns, end_events; } window;
static int64_t events_seen;

// User and system time of the watched processes so far. The clock of a process is named by its id: clock_getcpuclockid(3).
static int64_t watched_cpu_ns(void) {
    int64_t sum = 0;
    for (int index = 0; index < pid_count; index++) {
        struct timespec time;
        clockid_t clock;
        if (clock_getcpuclockid(pids[index], &clock) || clock_gettime(clock, &time)) fail("streams: process %d is gone", pids[index]);
        sum += time.tv_sec * NS_PER_SECOND + time.tv_nsec;
    }
    return sum;
}

static void keep(struct samples *samples, int64_t value) {
    if (samples->count == samples->room) fail("streams: more events than were asked for");
    samples->values[samples->count++] = value;
}

static int ascending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double quantile_us(struct samples *samples, double share) {
    if (samples->count == 0) return 0;
    qsort(samples->values, samples->count, sizeof *samples->values, ascending);
    return (double)samples->values[(size_t)(share * (double)(samples->count - 1))] / 1e3;
}

static void watch(struct stream *self, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u32 = (uint32_t)self->number};
    epoll_ctl(epoll, operation, self->descriptor, &event);
}

static void ask(struct stream *self) {
    static char body[BODY_BYTES + 1];
    char text[1024], wanted[64] = "";
    if (!*body) {
        const char *start = "{\"model\":\"gpt-4o-mini\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"";
        memset(body, 'x', BODY_BYTES);
        memcpy(body, start, strlen(start));
        memcpy(body + BODY_BYTES - 4, "\"}]}", 4);
    }
    if (interval_us) sprintf(wanted, "X-Bench: stream %d %lld\r\n", events_per_stream, (long long)interval_us);
    int bytes = sprintf(text,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: bench.test\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer sk-bench%043d\r\n%sContent-Length: %d\r\n\r\n%s", self->number + 1, wanted, BODY_BYTES, body);
    self->framing = HEAD;
    self->head_bytes = self->events = self->record_bytes = 0;
    self->asked_ns = now_ns();
    if (write(self->descriptor, text, (size_t)bytes) != bytes) fail("streams: cannot send request %d: %s", self->number, strerror(errno));
}

static void open_one(void) {
    struct stream *self = &streams[opened];
    struct sockaddr_in address = loopback(port);
    self->number = opened++;
    self->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (self->descriptor < 0) fail("streams: connection %d: %s", self->number, strerror(errno));
    set_nodelay(self->descriptor);
    if (connect(self->descriptor, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)
        fail("streams: connection %d: %s", self->number, strerror(errno));
    watch(self, EPOLL_CTL_ADD, EPOLLOUT);
}

static void answer_began(struct stream *self) {
    self->all_events++;
    if (self->repeats_done > 0 || ++begun < count) return;
    window.open = 1;
    window.events = events_seen;
    window.cpu_ns = watched_cpu_ns();
    window.at_ns = now_ns();
}

static void answer_ended(struct stream *self) {
    self->framing = DONE;
    if (interval_us && self->events != events_per_stream) fail("streams: stream %d ended after %d events", self->number, self->events);
    if (++self->repeats_done < repeats) return ask(self);
    if (!holds && ++finished == 1) {
        if (!window.open) fail("streams: a stream ended before the last one began: ask for more events");
        window.closed = 1;
        window.end_events = events_seen;
        window.end_cpu_ns = watched_cpu_ns();
        window.end_ns = now_ns();
    }
}

static void take_event(struct stream *self, int64_t arrived_ns) {
    const char *record = self->record, *filler = record + EVENT_FILLER_AT;
    int number = atoi(record + EVENT_NUMBER_AT);
    if (memcmp(record, EVENT_HEAD, strlen(EVENT_HEAD)) || number != self->events + 1 ||
        memcmp(record + EVENT_BYTES - strlen(EVENT_TAIL), EVENT_TAIL, strlen(EVENT_TAIL)) ||
        *filler != 'x' || memcmp(filler, filler + 1, EVENT_BYTES - strlen(EVENT_TAIL) - EVENT_FILLER_AT - 1))
        fail("streams: stream %d: a damaged event after %d: %.*s", self->number, self->events, EVENT_BYTES, record);
    self->events++;
    events_seen++;
    if (!holds && window.open && !window.closed) keep(&latency, arrived_ns - atoll(record + EVENT_SENT_AT));
    if (self->events == 1) {
        if (!holds) keep(&first_event, arrived_ns - self->asked_ns);
        answer_began(self);
    } else {
        self->all_events++;
    }
}

static void take_data(struct stream *self, const char *bytes, size_t number, int64_t arrived_ns) {
    while (interval_us && number > 0) {
        size_t room = EVENT_BYTES - (size_t)self->record_bytes, part = number < room ? number : room;
        memcpy(self->record + self->record_bytes, bytes, part);
        self->record_bytes += (int)part, bytes += part, number -= part;
        if (self->record_bytes == EVENT_BYTES) {
            self->record_bytes = 0;
            take_event(self, arrived_ns);
        }
    }
}

static void end_head(struct stream *self) {
    self->head[self->head_bytes] = 0;
    if (strncmp(self->head, "HTTP/1.1 200 ", 13)) fail("streams: request %d got %s", self->number, self->head);
    const char *length = header(self->head, "\nContent-Length:"), *coding = header(self->head, "\nTransfer-Encoding:");
    const char *connection = header(self->head, "\nConnection:");
    if (connection && strncasecmp(connection, "close", 5) == 0) fail("streams: connection %d is not kept", self->number);
    self->left = length ? atoll(length) : 0;
    self->size_digits = self->line_bytes = 0;
    self->framing = coding ? SIZE : BY_LENGTH;
    if (!coding && !self->left) fail("streams: the answer to %d has no body", self->number);
    if (!interval_us) answer_began(self);
}

// One byte of a line that ends a chunk or tells a size. Chunk extensions and trailers are not expected.
static void take_line_byte(struct stream *self, char byte) {
    int is_end = byte == '\n';
    if (self->framing == SIZE && !is_end && byte != '\r') {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, byte | 0x20);
        if (!digit || !byte || ++self->size_digits > 7) fail("streams: stream %d: a damaged chunk size", self->number);
        self->left = self->left * 16 + (digit - digits);
    } else if (self->framing != SIZE && !is_end && byte != '\r') {
        fail("streams: stream %d: a chunk does not end where it says", self->number);
    }
    if (!is_end) return;
    if (self->framing == LAST_END) return answer_ended(self);
    if (self->framing == DATA_END) self->framing = SIZE, self->left = 0;
    else self->framing = self->left ? DATA : LAST_END;
    self->size_digits = 0;
}

static void take(struct stream *self, const char *bytes, size_t number, int64_t arrived_ns) {
    while (number > 0) {
        size_t part = 1;
        if (self->framing == DONE) fail("streams: stream %d: bytes after the end", self->number);
        if (self->framing == HEAD) {
            if (self->head_bytes >= (int)sizeof self->head - 1) fail("streams: the head of %d is too long", self->number);
            self->head[self->head_bytes++] = *bytes;
            if (self->head_bytes >= 4 && memcmp(self->head + self->head_bytes - 4, "\r\n\r\n", 4) == 0) end_head(self);
        } else if (self->framing == DATA || self->framing == BY_LENGTH) {
            part = (int64_t)number < self->left ? number : (size_t)self->left;
            take_data(self, bytes, part, arrived_ns);
            self->left -= (int64_t)part;
            if (self->left == 0 && self->framing == DATA) self->framing = DATA_END;
            else if (self->left == 0) answer_ended(self);
        } else {
            take_line_byte(self, *bytes);
        }
        bytes += part, number -= part;
    }
}

static void handle(struct stream *self) {
    static char buffer[READ_BYTES];
    if (!self->connected) {
        int error = 0;
        socklen_t bytes = sizeof error;
        getsockopt(self->descriptor, SOL_SOCKET, SO_ERROR, &error, &bytes);
        if (error) fail("streams: connection %d: %s", self->number, strerror(error));
        self->connected = 1;
        watch(self, EPOLL_CTL_MOD, EPOLLIN);
        return ask(self);
    }
    ssize_t number = read(self->descriptor, buffer, sizeof buffer);
    if (number < 0 && errno == EAGAIN) return;
    if (number <= 0) fail("streams: connection %d ended after %d answers and %d events", self->number, self->repeats_done, self->events);
    take(self, buffer, (size_t)number, now_ns());
}

// One round of the loop: opens what is due, waits, handles what is ready. Returns whether standard input had its say.
static int turn(int64_t started_ns, int watches_input) {
    struct epoll_event ready[READY_MAX];
    int64_t now = now_ns(), wait_ns = NS_PER_SECOND / 10;
    if (now - started_ns > SECONDS_MAX * NS_PER_SECOND) fail("streams: not done after %d s: %d of %d began", SECONDS_MAX, begun, count);
    while (opened < count && started_ns + ramp_ns * opened / count <= now) open_one();
    if (opened < count) wait_ns = started_ns + ramp_ns * opened / count - now;
    struct timespec wait = {wait_ns / NS_PER_SECOND, wait_ns % NS_PER_SECOND};
    int number = epoll_pwait2(epoll, ready, READY_MAX, &wait, NULL), input = 0;
    for (int index = 0; index < number; index++) {
        if (ready[index].data.u32 == UINT32_MAX) input = 1;
        else handle(&streams[ready[index].data.u32]);
    }
    return watches_input && input;
}

static void run(void) {
    int64_t started_ns = now_ns();
    while (finished < count) turn(started_ns, 0);
    int64_t asked = (int64_t)count * repeats * events_per_stream;
    if (events_seen != asked) fail("streams: %lld events of %lld", (long long)events_seen, (long long)asked);
    int64_t seen = window.end_events - window.events;
    printf("{\"events\":%lld,\"window_events\":%lld,\"window_us\":%.0f,\"cpu_us\":%.1f,", (long long)events_seen, (long long)seen,
           (double)(window.end_ns - window.at_ns) / 1e3, (double)(window.end_cpu_ns - window.cpu_ns) / 1e3);
    printf("\"latency_p50_us\":%.1f,\"latency_p99_us\":%.1f,", quantile_us(&latency, 0.5), quantile_us(&latency, 0.99));
    printf("\"first_event_p50_us\":%.1f,\"first_event_p99_us\":%.1f}\n", quantile_us(&first_event, 0.5), quantile_us(&first_event, 0.99));
}

static void hold(void) {
    int64_t started_ns = now_ns(), events_min = interval_us ? INT64_MAX : 0;
    while (begun < count || opened < count) turn(started_ns, 0);
    puts("open");
    fflush(stdout);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    while (!turn(started_ns, 1)) continue;
    for (int index = 0; interval_us && index < count; index++)
        if (streams[index].all_events < events_min) events_min = streams[index].all_events;
    printf("{\"connections\":%d,\"events_min\":%lld,\"events\":%lld}\n", count, (long long)events_min, (long long)events_seen);
}

int main(int number, char **arguments) {
    holds = number == 7 && strcmp(arguments[1], "hold") == 0;
    if (!holds && (number < 8 || number - 8 > PIDS_MAX || strcmp(arguments[1], "run"))) fail("streams: see the head of streams.c");
    prepare_process();
    port = atoi(arguments[2]);
    count = atoi(arguments[3]);
    ramp_ns = atoll(arguments[holds ? 4 : 7]) * NS_PER_US;
    interval_us = atoll(arguments[holds ? 5 : 4]);
    events_per_stream = atoi(arguments[holds ? 6 : 5]);
    repeats = holds ? 1 : atoi(arguments[6]);
    for (int index = 8; index < number; index++) pids[pid_count++] = atoi(arguments[index]);
    if (count < 1 || repeats < 1 || events_per_stream < 1) fail("streams: counts start at 1");
    streams = allocate((size_t)count, sizeof *streams);
    size_t samples = (size_t)count * (size_t)repeats * (size_t)events_per_stream;
    if (!holds) {
        latency.values = allocate(latency.room = samples, sizeof(int64_t));
        first_event.values = allocate(first_event.room = (size_t)count * (size_t)repeats, sizeof(int64_t));
    }
    epoll = epoll_create1(0);
    if (holds) hold();
    else run();
    return 0;
}
