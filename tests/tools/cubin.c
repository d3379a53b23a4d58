/*
 * cubin - counts instructions of kernels in machine code for NVIDIA GPUs
 *
 * usage: cubin ARCH FILE...
 *
 * A cubin is an ELF file with a section .text.NAME for each kernel.  An instruction has 16
 * bytes, of which the low 12 bits say which it is; bits 73 to 75 of a load are its size.  The
 * numbers are not documented: those here hold for sm_80 to sm_120, and scripts/check-cuda
 * compares them with kernels that have one of each.  Rows are
 *
 *	code ARCH KERNEL instructions hmma imma qmma loads wide copies ldmatrix local
 *
 * with loads of global memory, those of 16 bytes, cp.async, and accesses to local memory.
 */
#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum count { HMMA, IMMA, QMMA, LOADS, WIDE, COPIES, LDMATRIX, LOCAL, COUNTS };

enum { SIZE_16 = 6 };

static void
tell(const uint64_t word[2], long count[COUNTS])
{
	switch (word[0] & 0xfff) {
	case 0x23c:
		count[HMMA]++;
		break;
	case 0x237:
		count[IMMA]++;
		break;
	case 0x27a:
		count[QMMA]++;
		break;
	case 0x381:
	case 0x981:
		count[LOADS]++;
		count[WIDE] += (word[1] >> 9 & 7) == SIZE_16;
		break;
	case 0xfae:
		count[COPIES]++;
		break;
	case 0x83b:
		count[LDMATRIX]++;
		break;
	case 0x983:
	case 0x387:
	case 0x987:
		count[LOCAL]++;
		break;
	}
}

static void
print_kernel(const char *arch, const char *name, const uint8_t *code, uint64_t size)
{
	long count[COUNTS] = { 0 };

	for (uint64_t i = 0; i + 16 <= size; i += 16) {
		uint64_t word[2];

		memcpy(word, code + i, sizeof(word));
		tell(word, count);
	}
	printf("code\t%s\t%s\t%llu", arch, name, (unsigned long long)(size / 16));
	for (int i = 0; i < COUNTS; i++)
		printf("\t%ld", count[i]);
	printf("\n");
}

/* Is [off, off + n) in the file? */
static bool
inside(uint64_t off, uint64_t n, uint64_t size)
{
	return off <= size && n <= size - off;
}

static bool
print_kernels(const char *arch, const uint8_t *file, uint64_t size)
{
	Elf64_Ehdr e;
	Elf64_Shdr names, s;

	if (size < sizeof(e))
		return false;
	memcpy(&e, file, sizeof(e));
	if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_ident[EI_CLASS] != ELFCLASS64 ||
	    e.e_shentsize != sizeof(s) || e.e_shstrndx >= e.e_shnum ||
	    !inside(e.e_shoff, (uint64_t)e.e_shnum * sizeof(s), size))
		return false;
	memcpy(&names, file + e.e_shoff + e.e_shstrndx * sizeof(s), sizeof(s));
	if (!inside(names.sh_offset, names.sh_size, size) || names.sh_size == 0 ||
	    file[names.sh_offset + names.sh_size - 1] != '\0')
		return false;
	for (int i = 0; i < e.e_shnum; i++) {
		const char *name;

		memcpy(&s, file + e.e_shoff + (uint64_t)i * sizeof(s), sizeof(s));
		if (s.sh_name >= names.sh_size)
			return false;
		name = (const char *)file + names.sh_offset + s.sh_name;
		if (strncmp(name, ".text.", 6) != 0)
			continue;
		if (!inside(s.sh_offset, s.sh_size, size))
			return false;
		print_kernel(arch, name + 6, file + s.sh_offset, s.sh_size);
	}
	return true;
}

static bool
print_file(const char *arch, const char *path)
{
	FILE *f = fopen(path, "rb");
	long n = -1;
	uint8_t *bytes;
	bool good;

	if (f == NULL)
		return false;
	if (fseek(f, 0, SEEK_END) == 0)
		n = ftell(f);
	rewind(f);
	bytes = n < 0 ? NULL : malloc((size_t)n + 1);
	good = bytes != NULL && fread(bytes, 1, (size_t)n, f) == (size_t)n &&
	    print_kernels(arch, bytes, (uint64_t)n);
	free(bytes);
	fclose(f);
	return good;
}

int
main(int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (!print_file(argv[1], argv[i])) {
			fprintf(stderr, "cubin: %s: no machine code\n", argv[i]);
			return 2;
		}
	return argc < 3 ? 2 : 0;
}
