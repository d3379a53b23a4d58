/* gpus - those that "cuda:N" names in dev_open(): N is below their number */
#ifndef DEV_GPUS_H
#define DEV_GPUS_H

/* 0 where there is none to use. */
int dev_gpus(void);

#endif
