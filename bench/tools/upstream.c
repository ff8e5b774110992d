// The upstream of the stream, memory and body measurements: one thread, one epoll loop, HTTP/1.1 with keep-alive.
// The request header `X-Bench` says what is wanted:
//   stream <events> <interval in µs>   server-sent events, each with its number and the time at which it was written
//   down <bytes>                       a body of the agreed pattern, with its length
//   up                                 `{"received":<bytes>}`, after checking that the body follows the pattern
//   (absent)                           the fixed JSON that is given as the second argument
// Must never close a connection by itself, and never go on after a request that it does not understand.
//
// upstream PORT REPLY

#define _GNU_SOURCE
#include "wire.h"

#define READ_BYTES 262144
#define READY_MAX 512
#define CONNECTIONS_MAX 65536

enum state { READING_HEAD, READING_BODY, STREAMING, SENDING };

struct connection {
    int descriptor;
    enum state state;
    int head_bytes;
    int64_t body_bytes, body_left;
    int checks_body;
    int events, next_event;
    int64_t interval_ns, due_ns;
    struct connection *earlier, *later;
    int64_t sent, to_send;
    char head[HEAD_BYTES_MAX + 1];
};

static int epoll;
static struct connection *connections[CONNECTIONS_MAX];
// Streams in the order in which their next events are due.
static struct connection *first_due, *last_due;
static const char *fixed_reply;
static unsigned char *pattern;

static void schedule(struct connection *self) {
    struct connection *before = last_due;
    while (before && before->due_ns > self->due_ns) before = before->earlier;
    self->earlier = before;
    self->later = before ? before->later : first_due;
    *(self->earlier ? &self->earlier->later : &first_due) = self;
    *(self->later ? &self->later->earlier : &last_due) = self;
}

static void unschedule(struct connection *self) {
    *(self->earlier ? &self->earlier->later : &first_due) = self->later;
    *(self->later ? &self->later->earlier : &last_due) = self->earlier;
}

static void forget(struct connection *self) {
    if (self->state == STREAMING) unschedule(self);
    close(self->descriptor);
    connections[self->descriptor] = NULL;
    free(self);
}

static void watch(struct connection *self, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = self->descriptor};
    epoll_ctl(epoll, EPOLL_CTL_MOD, self->descriptor, &event);
}

// Writes all of it, or fails: what is written here always fits into the socket's buffer. Returns 0 when the peer is gone.
static int write_whole(struct connection *self, const char *text, size_t bytes) {
    ssize_t written = write(self->descriptor, text, bytes);
    if (written == (ssize_t)bytes) return 1;
    if (written < 0 && (errno == EPIPE || errno == ECONNRESET)) return forget(self), 0;
    fail("upstream: the proxy does not read: %zd of %zu bytes", written, bytes);
}

static void await_request(struct connection *self) {
    self->state = READING_HEAD;
    self->head_bytes = 0;
}

// Writes the next event, after the head when it is the first, and before the end of the body when it is the last.
static void write_event(struct connection *self) {
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    char text[sizeof head + EVENT_BYTES + 32];
    int at = 0, number = ++self->next_event;
    if (number == 1) at = sprintf(text, "%s", head);
    at += sprintf(text + at, "%x\r\n", EVENT_BYTES);
    char *event = text + at;
    memset(event, 'x', EVENT_BYTES);
    int bytes = sprintf(event, EVENT_HEAD "%06d,\"sent_ns\":%019lld,\"content\":\"", number, (long long)now_ns());
    event[bytes] = 'x';
    memcpy(event + EVENT_BYTES - strlen(EVENT_TAIL), EVENT_TAIL, strlen(EVENT_TAIL));
    at += EVENT_BYTES;
    at += sprintf(text + at, number == self->events ? "\r\n0\r\n\r\n" : "\r\n");

    unschedule(self);
    if (number < self->events) {
        self->due_ns += self->interval_ns;
        schedule(self);
    } else {
        await_request(self);
    }
    write_whole(self, text, (size_t)at);
}

static void start_stream(struct connection *self, int events, int64_t interval_us) {
    if (events < 1 || events > 999999 || interval_us < 1) fail("upstream: a stream needs events and an interval");
    self->state = STREAMING;
    self->events = events;
    self->next_event = 0;
    self->interval_ns = interval_us * NS_PER_US;
    self->due_ns = now_ns();
    schedule(self);
    write_event(self);
}

static void continue_sending(struct connection *self) {
    while (self->sent < self->to_send) {
        int64_t offset = self->sent % PATTERN_BYTES, left = self->to_send - self->sent;
        size_t part = (size_t)(left < PATTERN_BYTES ? left : PATTERN_BYTES);
        ssize_t written = write(self->descriptor, pattern + offset, part);
        if (written < 0 && errno == EAGAIN) return watch(self, EPOLLIN | EPOLLOUT);
        if (written < 0) return forget(self);
        self->sent += written;
    }
    watch(self, EPOLLIN);
    await_request(self);
}

