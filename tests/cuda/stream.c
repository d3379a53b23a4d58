/*
 * stream - queues, clocks, and the operations when their time has come
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lint.h"
#include "stream.h"

struct driver driver;

static void
join(struct clock *a, const struct clock *b)
{
	for (int i = 0; i < MAX_STREAMS; i++)
		if (b->at[i] > a->at[i])
			a->at[i] = b->at[i];
}

/* A number for an operation of the stream (0: the host), and who is before it. */
static uint32_t
new_epoch(int stream, struct clock *c)
{
	uint32_t e = ++driver.epoch;

	if (e == 65535) {
		memory_new_epochs();
		e = driver.epoch = 1;
	}
	c->at[stream]++;
	driver.when[e] = (struct when){ (uint32_t)stream, c->at[stream] };
	driver.clock = c;
	return e;
}

/* Is there an order between the operation of this record and the one that runs? */
static bool
ordered(uint64_t rec)
{
	const struct when *when = &driver.when[rec >> SHADOW_EPOCH];

	return when->at <= driver.clock->at[when->stream];
}

struct op *
op_new(int kind)
{
	struct op *op = calloc(1, sizeof(*op));

	if (op == NULL)
		abort();
	op->kind = kind;
	return op;
}

struct op *
op_clone(const struct op *op)
{
	struct op *c = op_new(op->kind);

	*c = *op;
	c->next = NULL;
	if (op->param != NULL) {
		c->param = malloc(op->kernel->param_bytes + 1);
		memcpy(c->param, op->param, op->kernel->param_bytes);
	}
	c->copy.staged = NULL;
	if (op->kind == OP_WORK) {
		c->data = malloc(op->work.bytes);
		memcpy(c->data, op->data, op->work.bytes);
	}
	if (c->mark != NULL)
		c->mark->users++;
	return c;
}

void
op_free(struct op *op)
{
	free(op->param);
	free(op->copy.staged);
	if (op->kind == OP_WORK)
		free(op->data);
	if (op->mark != NULL)
		mark_release(op->mark);
	free(op);
}

void
mark_release(struct mark *m)
{
	if (--m->users == 0)
		free(m);
}

struct stream *
stream_get(CUstream h)
{
	if (h == NULL || h == CU_STREAM_LEGACY || h == CU_STREAM_PER_THREAD)
		return &driver.stream[1];
	for (int i = 2; i < MAX_STREAMS; i++)
		if ((void *)h == (void *)&driver.stream[i] && driver.stream[i].used)
			return &driver.stream[i];
	return NULL;
}

struct stream *
stream_new(bool blocking)
{
	for (int i = 1; i < MAX_STREAMS; i++) {
		struct stream *s = &driver.stream[i];
		uint32_t at = s->clock.at[i];

		if (s->used)
			continue;
		memset(s, 0, sizeof(*s));
		s->used = true;
		s->id = i;
		s->clock.at[i] = at;	/* a stream before it had the same number */
		s->blocking = blocking;
		s->tail = &s->head;
		return s;
	}
	return NULL;
}

static uint64_t
checksum(const uint8_t *p, size_t n)
{
	uint64_t h = 14695981039346656037u;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		h = (h ^ v) * 1099511628211u;
	}
	for (; n > 0; n--)
		h = (h ^ *p++) * 1099511628211u;
	return h;
}

/* Pageable memory is read when the copy is queued, pinned memory when it runs. */
static void
stage(struct op *op)
{
	struct op_copy *c = &op->copy;

	if (op->kind != OP_COPY)
		return;
	if (c->host_src != NULL) {
		const struct area *a = memory_find((uint64_t)c->host_src);

		if (a != NULL && a->pinned) {
			c->sum = checksum(c->host_src, c->size);
		} else {
			c->staged = malloc(c->size + 1);
			memcpy(c->staged, c->host_src, c->size);
		}
	}
	/* What the host reads before it waits is not what was there by luck. */
	if (c->host_dst != NULL)
		memset(c->host_dst, 0xa5, c->size);
}

