#include <math.h>
#include <stdio.h>

#include "token/template_run_impl.h"

static int
whole(struct run *r, bool overflow, int64_t x, struct value *out)
{
	if (overflow)
		return tpl_fail(r, "a whole number of more than 64 bits");
	*out = (struct value){ .kind = V_INT, .i = x };
	return 0;
}

static int
real(double x, struct value *out)
{
	*out = (struct value){ .kind = V_FLOAT, .f = x };
	return 0;
}

/* Python rounds quotients down, and a remainder has the divisor's sign. */
static int
divide(struct run *r, int op, int64_t a, int64_t b, struct value *out)
{
	if (b == -1)
		return whole(r, a == INT64_MIN, op == '%' || a == INT64_MIN ? 0 : -a, out);
	if (op == '%')
		return whole(r, false, a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0), out);
	return whole(r, false, a / b - (a % b != 0 && (a < 0) != (b < 0)), out);
}

static int
divide_real(int op, double a, double b, struct value *out)
{
	double mod = fmod(a, b), quotient = (a - mod) / b;

	if (mod != 0 && (mod < 0) != (b < 0)) {
		mod += b;
		quotient -= 1;
	} else if (mod == 0) {
		mod = copysign(0, b);
	}
	if (op == '%')
		return real(mod, out);
	if (quotient == 0)
		return real(copysign(0, a / b), out);
	return real(floor(quotient) + (quotient - floor(quotient) > 0.5), out);
}

static int
power(struct run *r, const struct value *a, const struct value *b, struct value *out)
{
	int64_t x, n, y = 1;
	double f = pow(tpl_real(a), tpl_real(b));

	if (!tpl_is_whole(a) || !tpl_is_whole(b) || tpl_whole(b) < 0) {
		if (!isfinite(f) && isfinite(tpl_real(a)) && isfinite(tpl_real(b)))
			return tpl_fail(r, "a power that is no number");
		return real(f, out);
	}
	x = tpl_whole(a);
	n = tpl_whole(b);
	if (fabs(f) >= 0x1p63)
		return whole(r, true, 0, out);
	for (; n > 0; n >>= 1) {
		y = n & 1 ? (int64_t)((uint64_t)y * (uint64_t)x) : y;
		x = (int64_t)((uint64_t)x * (uint64_t)x);
	}
	return whole(r, false, y, out);
}

static int
numbers(struct run *r, int op, const struct value *a, const struct value *b, struct value *out)
{
	double f = tpl_real(a), g = tpl_real(b);
	int64_t x = 0;
	bool over = false;

	if (op == T_POW)
		return power(r, a, b, out);
	if (g == 0 && (op == '/' || op == '%' || op == T_FLOORDIV))
		return tpl_fail(r, "a division by zero");
	if (tpl_is_whole(a) && tpl_is_whole(b)) {
		int64_t m = tpl_whole(a), n = tpl_whole(b);

		switch (op) {
		case '+':
			over = __builtin_add_overflow(m, n, &x);
			break;
		case '-':
			over = __builtin_sub_overflow(m, n, &x);
			break;
		case '*':
			over = __builtin_mul_overflow(m, n, &x);
			break;
		case '/':
			return real(f / g, out);
		default:
			return divide(r, op, m, n, out);
		}
		return whole(r, over, x, out);
	}
	switch (op) {
	case '+':
		return real(f + g, out);
	case '-':
		return real(f - g, out);
	case '*':
		return real(f * g, out);
	case '/':
		return real(f / g, out);
	default:
		return divide_real(op, f, g, out);
	}
}

