/* mock.c: a model provider that costs next to nothing, to measure gateways against.
 *
 * One thread, epoll, no allocation on the hot path. Speaks the wire of OpenAI Chat Completions and of Anthropic
 * Messages; the path decides which (".../messages" is Anthropic's). Linux only.
 *
 * The request's text says what to answer, because the text is the one thing that every gateway, translating or not,
 * passes on unchanged. The last "bench:" in the body, followed by key=number pairs:
 *
 *     bench:n=100,r=50,b=10,d=20,p=64;
 *       n  events of text in a stream                                       (100)
 *       r  events per second; 0: as fast as the reader takes them           (0)
 *       b  events in one write of a stream with r=0                         (10)
 *       d  delay before the first byte of the answer, in ms                 (0)
 *       p  bytes of padding after the stamp in each event's text            (0)
 *
 * Whether it is a stream is the body's "stream": true. Each event's text is a stamp, "~q<seq, 8 digits>t<ns, 19
 * digits>~": the event's number in its stream from 0, and CLOCK_MONOTONIC when it was made. Each event is one HTTP
 * chunk. A usage chunk ends an OpenAI stream only if the request asked for one, as at the real service.
 *
 * Paced streams start at a random phase, so that streams opened together do not fire together. Their events are
 * stamped on time even when the reader is too slow to take them (up to 4 MiB are kept), so back-pressure counts as
 * lag. A burst stream makes its next events only when the last are in the socket.
 *
 *     GET /stats    counts since the last reset, as JSON      POST /reset    zeroes them
 *
 * Usage: mock [PORT]       port 0 (the default): any. Prints {"port": N} once it listens.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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

enum { MAX_BODY = 64 << 20, MAX_UNREAD = 4 << 20, MAX_PAD = 16384, EVENTS = 512 };
enum api { OPENAI, ANTHROPIC };
enum phase { READING, DELAYED, STREAMING };

struct buf {
    char *data;
    size_t len, cap;
};

/* One event, framed, with room for the stamp. */
struct template {
    struct template *next;
    enum api api;
    int pad;
    size_t len, seq_at, time_at;
    char *bytes;
};

struct conn {
    int fd;
    enum phase phase;
    int want_out;   /* EPOLLOUT is armed */
    int close_after;
    struct buf in, out;
    size_t out_off;
    enum api api;
    int stream, want_usage;
    long n, rate, batch, delay_ms, pad;
    long sent;
    const struct template *event;
    int64_t due, interval;
    int heap_at; /* place in the heap of timers, -1: none */
};

static struct {
    long requests, streams, finished, nonstream, events, closed_early, bad, backpressure;
    long open, peak_open, active, peak_active;
    int64_t late_max, late_sum;
    long late_count;
} stats;