void
stream_append(struct stream *s, struct op *op)
{
	op->host = driver.host;
	*s->tail = op;
	s->tail = &op->next;
	s->queued++;
}

/* The default stream and the blocking ones wait for each other. */
void
legacy_order(struct stream *s)
{
	for (int i = 1; i < MAX_STREAMS; i++) {
		struct stream *t = &driver.stream[i];
		struct op *op;

		if (t == s || !t->used || !t->blocking || t->queued == t->done ||
		    t->capture != NULL || (s->id != 1 && i != 1))
			continue;
		op = op_new(OP_WAIT);
		op->mark = mark_put(t);
		stream_append(s, op);
	}
}

CUresult
stream_put(struct stream *s, struct op *op)
{
	if (s->capture != NULL) {
		op->branch = s->branch;
		graph_add(s->capture, op);
		return CUDA_SUCCESS;
	}
	if (driver.sticky != CUDA_SUCCESS) {
		op_free(op);
		return driver.sticky;
	}
	stage(op);
	if (s->blocking)
		legacy_order(s);
	stream_append(s, op);
	return CUDA_SUCCESS;
}

struct mark *
mark_put(struct stream *s)
{
	struct mark *m = calloc(1, sizeof(*m));
	struct op *op = op_new(OP_MARK);

	m->s = s;
	m->users = 2;
	op->mark = m;
	stream_append(s, op);
	m->position = s->queued;
	return m;
}

CUresult
stream_wait(struct stream *s, struct mark *m)
{
	struct op *op = op_new(OP_WAIT);

	op->mark = m;
	m->users++;
	stream_append(s, op);
	return CUDA_SUCCESS;
}

/* In every order, from the same memory; what they leave must not differ. */
static bool
run_each(struct launch *l)
{
	struct where at = { .kernel = l->k };
	uint8_t *before = memory_save(), *first = NULL;
	const char *name;
	uint64_t byte;
	bool good = true;

	for (l->order = 0; l->order < ORDER_EACH && good; l->order++) {
		if (l->order > 0)
			memory_restore(before);
		l->next = 0;
		good = launch_run(l, driver.threads);
		if (l->order == 0)
			first = memory_save();
		else if (good && (name = memory_differs(first, &byte)) != NULL) {
			find_report(F_ORDER, &at, "byte %llu of %s depends on the order of threads",
			    (unsigned long long)byte, name);
			good = false;
		}
	}
	free(before);
	free(first);
	return good;
}

static void
run_launch(struct stream *s, struct op *op)
{
	struct launch l = { .k = op->kernel, .dynamic = op->dynamic, .param = op->param,
	    .order = driver.order, .when = driver.when, .knows = s->clock.at, .kind = FINDINGS };

	memcpy(l.grid, op->grid, sizeof(l.grid));
	memcpy(l.block, op->block, sizeof(l.block));
	l.epoch = new_epoch(s->id, &s->clock);
	if (!(driver.order == ORDER_EACH ? run_each(&l) : launch_run(&l, driver.threads)))
		driver.sticky = l.kind == F_BOUNDS || l.kind == F_FREED ? CUDA_ERROR_ILLEGAL_ADDRESS :
		    l.kind == F_ALIGN ? CUDA_ERROR_MISALIGNED_ADDRESS : CUDA_ERROR_LAUNCH_FAILED;
	driver.executed += l.executed;
	if (l.k->account != NULL)
		lint_launch(&l);
}

struct ills { bool unordered, uninit; };

