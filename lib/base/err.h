/*
 * err - how a library function says what went wrong
 *
 * The caller owns the struct and passes it last.  A function that fails
 * fills it and returns -1 or NULL; one that succeeds leaves it alone.  The
 * message is whole: a tool prints it after its own name and nothing more.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
	ERR_NONE,
	ERR_IO,		/* the system refused: message ends in strerror */
	ERR_FORMAT,	/* the input is not what its format says */
	ERR_ARG,	/* the caller asked for something impossible */
	ERR_LIMIT,	/* a stated limit would be passed */
	ERR_NOMEM,
	ERR_DEVICE,	/* the accelerator or its library failed */
	ERR_STOP,	/* a signal or a time limit asked for the end */
};

struct err {
	enum err_code	code;
	char		msg[504];
};

/* Fill *e and return -1, so that a caller can write return err_set(...). */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* As err_set() with ERR_IO, and ": strerror(errno)" appended. */
int err_sys(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Put "prefix: " before the message of a failure that is passed up. */
int err_wrap(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