static void answer(struct connection *self) {
    char text[2048];
    long long bytes, interval_us;
    int events;
    const char *wanted = header(self->head, "\nX-Bench:");
    if (wanted && sscanf(wanted, "stream %d %lld", &events, &interval_us) == 2) {
        start_stream(self, events, interval_us);
    } else if (wanted && sscanf(wanted, "down %lld", &bytes) == 1) {
        self->state = SENDING;
        self->sent = 0;
        self->to_send = bytes;
        int length = sprintf(text, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %lld\r\n\r\n", bytes);
        if (write_whole(self, text, (size_t)length)) continue_sending(self);
    } else {
        char count[64];
        sprintf(count, "{\"received\":%lld}", (long long)self->body_bytes);
        const char *reply = self->checks_body ? count : fixed_reply;
        int length = snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                              strlen(reply), reply);
        await_request(self);
        write_whole(self, text, (size_t)length);
    }
}

static void take_body(struct connection *self, const unsigned char *bytes, size_t count) {
    if ((int64_t)count > self->body_left) fail("upstream: more than one request at once");
    int64_t offset = self->body_bytes - self->body_left;
    if (self->checks_body && !follows_pattern(pattern, offset, bytes, count)) fail("upstream: the body is not what was sent");
    self->body_left -= (int64_t)count;
    if (self->body_left == 0) answer(self);
}

static void take_head(struct connection *self, const char *bytes, size_t count) {
    size_t room = HEAD_BYTES_MAX - (size_t)self->head_bytes, copied = count < room ? count : room;
    memcpy(self->head + self->head_bytes, bytes, copied);
    int before = self->head_bytes;
    self->head_bytes += (int)copied;
    self->head[self->head_bytes] = 0;
    char *end = strstr(self->head, "\r\n\r\n");
    if (!end && copied < count) fail("upstream: a head of more than %d bytes", HEAD_BYTES_MAX);
    if (!end) return;

    size_t used = (size_t)(end + 4 - self->head) - (size_t)before;
    end[2] = 0;
    if (header(self->head, "\nTransfer-Encoding:")) fail("upstream: only requests with a length are understood");
    const char *length = header(self->head, "\nContent-Length:");
    const char *wanted = header(self->head, "\nX-Bench:");
    self->body_bytes = self->body_left = length ? atoll(length) : 0;
    self->checks_body = wanted && strncmp(wanted, "up", 2) == 0;
    self->state = READING_BODY;
    take_body(self, (const unsigned char *)bytes + used, count - used);
}

static void read_some(struct connection *self) {
    static char buffer[READ_BYTES];
    ssize_t count = read(self->descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return forget(self);
    if (self->state == READING_HEAD) return take_head(self, buffer, (size_t)count);
    if (self->state == READING_BODY) return take_body(self, (unsigned char *)buffer, (size_t)count);
    fail("upstream: a request before the answer to the one before");
}

static void accept_all(int listener) {
    int descriptor;
    while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (descriptor >= CONNECTIONS_MAX) fail("upstream: too many connections");
        struct connection *self = allocate(1, sizeof *self);
        self->descriptor = descriptor;
        connections[descriptor] = self;
        set_nodelay(descriptor);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
        epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
    }
    if (errno != EAGAIN && errno != ECONNABORTED) fail("upstream: accept: %s", strerror(errno));
}

static int start_listening(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in address = loopback(port);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) fail("upstream: %s", strerror(errno));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    return listener;
}

int main(int count, char **arguments) {
    if (count != 3) fail("upstream PORT REPLY");
    prepare_process();
    fixed_reply = arguments[2];
    if (strlen(fixed_reply) > 1024) fail("upstream: the reply is too long");
    pattern = make_pattern();
    epoll = epoll_create1(0);
    int listener = start_listening(atoi(arguments[1]));
    for (;;) {
        struct epoll_event ready[READY_MAX];
        int64_t wait_ns = first_due ? first_due->due_ns - now_ns() : NS_PER_SECOND;
        if (wait_ns < 0) wait_ns = 0;
        struct timespec wait = {wait_ns / NS_PER_SECOND, wait_ns % NS_PER_SECOND};
        int number = epoll_pwait2(epoll, ready, READY_MAX, &wait, NULL);
        for (int index = 0; index < number; index++) {
            struct connection *self = connections[ready[index].data.fd];
            if (ready[index].data.fd == listener) accept_all(listener);
            else if (self && self->state == SENDING && (ready[index].events & EPOLLOUT)) continue_sending(self);
            else if (self) read_some(self);
        }
        // At most one round of what is due, so that requests are not starved by events.
        int64_t now = now_ns();
        for (int events = 0; events < READY_MAX && first_due && first_due->due_ns <= now; events++) write_event(first_due);
    }
}