static void
touch_piece(uint32_t epoch, CUdeviceptr addr, size_t size, bool write, struct ills *ills)
{
	struct area *a = memory_find(addr);
	uint64_t from = (addr - a->lo) / 4, to = (addr - a->lo + size + 3) / 4;

	for (uint64_t i = from; i < to; i++) {
		unsigned bytes = 15;
		struct shadow *s = &a->shadow[i];
		uint64_t rec;

		if (i == from)
			bytes &= 15u << (addr & 3);
		if (i == to - 1 && ((addr + size) & 3) != 0)
			bytes &= 15u >> (4 - ((addr + size) & 3));
		rec = (uint64_t)epoch << SHADOW_EPOCH | bytes;
		if (s->write & bytes && !ordered(s->write))
			ills->unordered = true;
		if (write && s->read & bytes && !ordered(s->read))
			ills->unordered = true;
		if (!write && (a->init[i] & bytes) != bytes)
			ills->uninit = true;
		if (write)
			a->init[i] |= (uint8_t)bytes;
		*(write ? &s->write : &s->read) = rec;
	}
}

/* One finding for all of it, if any of its words is ill. */
static void
touch(uint32_t epoch, const struct stream_range *r, bool write, const char *what)
{
	struct ills ills = { false, false };

	for (size_t i = 0; i < r->n; i++)
		touch_piece(epoch, r->at + i * r->step, r->bytes, write, &ills);
	if (ills.unordered)
		find_report(F_SYNC, NULL, "%s %s %s that an operation of another stream uses, "
		    "with nothing to order them", what, write ? "writes" : "reads",
		    memory_find(r->at)->name);
	if (ills.uninit)
		find_report(F_UNINIT, NULL, "%s reads bytes of %s that nothing wrote", what,
		    memory_find(r->at)->name);
	if (ills.unordered)
		driver.sticky = CUDA_ERROR_LAUNCH_FAILED;
}

static void
touch_range(uint32_t epoch, CUdeviceptr addr, size_t size, bool write, const char *what)
{
	touch(epoch, &(struct stream_range){ addr, size, 0, 1 }, write, what);
}

static void
do_copy(const struct op_copy *c, uint32_t epoch)
{
	const void *src = c->staged != NULL ? c->staged : c->host_src;
	void *dst = c->host_dst;

	if (c->size == 0)
		return;
	/* Freed between the call and now. */
	if ((c->src != 0 && memory_find(c->src) == NULL) ||
	    (c->dst != 0 && memory_find(c->dst) == NULL)) {
		find_report(F_FREED, NULL, "a copy of %zu bytes uses memory that was freed before it ran",
		    c->size);
		driver.sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
		return;
	}
	if (c->sum != 0 && checksum(c->host_src, c->size) != c->sum)
		find_report(F_SYNC, NULL, "the source of an asynchronous copy of %zu bytes from pinned "
		    "memory was changed before it was waited for", c->size);
	if (c->src != 0) {
		touch_range(epoch, c->src, c->size, false, "a copy");
		src = memory_host(c->src);
	}
	if (c->dst != 0) {
		touch_range(epoch, c->dst, c->size, true, "a copy");
		dst = memory_host(c->dst);
	}
	memmove(dst, src, c->size);
}

static void
do_set(const struct op_set *set, uint32_t epoch)
{
	uint8_t *p = memory_host(set->dst);

	if (p == NULL || set->n == 0)
		return;
	touch_range(epoch, set->dst, set->n * (size_t)set->width, true, "a memset");
	for (size_t i = 0; i < set->n; i++)
		memcpy(p + i * (size_t)set->width, &set->value, (size_t)set->width);
}

static void
run_op(struct stream *s, struct op *op)
{
	struct timespec t;

	join(&s->clock, &op->host);
	switch (op->kind) {
	case OP_LAUNCH:	run_launch(s, op); break;
	case OP_COPY:	do_copy(&op->copy, new_epoch(s->id, &s->clock)); break;
	case OP_SET:	do_set(&op->set, new_epoch(s->id, &s->clock)); break;
	case OP_FREE:	memory_free(op->copy.dst); break;
	case OP_CALL:	op->fn(op->data); break;
	case OP_MARK:
		clock_gettime(CLOCK_MONOTONIC, &t);
		op->mark->clock = s->clock;
		op->mark->done = true;
		op->mark->ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
		break;
	case OP_WORK:	break;
	default:	join(&s->clock, &op->mark->clock);
	}
}

