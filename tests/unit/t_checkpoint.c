/* Checkpoints: whole or not there, the newest sound one found, links kept. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"
#include "base/stream.h"
#include "fmt/checkpoint.h"

static char run[64];

static bool
there(const char *name)
{
	char path[CHECKPOINT_PATH];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", run, name);
	return lstat(path, &st) == 0;
}

static int
save(int64_t step, const char *text, struct err *e)
{
	struct checkpoint *c = checkpoint_begin(run, step, e);
	char path[CHECKPOINT_PATH + 20];

	if (c == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/state.json", checkpoint_dir(c));
	if (file_write(path, str_of(text), e) != 0)
		return -1;
	snprintf(path, sizeof(path), "%s/empty", checkpoint_dir(c));
	if (file_write(path, S(""), e) != 0)
		return -1;
	return checkpoint_commit(c, e);
}

static int complaints;

static void
complain(void *ctx, const char *message)
{
	(void)ctx;
	complaints += strstr(message, "state.json") != NULL;
}

static void
overwrite(const char *name, const char *text)
{
	char path[CHECKPOINT_PATH];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", run, name);
	fd = open(path, O_WRONLY | O_CREAT, 0666);
	ok(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "a file is changed");
	close(fd);
}

static void
newest(void)
{
	struct err e = { 0 };
	char path[CHECKPOINT_PATH];
	int64_t step = 0;

	ok(checkpoint_newest(run, path, &step, NULL, NULL, &e) == 0, "none in a new run");
	ok(save(100, "one", &e) == 0 && save(200, "two", &e) == 0 &&
	    save(300, "three", &e) == 0, "three are written");
	ok(checkpoint_linked(run, "latest") == 300, "latest is the last");
	ok(checkpoint_newest(run, path, &step, NULL, NULL, &e) == 1 && step == 300 &&
	    strstr(path, "/step-00000300") != NULL, "the newest is found");
	overwrite("step-00000300/state.json", "thr3e");
	ok(checkpoint_verify(path, &e) == -1 && strstr(e.msg, "checksum") != NULL,
	    "damage shows");
	ok(checkpoint_newest(run, path, &step, complain, NULL, &e) == 1 && step == 200 &&
	    complaints == 1, "and the one before is taken");
	overwrite("step-00000200/state.json", "two and more");
	ok(checkpoint_newest(run, path, &step, complain, NULL, &e) == 1 && step == 100 &&
	    complaints == 3, "a longer file shows too");
	ok(save(300, "again", &e) == 0 && checkpoint_newest(run, path, &step, NULL, NULL, &e) == 1
	    && step == 300, "a damaged one is replaced");
	ok(save(100000000, "big", &e) == 0 && there("step-100000000") &&
	    checkpoint_newest(run, path, &step, NULL, NULL, &e) == 1 && step == 100000000,
	    "nine digits sort after eight");
}

static void
half(void)
{
	struct err e = { 0 };
	struct checkpoint *c = checkpoint_begin(run, 400, &e);
	char path[CHECKPOINT_PATH + 20];

	snprintf(path, sizeof(path), "%s/x", checkpoint_dir(c));
	file_write(path, S("x"), &e);
	ok(there(".tmp-step-00000400/x") && !there("step-00000400"), "half is hidden");
	checkpoint_abort(c);
	ok(!there(".tmp-step-00000400"), "and gone when aborted");
	c = checkpoint_begin(run, 400, &e);
	free(c);
	c = checkpoint_begin(run, 50, &e);
	ok(c != NULL && !there(".tmp-step-00000400"), "what a dead process left is removed");
	snprintf(path, sizeof(path), "%s/sub", checkpoint_dir(c));
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/sub/x", checkpoint_dir(c));
	file_write(path, S("x"), &e);
	snprintf(path, sizeof(path), "%s/step-00000050", run);
	ok(checkpoint_commit(c, &e) == 0 && there("step-00000050/sub/x") &&
	    checkpoint_verify(path, &e) == 0, "a directory of files");
	snprintf(path, sizeof(path), "%s/step-00000050/sub/x", run);
	file_write(path, S("y"), &e);
	*strrchr(path, '/') = '\0';
	*strrchr(path, '/') = '\0';
	ok(checkpoint_verify(path, &e) == -1, "is verified, too");
	c = checkpoint_begin(run, 600, &e);
	snprintf(path, sizeof(path), "%s/sub", checkpoint_dir(c));
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/sub/sub", checkpoint_dir(c));
	mkdir(path, 0777);
	ok(checkpoint_commit(c, &e) == -1 && !there("step-00000600") &&
	    !there(".tmp-step-00000600"), "one in it is refused, and nothing left");
}

static void
prune(void)
{
	struct err e = { 0 };

	ok(checkpoint_link(run, "best", 100, &e) == 0 && checkpoint_linked(run, "best") == 100,
	    "best points to the first");
	ok(checkpoint_prune(run, 2, &e) == 0 && there("step-100000000") &&
	    there("step-00000300") && !there("step-00000200") && there("step-00000100"),
	    "the newest two and the best stay");
	ok(checkpoint_prune(run, 0, &e) == 0 && there("step-100000000") &&
	    !there("step-00000300") && there("step-00000100"), "at least one stays");
	ok(checkpoint_linked(run, "none") == -1, "no such link");
}

static void
lock(void)
{
	struct err e = { 0 };
	char who[40];
	int fd = run_lock(run, &e), status = 0;
	pid_t pid;

	ok(fd >= 0, "a run is locked");
	snprintf(who, sizeof(who), "%ld", (long)getpid());
	pid = fork();
	if (pid == 0)
		_exit(run_lock(run, &e) == -1 && strstr(e.msg, who) != NULL ? 0 : 1);
	waitpid(pid, &status, 0);
	ok(pid > 0 && status == 0, "a second process is told who has it");
	close(fd);
	fd = run_lock(run, &e);
	ok(fd >= 0, "and gets it when the first is gone");
	close(fd);
}

/* Samples of checksums.json beside a state.json of "{}" and a newline. */
static void
samples(const char *kind, int want)
{
	char path[CHECKPOINT_PATH];
	struct err e = { 0 };
	struct dirent *d;
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "%s/state.json", run);
	ok(file_write(path, S("{}\n"), &e) == 0, "a state");
	snprintf(path, sizeof(path), "tests/data/checkpoint/%s", kind);
	dir = opendir(path);
	while (dir != NULL && (d = readdir(dir)) != NULL) {
		str text = { NULL, 0 };

		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "tests/data/checkpoint/%s/%s", kind, d->d_name);
		ok(file_map(path, &text, &e) == 0, d->d_name);
		snprintf(path, sizeof(path), "%s/checksums.json", run);
		ok(file_write(path, text, &e) == 0 && checkpoint_verify(run, &e) == want,
		    want == 0 ? "verifies" : "does not verify");
		file_unmap(text);
		n++;
	}
	if (dir != NULL)
		closedir(dir);
	ok(n >= 3, "samples were there");
}

int
main(void)
{
	char name[] = "/tmp/t_checkpoint.XXXXXX", command[100];
	struct err e = { 0 };

	if (mkdtemp(name) == NULL)
		return 2;
	snprintf(run, sizeof(run), "%s/run", name);
	lock();
	newest();
	half();
	prune();
	samples("good", 0);
	samples("bad", -1);
	ok(checkpoint_begin("/nonexistent/run", 1, &e) == NULL, "no run, no checkpoint");
	snprintf(command, sizeof(command), "rm -r %s", name);
	return system(command) != 0 || tap_done() != 0;
}
