#include "server.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int64_t
server_memory(int64_t pid)
{
	char path[64];
	long long all, resident = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lld/statm", (long long)pid);
	if (pid <= 0 || (f = fopen(path, "r")) == NULL)
		return 0;
	if (fscanf(f, "%lld %lld", &all, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * sysconf(_SC_PAGESIZE);
}

int64_t
server_files(int64_t pid)
{
	char path[64];
	int64_t n = -2;		/* . and .. */
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%lld/fd", (long long)pid);
	if (pid <= 0 || (d = opendir(path)) == NULL)
		return -1;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

double
server_cpu(int64_t pid)
{
	char path[64], line[1024], *at;
	long long user = 0, sys = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
	if (pid <= 0 || (f = fopen(path, "r")) == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL && (at = strrchr(line, ')')) != NULL &&
	    sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user, &sys) < 2)
		user = sys = 0;
	fclose(f);
	return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}