CUresult
stream_work(CUstream h, const struct stream_work *w, const void *keeps)
{
	struct stream *s = stream_get(h);
	struct op *op;

	if (s == NULL)
		return CUDA_ERROR_INVALID_HANDLE;
	op = op_new(OP_WORK);
	op->work = *w;
	op->data = malloc(w->bytes);
	memcpy(op->data, keeps, w->bytes);
	return stream_put(s, op);
}

enum { READS = sizeof(((struct stream_work *)0)->reads) / sizeof(struct stream_range),
	WRITES = sizeof(((struct stream_work *)0)->writes) / sizeof(struct stream_range) };

static bool
all_there(const struct stream_range *r, int n)
{
	for (int i = 0; i < n; i++)
		if (r[i].n > 0 && memory_find(r[i].at) == NULL)
			return false;
	return true;
}

static void
touch_all(struct stream *s, const struct stream_range *r, int n, bool write, const char *what)
{
	uint32_t epoch = new_epoch(s->id, &s->clock);

	for (int i = 0; i < n; i++)
		touch(epoch, &r[i], write, what);
}

/* Ask whether it is done. */
static bool
run_work(struct stream *s, struct op *op)
{
	const struct stream_work *w = &op->work;
	enum work_state state;

	if (!all_there(w->reads, READS) || !all_there(w->writes, WRITES)) {
		find_report(F_FREED, NULL, "%s uses memory that was freed before it ran", w->what);
		driver.sticky = CUDA_ERROR_ILLEGAL_ADDRESS;
		return true;
	}
	join(&s->clock, &op->host);
	if (!op->begun)
		touch_all(s, w->reads, READS, false, w->what);
	op->begun = true;
	state = w->fn(op->data);
	if (state == WORK_DONE)
		touch_all(s, w->writes, WRITES, true, w->what);
	return state != WORK_WAITS;
}

/* Has the operation all that it waits for? */
static bool
may_pass(struct stream *s, struct op *op)
{
	if (op->kind == OP_WORK)
		return run_work(s, op);
	if (op->kind == OP_WAIT && !op->mark->done)
		stream_run(op->mark->s, op->mark->position);
	return op->kind != OP_WAIT || op->mark->done;
}

void
stream_run(struct stream *s, uint64_t upto)
{
	while (s->done < upto && s->head != NULL) {
		struct op *op = s->head;

		if (driver.sticky == CUDA_SUCCESS && !may_pass(s, op)) {
			if (driver.asking)
				return;
			usleep(100);
			continue;
		}
		s->head = op->next;
		if (s->head == NULL)
			s->tail = &s->head;
		s->done++;
		if (driver.sticky == CUDA_SUCCESS || op->kind == OP_MARK)
			run_op(s, op);
		op_free(op);
	}
}

void
stream_sync(struct stream *s)
{
	stream_run(s, s->queued);
	join(&driver.host, &s->clock);
}

void
stream_sync_all(void)
{
	for (int i = 1; i < MAX_STREAMS; i++)
		if (driver.stream[i].used)
			stream_sync(&driver.stream[i]);
}

void
stream_drop(struct stream *s)
{
	stream_run(s, s->queued);
	s->used = false;
}

/* What the default stream waits for: itself and the blocking streams. */
static void
sync_blocking(void)
{
	for (int i = 1; i < MAX_STREAMS; i++)
		if (driver.stream[i].used && driver.stream[i].blocking)
			stream_sync(&driver.stream[i]);
}

CUresult
host_copy(struct op_copy *c)
{
	sync_blocking();
	if (driver.sticky == CUDA_SUCCESS)
		do_copy(c, new_epoch(0, &driver.host));
	return driver.sticky;
}

CUresult
host_set(struct op_set *set)
{
	sync_blocking();
	if (driver.sticky == CUDA_SUCCESS)
		do_set(set, new_epoch(0, &driver.host));
	return driver.sticky;
}

uint64_t
standin_executed(void)
{
	return driver.executed;
}

void
standin_order(int order)
{
	driver.order = order;
}
