#include "dev/cuda/cuda.h"

#include <string.h>

enum { ALIGN = 256 };		/* of what lies in pinned memory */

static int64_t
round_up(int64_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- to the device ---- */

/* What was taken goes over, and the queue takes it from there to its places. */
void
cuda_send(struct cuda *c)
{
	struct cuda_up *u = &c->up;
	int half = u->sent >= STAGING_HALF;

	if (u->n == 0)
		return;
	if (u->placing[half] && u->sent == half * STAGING_HALF)
		CUDA_CALL(c, cuStreamWaitEvent, c->copies, u->placed[half], 0);
	CUDA_CALL(c, cuMemcpyHtoDAsync_v2, u->dev.at + (uint64_t)u->sent, u->host + u->sent,
	    (size_t)(u->at - u->sent), c->copies);
	CUDA_CALL(c, cuEventRecord, u->landed[half], c->copies);
	CUDA_CALL(c, cuStreamWaitEvent, c->stream, u->landed[half], 0);
	for (int i = 0; i < u->n; i++)
		CUDA_CALL(c, cuMemcpyDtoDAsync_v2, u->piece[i].to.at,
		    u->dev.at + (uint64_t)u->piece[i].at, (size_t)u->piece[i].bytes, c->stream);
	u->n = 0;
	u->sent = u->at;
	if (u->at == (half + 1) * STAGING_HALF) {
		u->placing[half] = CUDA_CALL(c, cuEventRecord, u->placed[half], c->stream);
		u->at = u->sent = u->at % (2 * STAGING_HALF);
	}
}

void
cuda_upload(struct cuda *c, dptr to, const void *from, int64_t bytes)
{
	struct cuda_up *u = &c->up;

	for (int64_t done = 0; done < bytes && !c->failed;) {
		int half = u->at >= STAGING_HALF;
		int64_t room = (half + 1) * STAGING_HALF - u->at;
		int64_t n = bytes - done < room ? bytes - done : room;

		/* The last round's bytes must have left. */
		if (u->placing[half] && room == STAGING_HALF)
			CUDA_CALL(c, cuEventSynchronize, u->landed[half]);
		memcpy(u->host + u->at, (const char *)from + done, (size_t)n);
		u->piece[u->n++] = (struct cuda_piece){ dptr_add(to, done), u->at, n };
		u->at += round_up(n);
		done += n;
		if (u->n == PIECES || u->at % STAGING_HALF == 0)
			cuda_send(c);
	}
}

/* ---- from the device ---- */

/* Wait for what comes, and copy it to where it belongs. */
static void
drain(struct cuda *c)
{
	struct cuda_down *d = &c->down;

	if (CUDA_CALL(c, cuStreamSynchronize, c->copies))
		for (int i = 0; i < d->n; i++)
			memcpy(d->come[i].to, d->host + d->come[i].at, (size_t)d->come[i].bytes);
	d->n = 0;
	d->at = 0;
}

void
cuda_download(struct cuda *c, void *to, dptr from, int64_t bytes)
{
	struct cuda_down *d = &c->down;

	d->asked += round_up(bytes);
	for (int64_t done = 0; done < bytes && !c->failed;) {
		int64_t n = bytes - done;
		CUdeviceptr at;

		if (d->n == PIECES || d->at == d->bytes)
			drain(c);
		if (n > d->bytes - d->at)
			n = d->bytes - d->at;
		at = d->dev.at + (uint64_t)d->at;
		CUDA_CALL(c, cuMemcpyDtoDAsync_v2, at, from.at + (uint64_t)done, (size_t)n,
		    c->stream);
		CUDA_CALL(c, cuEventRecord, d->ready, c->stream);
		CUDA_CALL(c, cuStreamWaitEvent, c->copies, d->ready, 0);
		CUDA_CALL(c, cuMemcpyDtoHAsync_v2, d->host + d->at, at, (size_t)n, c->copies);
		d->come[d->n++] = (struct cuda_come){ (char *)to + done, d->at, n };
		d->at += round_up(n);
		done += n;
	}
}

/* Room for all that comes between two waits, so that it comes without another one. */
static void
widen(struct cuda *c)
{
	struct cuda_down *d = &c->down;
	int64_t bytes = d->bytes;
	CUdeviceptr dev;
	void *host;

	while (bytes < d->asked && bytes < DOWNLOADS_MOST)
		bytes *= 2;
	d->asked = 0;
	if (bytes == d->bytes || c->failed || (dev = cuda_take(c, bytes)) == 0)
		return;
	if (c->drv.cuMemHostAlloc(&host, (size_t)bytes, 0) != CUDA_SUCCESS) {
		cuda_leave(c, dev);
		return;
	}
	CUDA_CALL(c, cuMemFreeHost, d->host);
	cuda_leave(c, d->dev.at);
	*d = (struct cuda_down){ .host = host, .dev = { dev }, .bytes = bytes,
		.ready = d->ready };
}

void
cuda_finish(struct cuda *c)
{
	drain(c);
	widen(c);
	/* Nothing is under way: what is taken next begins anew. */
	c->up.at = c->up.sent = 0;
	c->up.placing[0] = c->up.placing[1] = false;
}

/* ---- memory for it ---- */

bool
cuda_copies_open(struct cuda *c)
{
	struct cuda_up *u = &c->up;
	struct cuda_down *d = &c->down;
	void *up = NULL, *down = NULL;
	bool good = CUDA_CALL(c, cuStreamCreate, &c->copies, CU_STREAM_NON_BLOCKING) &&
	    CUDA_CALL(c, cuEventCreate, &d->ready, CU_EVENT_DISABLE_TIMING);

	for (int i = 0; i < 2 && good; i++)
		good = CUDA_CALL(c, cuEventCreate, &u->landed[i], CU_EVENT_DISABLE_TIMING) &&
		    CUDA_CALL(c, cuEventCreate, &u->placed[i], CU_EVENT_DISABLE_TIMING);
	good = good && CUDA_CALL(c, cuMemHostAlloc, &up, 2 * STAGING_HALF, 0);
	u->host = up;
	good = good && CUDA_CALL(c, cuMemHostAlloc, &down, STAGING_HALF, 0);
	d->host = down;
	d->bytes = STAGING_HALF;
	return good;
}

static void
drop_event(struct cuda *c, CUevent e)
{
	if (e != NULL)
		c->drv.cuEventDestroy_v2(e);
}

void
cuda_copies_close(struct cuda *c)
{
	if (c->copies != NULL) {
		c->drv.cuStreamSynchronize(c->copies);
		c->drv.cuStreamDestroy_v2(c->copies);
	}
	for (int i = 0; i < 2; i++) {
		drop_event(c, c->up.landed[i]);
		drop_event(c, c->up.placed[i]);
	}
	drop_event(c, c->down.ready);
	if (c->up.host != NULL)
		c->drv.cuMemFreeHost(c->up.host);
	if (c->down.host != NULL)
		c->drv.cuMemFreeHost(c->down.host);
}
