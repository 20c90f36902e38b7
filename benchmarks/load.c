/* load.c: a load generator for LLM gateways that costs next to nothing, so that it is not what is measured.
 *
 * One thread, epoll. Keeps a number of connections busy with one request, over and over, and reads the answers: JSON
 * with a length, or server-sent events in chunks, cut anywhere. Prints one JSON object on stdout. Linux only.
 *
 * Every event of the mock (mock.c) carries a stamp, "~q<seq>t<ns>~": its number in the stream, which shows lost and
 * repeated events, and its send time on CLOCK_MONOTONIC, which gives its one-way lag.
 *
 *   load --port N --body FILE [--path P] [--header "name: value"]... [options]
 *
 *   --connections C      connections kept busy                                              (1)
 *   --seconds T          run for T s from the first connect; what is under way then is left out
 *   --each K             stop once each connection has had K answers
 *   --requests K         stop once K requests have ended in any way (T is then the limit)
 *   --warmup W           s at the start that count only for the totals                      (0)
 *   --ramp R             open the connections evenly over R s                               (0: all at once)
 *   --events N           events that a whole stream has, to count lost ones at its end      (0: not checked)
 *   --expect TEXT        what the body of a non-stream answer must hold
 *   --abandon F          fraction of requests that are left at a random moment ...
 *   --abandon-ms M       ... within M ms of their start, half by FIN, half by RST
 *   --timeout S          longest wait for one whole answer                                  (30)
 *   --seed N
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
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

enum { EVENTS = 512, READ = 256 << 10, MAX_HEAD = 64 << 10 };
enum phase { UNOPENED, CONNECTING, WAITING, BODY, RESTING };
enum framing { LENGTH, CHUNKED, UNTIL_CLOSE };
enum chunk_phase { SIZE, EXTENSION, DATA, DATA_END, TRAILER };

struct conn {
    int fd;
    enum phase phase;
    int want_out;
    size_t sent;            /* of the request's bytes */
    int64_t began, abandon_at;
    int used;               /* this connection has carried an answer before */
    int answers;
    /* the answer under way */
    int status, sse, saw_end, first_byte, saw_error;
    enum framing framing;
    size_t left;            /* of the body, or of the chunk */
    enum chunk_phase chunk;
    int trailer_line;
    long next_seq;
    char *buf;              /* the head until it is whole, then the event (or body) until it is whole */
    size_t len, cap, scanned;
};

/* A histogram of ns with 32 steps to each power of two, read at the step's middle: an error of at most 1.6 %. */
struct histogram {
    long count[64 * 64], total;
    int64_t max;
    double sum;
};

static struct {
    long requests, requests_all, events, events_all, lost, repeated, incomplete, error_events, bad_status, connect_errors;
    long reset, timeouts, wrong_body, malformed, abandoned, abandoned_early, reconnects, bytes, open, peak_open, left_over;
    long statuses[600];
    struct histogram latency, first, lag;
    char first_error[400];
} out;

static int epfd;
static struct conn *conns;
static struct sockaddr_in address;
static char *request;
static size_t request_len;
static long connections = 1, each, total_requests, begun, expect_events;
static double seconds, warmup, ramp, abandon, abandon_ms = 100, timeout_s = 30;
static const char *expect;
static int64_t started, counted_from;
static uint64_t rng = 0x9E3779B97F4A7C15u;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double random01(void) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (double)(rng >> 11) * 0x1p-53;
}

static void *must(void *p) {
    if (!p) {
        perror("load: memory");
        exit(1);
    }
    return p;
}

static void record(struct histogram *h, int64_t ns) {
    if (ns < 0) ns = 0;
    int exponent = ns < 64 ? 0 : 63 - __builtin_clzll((uint64_t)ns) - 5;
    int index = exponent * 64 + (int)(ns >> exponent);
    h->count[index < 4095 ? index : 4095]++;
    h->total++;
    h->sum += (double)ns;
    if (ns > h->max) h->max = ns;
}

