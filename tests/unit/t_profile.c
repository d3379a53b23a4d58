#include <math.h>
#include <string.h>

#include "base/json.h"
#include "dev/profile.h"
#include "../tap.h"
#include "train/stepper.h"

static void
costs(void)
{
	union dev_args a = { .matmul = { .m = { .cap = 4 }, .k = { .cap = 8 }, .n = 16,
	    .a_type = DTYPE_F32, .b_type = DTYPE_BF16, .c_type = DTYPE_F32, .tb = true } };
	struct dev_cost c;

	dev_cost(NULL, K_MATMUL, &a, &c);
	ok(c.flops == 2 * 4 * 8 * 16 && c.bytes == 4 * 8 * 4 + 8 * 16 * 2 + 4 * 16 * 4,
	    "a product's cost");
	ok(strcmp(c.shape, "y 16x8") == 0, "named by its weight");
	a = (union dev_args){ .attention = { .t = { .cap = 6 }, .seqs = { .cap = 2 },
	    .heads = 2, .kv_heads = 1, .d_qk = 4, .d_v = 4, .causal = true,
	    .type = DTYPE_F32, .kv_type = DTYPE_F32 } };
	dev_cost(NULL, K_ATTENTION, &a, &c);
	ok(c.flops == 2 * (1 + 2 + 3) * 2 * 4 * 4, "causal attention of two sequences");
	a.attention.window = 2;
	dev_cost(NULL, K_ATTENTION, &a, &c);
	ok(c.flops == 2 * (1 + 2 + 2) * 2 * 4 * 4, "a window");
	a.attention = (struct k_attention){ .t = { .cap = 2 }, .seqs = { .cap = 2 }, .heads = 2,
	    .kv_heads = 1, .d_qk = 4, .d_v = 4, .causal = true, .type = DTYPE_F32,
	    .kv_type = DTYPE_BF16, .block_table = { 256 }, .max_blocks = 3, .block_size = 16 };
	dev_cost(NULL, K_ATTENTION, &a, &c);
	ok(c.flops == 2 * 48 * 2 * 2 * 8 && c.bytes == 2 * 2 * 8 * 4 + 2 * 48 * 8 * 2,
	    "a query each, of what a cache holds");
	a = (union dev_args){ .adamw = { .n = 100, .moments = DTYPE_F32 } };
	dev_cost(NULL, K_ADAMW, &a, &c);
	ok(c.flops == 0 && c.bytes == 2800, "an update reads the gradient, and reads and writes three arrays");
	ok(fabs(profile_limit(&(struct dev_cost){ .flops = 10, .bytes = 4 }, 5, 1) - 4) < 1e-12,
	    "the limit is the slower of two");
}

/* A step's sums, and the same loss with a profile as without. */
static void
step(struct dev *dev)
{
	struct model m = { .params = { .compute = DTYPE_F32 } };
	struct stepper_options o = { .rows = 2, .context = 16, .train = stepper_adamw() };
	struct profile *p;
	struct stepper *s;
	struct err err;
	struct buf out = { .p = NULL };
	const struct profile_row *r;
	double loss[2], flops = 0;
	bool sorted = true, update = false;
	json_t *doc;
	int n;

	if (stepper_model(&m, "tiny", dev, true, &err) < 0 ||
	    (s = stepper_new(&m, &o, &err)) == NULL || stepper_step(s, &loss[0], &err) < 0) {
		ok(false, err.msg);
		return;
	}
	ok(fabs(loss[0] - log(512)) < 0.5, "a loss near ln V");
	p = profile_start(dev, &err);
	ok(p != NULL && stepper_step(s, &loss[1], &err) == 0, "a step with a profile");
	profile_stop(p);
	r = profile_rows(p, &n);
	for (int i = 0; i < n; i++) {
		if (r[i].kernel == K_MATMUL)
			flops += r[i].cost.flops;
		if (i > 0 && r[i].seconds > r[i - 1].seconds)
			sorted = false;
		update = update || (r[i].kernel == K_ADAMW && strcmp(r[i].phase, "update") == 0);
	}
	ok(n > 10 && sorted && update, "rows by time, with phases");
	/* Attention's part of the model's FLOPs is small in rows of 16. */
	ok(flops > 0.9 * stepper_flops(s) && flops <= stepper_flops(s),
	    "its products are those of the model");
	ok(profile_busy(p) > 0 && profile_busy(p) <= profile_span(p), "time is in the span");
	profile_table(p, 1e9, 1e9, &out);
	ok(buf_ok(&out, &err) == 0 && out.n > 0, "a table");
	buf_reset(&out);
	profile_trace(p, &out);
	doc = json_loadb(out.p, (size_t)out.n, 0, NULL);
	ok(json_array_size(json_object_get(doc, "traceEvents")) > 50, "a trace is JSON");
	json_decref(doc);
	profile_free(p);
	ok(stepper_step(s, &loss[1], &err) == 0, "and on without it");
	buf_free(&out);
	stepper_free(s);
	model_free(&m);
}

int
main(void)
{
	struct err err;
	struct team *team = team_new(2, &err);
	struct dev *dev = dev_open("cpu", team, DEV_STRICT, &err);
	struct dev_bandwidth b;

	costs();
	step(dev);
	ok(dev_bandwidth(dev, &b, &err) == 0 && b.read > 1e8 && b.write > 1e8 && b.copy > 1e8,
	    "memory has a speed");
	dev_close(dev);
	team_free(team);
	return tap_done();
}