/* A string or list n times. */
static int
repeat(struct run *r, const struct value *v, int64_t n, struct value *out)
{
	ptrdiff_t size = v->kind == V_STR ? 1 : (ptrdiff_t)sizeof(struct value);
	int64_t each = v->kind == V_STR ? v->s.n : v->list->n, total;
	struct list *l;
	char *p;

	n = n < 0 || each == 0 ? 0 : n;
	if (__builtin_mul_overflow(n, each, &total))
		total = INT64_MAX;
	if ((p = tpl_alloc(r, total, size)) == NULL)
		return -1;
	/* Once, and what is there again, and so on. */
	for (int64_t done = 0, part = each; done < total; done += part) {
		if (done > 0)
			part = done < total - done ? done : total - done;
		if (v->kind == V_STR)
			tpl_copy(r, p + done, (str){ done > 0 ? p : v->s.p, part });
		else
			memcpy(p + done * size, done > 0 ? p : (const char *)v->list->at,
			    (size_t)(part * size));
	}
	*out = *v;
	if (v->kind == V_STR) {
		out->s = (str){ p, total };
		return 0;
	}
	if ((l = tpl_list_new(r, 0)) == NULL)
		return -1;
	l->at = (struct value *)p;
	l->n = total;
	out->list = l;
	return 0;
}

static int
join_strings(struct run *r, str a, str b, struct value *out)
{
	char *p = tpl_alloc(r, a.n + b.n, 1);

	if (p == NULL)
		return -1;
	tpl_copy(r, p, a);
	tpl_copy(r, p + a.n, b);
	*out = tpl_str_value((str){ p, a.n + b.n });
	return 0;
}

/* Text marked as safe escapes what it is added to. */
static int
join_safe(struct run *r, const struct value *a, const struct value *b, struct value *out)
{
	struct value x, y;

	if (tpl_escape(r, a, &x) < 0 || tpl_escape(r, b, &y) < 0 ||
	    join_strings(r, x.s, y.s, out) < 0)
		return -1;
	out->safe = true;
	return 0;
}

static int
join_lists(struct run *r, const struct value *a, const struct value *b, struct value *out)
{
	struct list *l = tpl_list_new(r, a->list->n + b->list->n);

	if (l == NULL)
		return -1;
	memcpy(l->at, a->list->at, (size_t)a->list->n * sizeof(*l->at));
	memcpy(l->at + a->list->n, b->list->at, (size_t)b->list->n * sizeof(*l->at));
	*out = (struct value){ .kind = a->kind, .list = l };
	return 0;
}

static bool
repeats(const struct value *v)
{
	return v->kind == V_STR ||
	    ((v->kind == V_LIST || v->kind == V_TUPLE) && v->list->is == LIST_WHOLE);
}

int
tpl_binary(struct run *r, int op, const struct value *a, const struct value *b, struct value *out)
{
	char sign[2] = { (char)op, '\0' };

	if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED)
		return tpl_undefined(r, a->kind == V_UNDEFINED ? a : b);
	if (tpl_is_number(a) && tpl_is_number(b))
		return numbers(r, op, a, b, out);
	if (op == '+' && a->kind == V_STR && b->kind == V_STR)
		return a->safe || b->safe ? join_safe(r, a, b, out) :
		    join_strings(r, a->s, b->s, out);
	if (op == '+' && a->kind != V_STR && a->kind == b->kind && repeats(a) && repeats(b))
		return join_lists(r, a, b, out);
	if (op == '*' && repeats(a) && tpl_is_whole(b))
		return repeat(r, a, tpl_whole(b), out);
	if (op == '*' && repeats(b) && tpl_is_whole(a))
		return repeat(r, b, tpl_whole(a), out);
	if (op == '%' && a->kind == V_STR && a->safe)
		return tpl_fail(r, "'%%' of text marked as safe is not supported");
	if (op == '%' && a->kind == V_STR)
		return tpl_format(r, a->s, b, out);
	return tpl_fail(r, "'%s' is not between %s and %s", op == T_POW ? "**" :
	    op == T_FLOORDIV ? "//" : sign, tpl_kind(a), tpl_kind(b));
}

int
tpl_sign(struct run *r, bool minus, const struct value *v, struct value *out)
{
	if (v->kind == V_UNDEFINED)
		return tpl_undefined(r, v);
	if (!tpl_is_number(v))
		return tpl_fail(r, "%s has no sign", tpl_kind(v));
	if (v->kind == V_FLOAT)
		return real(minus ? -v->f : v->f, out);
	return whole(r, minus && tpl_whole(v) == INT64_MIN, minus && tpl_whole(v) != INT64_MIN ?
	    -tpl_whole(v) : tpl_whole(v), out);
}