static double percentile(const struct histogram *h, double p) {
    long want = (long)(p * (double)h->total), seen = 0;
    for (int i = 0; i < 4096; i++) {
        seen += h->count[i];
        if (seen > want) {
            double low = i < 64 ? i : (double)((int64_t)(i % 64) << (i / 64));
            double step = i < 64 ? 1 : (double)((int64_t)1 << (i / 64));
            double value = low + step / 2;
            return value < (double)h->max ? value : (double)h->max;
        }
    }
    return (double)h->max;
}

static void note_error(const char *what, const char *text, size_t len) {
    if (out.first_error[0]) return;
    size_t n = (size_t)snprintf(out.first_error, sizeof out.first_error, "%s: ", what);
    for (size_t i = 0; i < len && n < sizeof out.first_error - 1; i++) {
        unsigned char ch = (unsigned char)text[i];
        out.first_error[n++] = ch < 32 || ch > 126 || ch == '"' || ch == '\\' ? (ch == '"' ? '\'' : ' ') : (char)ch;
    }
    out.first_error[n] = 0;
}

/* ---- connections ---- */

static void arm(struct conn *c, int want) {
    if (c->want_out == want) return;
    c->want_out = want;
    struct epoll_event e = {.events = EPOLLIN | (want ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
}

static void shut(struct conn *c) {
    if (c->fd >= 0) {
        close(c->fd);
        out.open--;
    }
    c->fd = -1;
    c->used = 0;
    c->want_out = 0;
}

static void begin(struct conn *c);

/* Starts the connection's next request, unless there are to be no more. */
static void start(struct conn *c) {
    if ((each && c->answers >= each) || (total_requests && begun >= total_requests)) {
        c->phase = RESTING;
        shut(c);
        return;
    }
    begun++;
    begin(c);
}

/* A request has ended, well or not. */
static void next(struct conn *c) {
    out.requests_all++;
    c->answers++;
    start(c);
}

static void fail(struct conn *c, long *counter, const char *what) {
    ++*counter;
    note_error(what, c->buf, c->phase == BODY || c->phase == WAITING ? c->len : 0);
    shut(c);
    if (counter == &out.connect_errors) {
        /* Not at once: a refusing subject would be hammered, and this core taken from the mock. */
        c->phase = UNOPENED;
        c->began = now_ns();
        c->answers++;
        out.requests_all++;
        return;
    }
    next(c);
}

static void push(struct conn *c) {
    while (c->sent < request_len) {
        ssize_t n = send(c->fd, request + c->sent, request_len - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN) {
                arm(c, 1);
                return;
            }
            if (c->used) { /* closed by the peer while it was idle, which it may do */
                out.reconnects++;
                shut(c);
                begin(c);
            } else {
                fail(c, &out.reset, "send");
            }
            return;
        }
        c->sent += (size_t)n;
    }
    arm(c, 0);
}

static void open_conn(struct conn *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        perror("load: socket");
        exit(1);
    }
    if (++out.open > out.peak_open) out.peak_open = out.open;
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->phase = CONNECTING;
    c->want_out = 1;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &e);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS)
        fail(c, &out.connect_errors, strerror(errno));
}

static void begin(struct conn *c) {
    c->began = now_ns();
    c->abandon_at = abandon > 0 && random01() < abandon ? c->began + (int64_t)(random01() * abandon_ms * 1e6) : 0;
    c->sent = 0;
    c->status = c->sse = c->saw_end = c->first_byte = c->saw_error = 0;
    c->next_seq = 0;
    c->len = c->scanned = 0;
    if (c->fd < 0) {
        open_conn(c);
        return;
    }
    c->phase = WAITING;
    push(c);
}

static void leave(struct conn *c) {
    out.abandoned++;
    if (!c->first_byte) out.abandoned_early++;
    if (random01() < 0.5) {
        struct linger l = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    }
    shut(c);
    next(c);
}

/* ---- the answer ---- */

