/* A new key, in its file. */
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/stream.h"
#include "serve/keys.h"

/* Would the file be right with this line?  Its last line may have no end: then it gets one. */
static int
check_line(const char *path, str line, bool *open_end, struct err *err)
{
	struct buf all = { 0 };
	struct keys *keys = NULL;
	struct arena a;
	str old = S("");

	if (arena_init(&a, KEYS_BYTES + 4096, err) < 0)
		return -1;
	if (access(path, F_OK) == 0)
		old = file_slurp(&a, path, KEYS_BYTES, err);
	*open_end = old.n > 0 && old.p[old.n - 1] != '\n';
	if (old.p != NULL) {
		buf_add(&all, old);
		if (*open_end)
			buf_byte(&all, '\n');
		buf_add(&all, line);
		keys = keys_parse(buf_str(&all), path, err);
	}
	if (keys != NULL)
		keys_free(keys);
	buf_free(&all);
	arena_free(&a);
	return keys == NULL ? -1 : 0;
}

static int
append(const char *path, str line, struct err *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "%s", path);
	n = write(fd, line.p, (size_t)line.n);
	if (close(fd) < 0 || n != line.n)
		return err_sys(err, "%s", path);
	return 0;
}

int
keys_add(const char *path, str settings, struct buf *secret, struct err *err)
{
	struct buf line = { 0 };
	str name = str_cut(&settings, ' ');
	bool open_end = false;
	int ret = keys_new_line(name, settings, secret, &line, err);

	if (ret == 0)
		ret = check_line(path, buf_str(&line), &open_end, err);
	if (ret == 0 && open_end)
		ret = append(path, S("\n"), err);
	if (ret == 0)
		ret = append(path, buf_str(&line), err);
	buf_free(&line);
	return ret;
}