static int epfd;
static struct conn **heap;
static int heap_len, heap_cap;
static struct template *templates;
static uint64_t rng = 0x9E3779B97F4A7C15u;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint64_t random64(void) {
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

static void *must(void *p) {
    if (!p) {
        perror("mock: memory");
        exit(1);
    }
    return p;
}

static void reserve(struct buf *b, size_t more) {
    if (b->len + more <= b->cap) return;
    size_t cap = b->cap ? b->cap : 2048;
    while (cap < b->len + more) cap *= 2;
    b->data = must(realloc(b->data, cap));
    b->cap = cap;
}

static void put(struct buf *b, const char *data, size_t len) {
    reserve(b, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

static void puts_to(struct buf *b, const char *text) { put(b, text, strlen(text)); }

/* ---- timers: a binary heap by due time ---- */

static void heap_set(int i, struct conn *c) {
    heap[i] = c;
    c->heap_at = i;
}

static void heap_up(int i) {
    struct conn *c = heap[i];
    while (i > 0 && heap[(i - 1) / 2]->due > c->due) {
        heap_set(i, heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(i, c);
}

static void heap_down(int i) {
    struct conn *c = heap[i];
    for (;;) {
        int k = 2 * i + 1;
        if (k >= heap_len) break;
        if (k + 1 < heap_len && heap[k + 1]->due < heap[k]->due) k++;
        if (heap[k]->due >= c->due) break;
        heap_set(i, heap[k]);
        i = k;
    }
    heap_set(i, c);
}

static void timer_set(struct conn *c, int64_t due) {
    c->due = due;
    if (c->heap_at >= 0) {
        heap_up(c->heap_at);
        heap_down(c->heap_at);
        return;
    }
    if (heap_len == heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 1024;
        heap = must(realloc(heap, (size_t)heap_cap * sizeof *heap));
    }
    heap_set(heap_len++, c);
    heap_up(heap_len - 1);
}

static void timer_clear(struct conn *c) {
    int i = c->heap_at;
    if (i < 0) return;
    c->heap_at = -1;
    struct conn *last = heap[--heap_len];
    if (last == c) return;
    heap_set(i, last);
    heap_up(i);
    heap_down(last->heap_at);
}

/* ---- the wire ---- */

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    "x-request-id: req_mock\r\ntransfer-encoding: chunked\r\n\r\n";

#define OPENAI_CHUNK                                                                                       \
    "data: {\"id\":\"chatcmpl-mock00000000000000000001\",\"object\":\"chat.completion.chunk\","            \
    "\"created\":1760000000,\"model\":\"mock-model\",\"service_tier\":\"default\","                        \
    "\"system_fingerprint\":\"fp_mock\",\"choices\":"

static void put_chunk(struct buf *b, const char *payload) {
    char size[20];
    int n = snprintf(size, sizeof size, "%zx\r\n", strlen(payload));
    put(b, size, (size_t)n);
    puts_to(b, payload);
    puts_to(b, "\r\n");
}

static const struct template *template_for(enum api api, int pad) {
    for (struct template *t = templates; t; t = t->next)
        if (t->api == api && t->pad == pad) return t;
    char *text = must(malloc((size_t)pad + 64));
    char *payload = must(malloc((size_t)pad + 512));
    int n = sprintf(text, "~q%08dt%019d~", 0, 0);
    for (int i = 0; i < pad; i++) text[n + i] = " the quick brown fox"[i % 20];
    text[n + pad] = 0;
    if (api == OPENAI)
        sprintf(payload, OPENAI_CHUNK "[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"logprobs\":null,"
                "\"finish_reason\":null}]}\n\n", text);
    else
        sprintf(payload, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
                "\"delta\":{\"type\":\"text_delta\",\"text\":\"%s\"}}\n\n", text);
    struct buf b = {0};
    put_chunk(&b, payload);
    free(text);
    free(payload);
    struct template *t = must(calloc(1, sizeof *t));
    t->api = api;
    t->pad = pad;
    t->bytes = b.data;
    t->len = b.len;
    t->seq_at = (size_t)((char *)memmem(b.data, b.len, "~q", 2) - b.data) + 2;
    t->time_at = t->seq_at + 9;
    t->next = templates;
    templates = t;
    return t;
}

static void digits(char *at, int count, uint64_t value) {
    while (count--) {
        at[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

static void put_event(struct conn *c, int64_t now) {
    const struct template *t = c->event;
    reserve(&c->out, t->len);
    char *at = c->out.data + c->out.len;
    memcpy(at, t->bytes, t->len);
    digits(at + t->seq_at, 8, (uint64_t)c->sent);
    digits(at + t->time_at, 19, (uint64_t)now);
    c->out.len += t->len;
    c->sent++;
    stats.events++;
}

static void put_stream_start(struct conn *c) {
    puts_to(&c->out, STREAM_HEAD);
    if (c->api == OPENAI) {
        put_chunk(&c->out, OPENAI_CHUNK "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\","
                  "\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
        return;
    }
    put_chunk(&c->out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_mock01\","
              "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock-model\",\"content\":[],"
              "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,"
              "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\n");
    put_chunk(&c->out, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
              "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    put_chunk(&c->out, "event: ping\ndata: {\"type\": \"ping\"}\n\n");
}

static void put_stream_end(struct conn *c) {
    char text[600];
    if (c->api == OPENAI) {
        put_chunk(&c->out, OPENAI_CHUNK "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n");
        if (c->want_usage) {
            snprintf(text, sizeof text, OPENAI_CHUNK "[],\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":%ld,"
                     "\"total_tokens\":%ld}}\n\n", c->n, c->n + 25);
            put_chunk(&c->out, text);
        }
        put_chunk(&c->out, "data: [DONE]\n\n");
    } else {
        put_chunk(&c->out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
        snprintf(text, sizeof text, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"
                 "\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":%ld}}\n\n", c->n);
        put_chunk(&c->out, text);
        put_chunk(&c->out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    }
    puts_to(&c->out, "0\r\n\r\n");
}

static void put_json(struct conn *c, int status, const char *body) {
    char head[200];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\ncontent-type: application/json\r\n"
                     "x-request-id: req_mock\r\ncontent-length: %zu\r\n\r\n",
                     status, status == 200 ? "OK" : "Error", strlen(body));
    put(&c->out, head, (size_t)n);
    puts_to(&c->out, body);
}

#define ANSWER "mock-answer: a paragraph of about the length that a short reply to a short question has, so that a "  \
               "gateway which decodes the body has something to decode, and one which relays it something to relay."

static void put_answer(struct conn *c) {
    if (c->api == OPENAI)
        put_json(c, 200, "{\"id\":\"chatcmpl-mock00000000000000000001\",\"object\":\"chat.completion\","
                 "\"created\":1760000000,\"model\":\"mock-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                 "\"assistant\",\"content\":\"" ANSWER "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,"
                 "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":25,\"completion_tokens\":45,"
                 "\"total_tokens\":70,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},"
                 "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"}");
    else
        put_json(c, 200, "{\"id\":\"msg_mock01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock-model\","
                 "\"content\":[{\"type\":\"text\",\"text\":\"" ANSWER "\"}],\"stop_reason\":\"end_turn\","
                 "\"stop_sequence\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":0,"
                 "\"cache_read_input_tokens\":0,\"output_tokens\":45}}");
    stats.nonstream++;
}

static void put_stats(struct conn *c) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    double cpu = (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    char text[1024];
    snprintf(text, sizeof text,
             "{\"requests\":%ld,\"streams\":%ld,\"streams_finished\":%ld,\"nonstream\":%ld,\"events\":%ld,"
             "\"closed_early\":%ld,\"bad_requests\":%ld,\"backpressure\":%ld,\"open\":%ld,\"peak_open\":%ld,"
             "\"active\":%ld,\"peak_active\":%ld,\"late_us_mean\":%.1f,\"late_us_max\":%.1f,\"cpu_s\":%.3f}",
             stats.requests, stats.streams, stats.finished, stats.nonstream, stats.events, stats.closed_early,
             stats.bad, stats.backpressure, stats.open, stats.peak_open, stats.active, stats.peak_active,
             stats.late_count ? (double)stats.late_sum / (double)stats.late_count / 1e3 : 0.0,
             (double)stats.late_max / 1e3, cpu);
    put_json(c, 200, text);
}

/* ---- connections ---- */

static void finish_counts(struct conn *c) {
    if (c->phase != READING) {
        stats.active--;
        c->phase = READING;
    }
}

static void end_if_done(struct conn *c) {
    if (c->sent < c->n) return;
    put_stream_end(c);
    stats.finished++;
    finish_counts(c);
}

static void drop(struct conn *c) {
    if (c->phase != READING || c->out.len > c->out_off) stats.closed_early++;
    finish_counts(c);
    timer_clear(c);
    close(c->fd);
    stats.open--;
    free(c->in.data);
    free(c->out.data);
    free(c);
}

static void arm(struct conn *c, int out) {
    if (c->want_out == out) return;
    c->want_out = out;
    struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
}

/* Writes what is there. 1: all gone, 0: some is left, -1: the connection is gone. */
static int flush_out(struct conn *c) {
    while (c->out_off < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_off, c->out.len - c->out_off, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return -1;
            stats.backpressure++;
            arm(c, 1);
            return 0;
        }
        c->out_off += (size_t)n;
    }
    c->out.len = c->out_off = 0;
    arm(c, 0);
    return 1;
}

/* Moves the stream on as far as time and the reader allow. -1: the connection is gone. */
static int advance(struct conn *c) {
    for (;;) {
        int burst = c->phase == STREAMING && c->rate == 0;
        if (burst && !c->want_out) {
            int64_t now = now_ns();
            for (long i = 0; i < c->batch && c->sent < c->n; i++) put_event(c, now);
            end_if_done(c);
        }
        if (c->out.len == 0) return 0;
        int r = flush_out(c);
        if (r <= 0 || !burst) return r < 0 ? -1 : 0;
    }
}

static void start_stream(struct conn *c, int64_t now) {
    c->phase = STREAMING;
    stats.streams++;
    put_stream_start(c);
    if (c->rate > 0) {
        c->interval = 1000000000 / c->rate;
        timer_set(c, now + (int64_t)(random64() % (uint64_t)c->interval));
    }
}

/* A timer fired: the delay before the answer is over, or an event of a paced stream is due. -1: connection gone. */
static int fire(struct conn *c, int64_t now) {
    timer_clear(c);
    if (c->phase == DELAYED) {
        if (c->stream) {
            start_stream(c, now);
        } else {
            put_answer(c);
            finish_counts(c);
        }
        return advance(c);
    }
    int64_t late = now - c->due;
    stats.late_count++;
    stats.late_sum += late;
    if (late > stats.late_max) stats.late_max = late;
    if (c->out.len - c->out_off < MAX_UNREAD) {
        put_event(c, now);
        end_if_done(c);
    }
    if (c->phase == STREAMING) timer_set(c, c->due + c->interval);
    return advance(c);
}

static long number_after(const char *at, const char *end) {
    long v = 0;
    while (at < end && *at >= '0' && *at <= '9' && v < 100000000) v = v * 10 + (*at++ - '0');
    return v;
}

static void read_orders(struct conn *c, const char *body, size_t len) {
    c->n = 100, c->rate = 0, c->batch = 10, c->delay_ms = 0, c->pad = 0;
    const char *end = body + len, *at = NULL, *p = body;
    while ((p = memmem(p, (size_t)(end - p), "bench:", 6))) {
        p += 6;
        at = p;
    }
    while (at && end - at > 2 && at[1] == '=') {
        long v = number_after(at + 2, end);
        switch (*at) {
        case 'n': c->n = v > 0 ? v : 1; break;
        case 'r': c->rate = v; break;
        case 'b': c->batch = v > 0 ? v : 1; break;
        case 'd': c->delay_ms = v; break;
        case 'p': c->pad = v < MAX_PAD ? v : MAX_PAD; break;
        default: break;
        }
        at += 2;
        while (at < end && *at >= '0' && *at <= '9') at++;
        if (at == end || *at != ',') break;
        at++;
    }
}

static int is_true(const char *body, size_t len, const char *key) {
    const char *end = body + len, *p = memmem(body, len, key, strlen(key));
    if (!p) return 0;
    p += strlen(key);
    while (p < end && (*p == ' ' || *p == ':')) p++;
    return end - p >= 4 && memcmp(p, "true", 4) == 0;
}

static int path_ends(const char *line, size_t len, const char *path) {
    const char *end = memchr(line, ' ', len);
    if (!end) return 0;
    const char *query = memchr(line, '?', (size_t)(end - line));
    if (query) end = query;
    size_t n = strlen(path);
    return (size_t)(end - line) >= n && memcmp(end - n, path, n) == 0;
}

/* Answers one request whose head and body are whole. -1: the connection is gone. */
static int answer(struct conn *c, const char *head, size_t head_len, const char *body, size_t body_len) {
    const char *path = memchr(head, ' ', head_len);
    size_t path_len = path ? head_len - (size_t)(++path - head) : 0;
    int post = head_len > 5 && memcmp(head, "POST ", 5) == 0;
    int chat = path && post && path_ends(path, path_len, "/chat/completions");
    int messages = path && post && path_ends(path, path_len, "/messages");
    if (chat || messages) {
        stats.requests++;
        c->api = chat ? OPENAI : ANTHROPIC;
        c->stream = is_true(body, body_len, "\"stream\"");
        c->want_usage = is_true(body, body_len, "\"include_usage\"");
        c->sent = 0;
        read_orders(c, body, body_len);
        if (c->stream) c->event = template_for(c->api, (int)c->pad);
        if (!c->stream && !c->delay_ms) {
            put_answer(c);
            return advance(c);
        }
        if (++stats.active > stats.peak_active) stats.peak_active = stats.active;
        c->phase = DELAYED;
        int64_t now = now_ns();
        if (c->delay_ms) {
            timer_set(c, now + c->delay_ms * 1000000);
            return 0;
        }
        start_stream(c, now);
    } else if (path && path_ends(path, path_len, "/stats")) {
        put_stats(c);
    } else if (path && post && path_ends(path, path_len, "/reset")) {
        long open = stats.open, active = stats.active;
        memset(&stats, 0, sizeof stats);
        stats.open = stats.peak_open = open;
        stats.active = stats.peak_active = active;
        put_json(c, 200, "{}");
    } else if (path && path_ends(path, path_len, "/models")) {
        put_json(c, 200, "{\"object\":\"list\",\"data\":[{\"id\":\"mock-model\",\"object\":\"model\",\"created\":1760000000,"
                 "\"owned_by\":\"mock\"}]}");
    } else if (path && (path_ends(path, path_len, "/health") || path_ends(path, path_len, "/get_server_info"))) {
        put_json(c, 200, "{\"status\":\"ok\"}");
    } else {
        stats.bad++;
        put_json(c, 404, "{\"error\":{\"message\":\"the mock has no such path\",\"type\":\"not_found_error\"}}");
    }
    return advance(c);
}

/* A header's value in the head, or NULL. */
static const char *header(const char *head, size_t len, const char *name) {
    size_t n = strlen(name);
    const char *end = head + len, *p = head;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        if ((size_t)(end - p) > n && p[n] == ':' && strncasecmp(p, name, n) == 0) {
            p += n + 1;
            while (p < end && *p == ' ') p++;
            return p;
        }
    }
    return NULL;
}

/* Joins a chunked body in place. Returns the bytes it took from `from`, 0 if it is not whole yet, -1 if malformed. */
static long dechunk(char *from, size_t len, size_t *body_len) {
    size_t at = 0, out = 0;
    for (;;) {
        char *nl = memchr(from + at, '\n', len - at);
        if (!nl) return 0;
        char *stop;
        unsigned long size = strtoul(from + at, &stop, 16);
        if (stop == from + at || size > MAX_BODY) return -1;
        at = (size_t)(nl - from) + 1;
        if (at + size + 2 > len) return 0;
        if (size == 0) {
            *body_len = out;
            return (long)(at + 2);
        }
        /* `out` never passes `at`; but the sizes must stay readable until the body is whole, so only look first. */
        at += size + 2;
        out += size;
    }
}

static void join_chunks(char *from) {
    size_t at = 0, out = 0;
    for (;;) {
        unsigned long size = strtoul(from + at, NULL, 16);
        at = (size_t)((char *)rawmemchr(from + at, '\n') - from) + 1;
        if (size == 0) return;
        memmove(from + out, from + at, size);
        at += size + 2;
        out += size;
    }
}

/* Answers the requests that are whole. -1: the connection is gone. */
static int serve(struct conn *c) {
    while (c->phase == READING && c->out.len == 0 && c->in.len) {
        if (c->close_after) return -1;
        char *end = memmem(c->in.data, c->in.len, "\r\n\r\n", 4);
        if (!end) return c->in.len > MAX_BODY ? -1 : 0;
        size_t head_len = (size_t)(end - c->in.data) + 4, body_len = 0, taken;
        const char *value = header(c->in.data, head_len, "content-length");
        if (value) {
            body_len = strtoul(value, NULL, 10);
            if (body_len > MAX_BODY) return -1;
            taken = head_len + body_len;
            if (c->in.len < taken) {
                reserve(&c->in, taken - c->in.len);
                return 0;
            }
        } else if (header(c->in.data, head_len, "transfer-encoding")) {
            long used = dechunk(c->in.data + head_len, c->in.len - head_len, &body_len);
            if (used <= 0) return used < 0 ? -1 : 0;
            join_chunks(c->in.data + head_len);
            taken = head_len + (size_t)used;
        } else {
            taken = head_len;
        }
        value = header(c->in.data, head_len, "connection");
        const char *line_end = memchr(c->in.data, '\r', head_len);
        int http10 = line_end - c->in.data > 8 && memcmp(line_end - 3, "1.0", 3) == 0;
        c->close_after = (value && strncasecmp(value, "close", 5) == 0) ||
                         (http10 && !(value && strncasecmp(value, "keep-alive", 10) == 0));
        if (answer(c, c->in.data, head_len, c->in.data + head_len, body_len) < 0) return -1;
        memmove(c->in.data, c->in.data + taken, c->in.len - taken);
        c->in.len -= taken;
    }
    /* Told to close: the answer is out, so this is no early close. */
    return c->close_after && c->phase == READING && c->out.len == 0 ? -1 : 0;
}

static int on_readable(struct conn *c) {
    for (;;) {
        reserve(&c->in, 4096);
        size_t room = c->in.cap - c->in.len;
        ssize_t n = recv(c->fd, c->in.data + c->in.len, room, 0);
        if (n == 0) return -1;
        if (n < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN ? 0 : -1;
        }
        c->in.len += (size_t)n;
        if (c->in.len > MAX_BODY + 65536) return -1;
        if ((size_t)n < room) break; /* level-triggered: more, or the end, is told again */
    }
    return serve(c);
}

static void on_accept(int listener) {
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct conn *c = must(calloc(1, sizeof *c));
        c->fd = fd;
        c->heap_at = -1;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e);
        if (++stats.open > stats.peak_open) stats.peak_open = stats.open;
    }
}

static int wait_events(struct epoll_event *events, int64_t ns) {
    static int coarse;
    if (ns < 0) return epoll_wait(epfd, events, EVENTS, -1);
    if (!coarse) {
        struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        int n = epoll_pwait2(epfd, events, EVENTS, &t, NULL);
        if (n >= 0 || errno != ENOSYS) return n;
        coarse = 1;
    }
    return epoll_wait(epfd, events, EVENTS, (int)((ns + 999999) / 1000000));
}

int main(int argc, char **argv) {
    if (argc > 2 || (argc == 2 && strspn(argv[1], "0123456789") != strlen(argv[1]))) {
        fprintf(stderr, "usage: mock [PORT]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_TIMERSLACK, 1000);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    socklen_t size = sizeof a;
    if (bind(listener, (struct sockaddr *)&a, size) < 0 || listen(listener, 16384) < 0) {
        perror("mock: listen");
        return 1;
    }
    getsockname(listener, (struct sockaddr *)&a, &size);
    epfd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &e);
    printf("{\"port\":%d}\n", ntohs(a.sin_port));
    fflush(stdout);
    for (;;) {
        int64_t left = -1;
        if (heap_len) {
            left = heap[0]->due - now_ns();
            if (left < 0) left = 0;
        }
        int count = wait_events(events, left);
        for (int i = 0; i < count; i++) {
            struct conn *c = events[i].data.ptr;
            if (!c) {
                on_accept(listener);
                continue;
            }
            int r = 0;
            if (events[i].events & EPOLLOUT) {
                r = advance(c);
                if (r == 0) r = serve(c);
            }
            if (r == 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) r = on_readable(c);
            if (r < 0) drop(c);
        }
        while (heap_len && heap[0]->due <= now_ns()) {
            struct conn *c = heap[0];
            int r = fire(c, now_ns());
            if (r == 0 && c->phase == READING) r = serve(c);
            if (r < 0) drop(c);
        }
    }
}