static void keep(struct conn *c, const char *data, size_t len) {
    if (c->len + len > c->cap) {
        size_t cap = c->cap ? c->cap : 1024;
        while (cap < c->len + len) cap *= 2;
        c->buf = must(realloc(c->buf, cap));
        c->cap = cap;
    }
    memcpy(c->buf + c->len, data, len);
    c->len += len;
}

static int64_t number(const char *at, int digits) {
    int64_t v = 0;
    while (digits--) {
        if (*at < '0' || *at > '9') return -1;
        v = v * 10 + (*at++ - '0');
    }
    return v;
}

static void on_event(struct conn *c, const char *data, size_t len, int64_t now) {
    const char *p = data, *end = data + len;
    int found = 0;
    while ((p = memmem(p, (size_t)(end - p), "~q", 2)) && end - p >= 31) {
        int64_t seq = number(p + 2, 8), at = number(p + 11, 19);
        p += 2;
        if (seq < 0 || at < 0) continue;
        found = 1;
        out.events_all++;
        if (at >= counted_from) {
            out.events++;
            record(&out.lag, now - at);
        }
        if (seq > c->next_seq) out.lost += seq - c->next_seq;
        if (seq < c->next_seq) out.repeated++;
        else c->next_seq = seq + 1;
    }
    if (found) return;
    if (memmem(data, len, "[DONE]", 6) || memmem(data, len, "message_stop", 12)) {
        c->saw_end = 1;
    } else if (memmem(data, len, "\"error\"", 7) || memmem(data, len, "event: error", 12)) {
        out.error_events++;
        c->saw_error = 1;
        note_error("error event", data, len);
    }
}

/* Takes the body's bytes, whatever their framing was. */
static void on_body(struct conn *c, const char *data, size_t len, int64_t now) {
    keep(c, data, len);
    if (!c->sse) return;
    size_t start = 0, scan = c->scanned;
    char *nl;
    while (scan < c->len && (nl = memchr(c->buf + scan, '\n', c->len - scan))) {
        size_t at = (size_t)(nl - c->buf);
        scan = at + 1;
        size_t line_end = at > start && c->buf[at - 1] == '\r' ? at - 1 : at;
        if (line_end > start && c->buf[line_end - 1] != '\n') continue; /* not a blank line */
        if (line_end > start) on_event(c, c->buf + start, at + 1 - start, now);
        start = at + 1;
    }
    if (start) {
        memmove(c->buf, c->buf + start, c->len - start);
        c->len -= start;
    }
    c->scanned = c->len;
}

/* The answer is whole. */
static void complete(struct conn *c, int64_t now, int must_close) {
    int good = c->status == 200;
    if (!good) {
        out.bad_status++;
        note_error("status", c->buf, c->len);
    } else if (c->sse) {
        if (expect_events && c->next_seq < expect_events) out.lost += expect_events - c->next_seq;
        if (!c->saw_end || c->saw_error) {
            if (!c->saw_end) out.incomplete++;
            good = 0;
        }
    } else if (expect_events || (expect && !memmem(c->buf ? c->buf : "", c->len, expect, strlen(expect)))) {
        out.wrong_body++;
        note_error("body", c->buf, c->len);
        good = 0;
    }
    if (good && now >= counted_from) {
        out.requests++;
        record(&out.latency, now - c->began);
    }
    c->used = 1;
    if (must_close) shut(c);
    next(c);
}

