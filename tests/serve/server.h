/*
 * server - a process that is watched: its memory, its files
 */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include <stdint.h>

/* Bytes in memory of a process; 0: there is none, or nothing tells. */
int64_t server_memory(int64_t pid);

/* Files that it has open; -1: nothing tells. */
int64_t server_files(int64_t pid);

/* Seconds of processors that it has had. */
double server_cpu(int64_t pid);

#endif