/* Reads the head if it is whole. Returns the bytes of `data` that belong to it; 0: all of them, not whole yet; -1: bad. */
static long on_head(struct conn *c, const char *data, size_t len) {
    size_t before = c->len;
    if (before > MAX_HEAD) return -1;
    keep(c, data, len);
    size_t from = before > 3 ? before - 3 : 0;
    char *end = memmem(c->buf + from, c->len - from, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head_len = (size_t)(end - c->buf) + 4;
    end[2] = 0;
    if (head_len < 16 || memcmp(c->buf, "HTTP/1.", 7) != 0) return -1;
    c->status = atoi(c->buf + 9);
    out.statuses[c->status >= 0 && c->status < 600 ? c->status : 0]++;
    c->framing = UNTIL_CLOSE;
    c->chunk = SIZE;
    c->left = 0;
    for (char *line = c->buf; (line = strchr(line, '\n')); ) {
        line++;
        if (strncasecmp(line, "content-length:", 15) == 0) {
            c->framing = LENGTH;
            c->left = strtoul(line + 15, NULL, 10);
        } else if (strncasecmp(line, "transfer-encoding:", 18) == 0) {
            c->framing = CHUNKED;
            c->left = 0;
            break; /* wins over a length, and the stream's type is looked for below */
        }
    }
    c->sse = strcasestr(c->buf, "\ncontent-type: text/event-stream") != NULL;
    c->len = c->scanned = 0;
    c->phase = BODY;
    return (long)(head_len - before);
}

/* Takes bytes of a chunked body. Returns how many it used and sets *whole; -1: malformed. */
static long on_chunks(struct conn *c, const char *data, size_t len, int64_t now, int *whole) {
    size_t at = 0;
    while (at < len) {
        char ch = data[at];
        switch (c->chunk) {
        case SIZE:
            if (ch >= '0' && ch <= '9') c->left = c->left * 16 + (size_t)(ch - '0');
            else if ((ch | 32) >= 'a' && (ch | 32) <= 'f') c->left = c->left * 16 + (size_t)((ch | 32) - 'a' + 10);
            else if (ch == ';' || ch == ' ') c->chunk = EXTENSION;
            else if (ch == '\n') {
                c->chunk = c->left ? DATA : TRAILER;
                c->trailer_line = 0;
            } else if (ch != '\r') return -1;
            at++;
            break;
        case EXTENSION:
            if (ch == '\n') {
                c->chunk = c->left ? DATA : TRAILER;
                c->trailer_line = 0;
            }
            at++;
            break;
        case DATA: {
            size_t n = len - at < c->left ? len - at : c->left;
            on_body(c, data + at, n, now);
            at += n;
            c->left -= n;
            if (c->left == 0) c->chunk = DATA_END;
            break;
        }
        case DATA_END:
            if (ch == '\n') c->chunk = SIZE;
            else if (ch != '\r') return -1;
            at++;
            break;
        case TRAILER:
            at++;
            if (ch == '\n') {
                if (!c->trailer_line) {
                    *whole = 1;
                    return (long)at;
                }
                c->trailer_line = 0;
            } else if (ch != '\r') {
                c->trailer_line = 1;
            }
            break;
        }
    }
    return (long)at;
}

static void on_data(struct conn *c, const char *data, size_t len, int64_t now) {
    out.bytes += (long)len;
    if (!c->first_byte) {
        c->first_byte = 1;
        if (now >= counted_from) record(&out.first, now - c->began);
    }
    if (c->phase == WAITING) {
        long n = on_head(c, data, len);
        if (n < 0) {
            fail(c, &out.malformed, "head");
            return;
        }
        if (n == 0) return;
        data += n;
        len -= (size_t)n;
    }
    if (c->framing == CHUNKED) {
        int whole = 0;
        long n = on_chunks(c, data, len, now, &whole);
        if (n < 0) fail(c, &out.malformed, "chunk");
        else if (whole) complete(c, now, (size_t)n < len);
        return;
    }
    size_t n = c->framing == LENGTH && c->left < len ? c->left : len;
    if (n) on_body(c, data, n, now);
    if (c->framing == LENGTH) {
        c->left -= n;
        if (c->left == 0) complete(c, now, n < len);
    }
}

static void on_eof(struct conn *c, int64_t now, int error) {
    if (c->phase == BODY && c->framing == UNTIL_CLOSE && !error) {
        complete(c, now, 1);
    } else if (c->phase == WAITING && c->used && !c->first_byte) {
        out.reconnects++;
        shut(c);
        begin(c);
    } else if (c->phase == CONNECTING) {
        fail(c, &out.connect_errors, strerror(error));
    } else {
        if (c->phase == BODY && c->sse) out.incomplete++;
        fail(c, &out.reset, error ? strerror(error) : "closed early");
    }
}

static void on_ready(struct conn *c, uint32_t events) {
    static char data[READ];
    if (c->fd < 0) return;
    if (c->phase == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            on_eof(c, now_ns(), error);
            return;
        }
        if (!(events & EPOLLOUT)) return;
        c->phase = WAITING;
        c->sent = 0;
        push(c);
        return;
    }
    if (events & EPOLLOUT) push(c);
    if (c->fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    ssize_t n = recv(c->fd, data, sizeof data, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    int64_t now = now_ns();
    if (n <= 0) on_eof(c, now, n < 0 ? errno : 0);
    else on_data(c, data, (size_t)n, now);
}

/* ---- the run ---- */

static void print_histogram(const char *name, const struct histogram *h) {
    printf("\"%s\":{\"count\":%ld,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},", name,
           h->total, h->total ? h->sum / (double)h->total / 1e3 : 0.0, percentile(h, 0.5) / 1e3, percentile(h, 0.9) / 1e3,
           percentile(h, 0.99) / 1e3, percentile(h, 0.999) / 1e3, (double)h->max / 1e3);
}

static void print_results(int64_t ended) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    double window = (double)(ended - counted_from) / 1e9;
    if (window <= 0) window = 1e-9;
    printf("{\"connections\":%ld,\"wall_s\":%.3f,\"window_s\":%.3f,\"cpu_s\":%.3f,", connections,
           (double)(ended - started) / 1e9, window, cpu);
    printf("\"requests\":%ld,\"requests_all\":%ld,\"requests_per_s\":%.1f,", out.requests, out.requests_all,
           (double)out.requests / window);
    printf("\"events\":%ld,\"events_all\":%ld,\"events_per_s\":%.1f,", out.events, out.events_all, (double)out.events / window);
    print_histogram("latency_us", &out.latency);
    print_histogram("first_byte_us", &out.first);
    print_histogram("lag_us", &out.lag);
    printf("\"lost\":%ld,\"repeated\":%ld,\"incomplete\":%ld,\"error_events\":%ld,\"bad_status\":%ld,", out.lost, out.repeated,
           out.incomplete, out.error_events, out.bad_status);
    printf("\"connect_errors\":%ld,\"reset\":%ld,\"timeouts\":%ld,\"wrong_body\":%ld,\"malformed\":%ld,", out.connect_errors,
           out.reset, out.timeouts, out.wrong_body, out.malformed);
    printf("\"abandoned\":%ld,\"abandoned_before_first_byte\":%ld,\"reconnects\":%ld,\"unfinished\":%ld,\"bytes\":%ld,"
           "\"peak_open\":%ld,\"statuses\":{", out.abandoned, out.abandoned_early, out.reconnects, out.left_over, out.bytes,
           out.peak_open);
    const char *comma = "";
    for (int i = 0; i < 600; i++)
        if (out.statuses[i]) {
            printf("%s\"%d\":%ld", comma, i, out.statuses[i]);
            comma = ",";
        }
    printf("},\"first_error\":\"%s\"}\n", out.first_error);
}

static void run(void) {
    struct epoll_event events[EVENTS];
    long opened = 0, resting;
    int64_t next_scan = 0, stop = started + (int64_t)(seconds * 1e9);
    for (;;) {
        int64_t now = now_ns();
        if (seconds > 0 && now >= stop) break;
        while (opened < connections && (ramp <= 0 || (double)(now - started) >= (double)opened / (double)connections * ramp * 1e9)) {
            if (ramp <= 0 && opened % 64 == 63 && opened / 64 * 1000000 > now - started) break; /* spare the backlog */
            start(&conns[opened++]);
        }
        int wait = opened < connections || abandon > 0 ? 1 : 50;
        if (now >= next_scan) {
            next_scan = now + (abandon > 0 ? 500000 : 20000000);
            resting = 0;
            for (long i = 0; i < opened; i++) {
                struct conn *c = &conns[i];
                if (c->phase == RESTING) resting++;
                else if (c->phase == UNOPENED) {
                    if (now - c->began > 10000000) start(c);
                }
                else if (c->abandon_at && now >= c->abandon_at) leave(c);
                else if ((double)(now - c->began) > timeout_s * 1e9) fail(c, &out.timeouts, "timeout");
            }
            if (resting == connections) break;
        }
        int n = epoll_wait(epfd, events, EVENTS, wait);
        for (int i = 0; i < n; i++) on_ready(events[i].data.ptr, events[i].events);
    }
}

static char *read_file(const char *path, size_t *len) {
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    char *data = NULL;
    size_t cap = 0;
    *len = 0;
    for (;;) {
        data = must(realloc(data, cap += 65536));
        size_t n = fread(data + *len, 1, cap - *len, f);
        *len += n;
        if (n == 0 || *len < cap) break;
    }
    if (f != stdin) fclose(f);
    return data;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"port", 1, 0, 'p'},      {"path", 1, 0, 'P'},    {"body", 1, 0, 'b'},    {"header", 1, 0, 'h'},
        {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"each", 1, 0, 'e'},  {"requests", 1, 0, 'r'},
        {"warmup", 1, 0, 'w'},    {"ramp", 1, 0, 'R'},    {"events", 1, 0, 'n'},  {"expect", 1, 0, 'x'},
        {"abandon", 1, 0, 'a'},   {"abandon-ms", 1, 0, 'm'}, {"timeout", 1, 0, 't'}, {"seed", 1, 0, 'S'}, {0, 0, 0, 0}};
    int port = 0, o;
    const char *path = "/v1/chat/completions", *body_file = NULL;
    char headers[8192] = "";
    while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'P': path = optarg; break;
        case 'b': body_file = optarg; break;
        case 'h':
            if (strlen(headers) + strlen(optarg) + 3 > sizeof headers) return 2;
            strcat(strcat(headers, optarg), "\r\n");
            break;
        case 'c': connections = atol(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'e': each = atol(optarg); break;
        case 'r': total_requests = atol(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'R': ramp = atof(optarg); break;
        case 'n': expect_events = atol(optarg); break;
        case 'x': expect = optarg; break;
        case 'a': abandon = atof(optarg); break;
        case 'm': abandon_ms = atof(optarg); break;
        case 't': timeout_s = atof(optarg); break;
        case 'S': rng ^= (uint64_t)atoll(optarg) * 0xD1342543DE82EF95u; break;
        default: return 2;
        }
    }
    if (!port || !body_file || connections < 1 || (seconds <= 0 && !each && !total_requests)) {
        fprintf(stderr, "load: --port, --body and one of --seconds, --each, --requests are needed\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if ((long)files.rlim_cur < connections + 32) {
        fprintf(stderr, "load: %ld connections need a higher ulimit -n than %ld\n", connections, (long)files.rlim_cur);
        return 2;
    }
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    size_t body_len;
    char *body = read_file(body_file, &body_len);
    request = must(malloc(strlen(path) + strlen(headers) + body_len + 256));
    int head = sprintf(request, "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
                       "accept: */*\r\n%scontent-length: %zu\r\n\r\n", path, port, headers, body_len);
    memcpy(request + head, body, body_len);
    request_len = (size_t)head + body_len;
    conns = must(calloc((size_t)connections, sizeof *conns));
    for (long i = 0; i < connections; i++) conns[i].fd = -1;
    epfd = epoll_create1(EPOLL_CLOEXEC);
    started = now_ns();
    counted_from = started + (int64_t)(warmup * 1e9);
    run();
    int64_t ended = now_ns();
    for (long i = 0; i < connections; i++)
        if (conns[i].fd >= 0) out.left_over++;
    print_results(ended);
    return 0;
}
