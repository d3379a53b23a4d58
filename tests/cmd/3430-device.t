#!/bin/sh
# The names of devices, and what is said where there is no GPU to use.
. "$(dirname "$0")/../lib.sh"
exec </dev/null
cd "$tmp" || exit 1

exits 0 'the best device there is' llm-bench -j 1 -d auto peak
exits 2 'no number' llm-bench -d cuda:x peak
grep -q "^llm-bench: cuda:x: no number of a GPU" err
result 'is told' $?
exits 2 'no device' llm-bench -d gpu peak
grep -q "^llm-bench: gpu: no such device" err
result 'and what there is' $?

kernels=yes
llm-bench -d cuda peak >out 2>err && kernels=gpu
grep -q 'this build has no CUDA kernels' err && kernels=no
exits 2 'a GPU that is not there' llm-bench -d cuda:999 peak
grep -q "^llm-bench: cuda:999: .*\(use -d cpu\|the driver sees [0-9]* GPU\)" err
result 'says what to do' $?

# refuses DRIVER DEVICE DESCRIPTION MESSAGE; the CPU is there all the same
refuses () {
	exits 2 "$3" env LD_LIBRARY_PATH="$1" llm-bench -d "$2" peak
	grep -q "^llm-bench: $2: $4" err
	result "$3: the message" $?
	for device in cpu auto
	do
		LD_LIBRARY_PATH=$1 llm-bench -j 1 -d $device peak 2>err | grep -q '^fp32' && ! test -s err
		result "$3: -d $device" $?
	done
}

# On a machine that has neither toolkit nor driver.
if test $kernels = yes && ! ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1'
then
	mkdir nothing
	all=$PATH
	PATH=$(dirname "$(command -v llm-bench)"):/usr/bin:/bin
	refuses nothing cuda 'no toolkit and no driver' 'no libcuda.so.1 on this machine: .* use -d cpu'
	PATH=$all
fi

# Tools that were made where no nvcc was.
if ! grep -q fsanitize "$BUILD/config" && pkg-config --exists libarchive
then
	echo 'const void *const cuda_images[] = { 0 };' >images.c
	mkdir bare
	libs=$(sed -n 's/^NEED := //p' "$data/../../GNUmakefile")
	# shellcheck disable=SC2046,SC2086 # compilers and libraries are words
	$CC -o bare/llm-bench "$BUILD/cmd/llm-bench.o" images.c "$BUILD/libllm.a" \
	    $(pkg-config --libs $libs) -lpthread -ldl -lm 2>err
	result 'a library without kernels is linked' $?
	exits 2 'a build without kernels' bare/llm-bench -d cuda peak
	grep -q '^llm-bench: cuda: this build has no CUDA kernels: .* use -d cpu' err
	result 'says how to get them' $?
	exits 0 'and takes the CPU' bare/llm-bench -j 1 -d auto peak
fi

# The toolkit has a library of that name, to link with, which is no driver.
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
stub=${nvcc%/bin/nvcc}/lib64/stubs/libcuda.so
if test $kernels != no -a -f "$stub"
then
	mkdir stub
	ln -s "$stub" stub/libcuda.so.1
	refuses stub cuda "the toolkit's stub" "libcuda.so.1 is the CUDA toolkit's stub.* use -d cpu"
fi

# A driver without a GPU, one that is too old, and one with a GPU of another time.
driver () {
	mkdir -p "$1"
	{
		cat <<-'EOF'
		#include <string.h>
		int cuInit(unsigned f) { (void)f; return INIT; }
		int cuGetErrorName(int r, const char **n) { (void)r; *n = "CUDA_ERROR_X"; return 0; }
		int cuDeviceGetCount(int *n) { *n = COUNT; return 0; }
		int cuDeviceGet(int *d, int i) { *d = i; return 0; }
		int cuDeviceGetName(char *s, int n, int d)
		{ (void)n; (void)d; strcpy(s, "Old GPU"); return 0; }
		int cuDeviceTotalMem_v2(size_t *n, int d) { (void)d; *n = 1 << 30; return 0; }
		int cuDeviceGetAttribute(int *v, int a, int d)
		{ (void)d; *v = a == 75 ? 7 : 5; return 0; }
		EOF
		test -z "$3" || sed -n 's/^	X(\(cu[A-Za-z0-9_]*\),.*/\1/p' "$3" |
		    grep -vE '^cu(Init|GetErrorName|DeviceGet|DeviceGetCount|DeviceGetName|DeviceTotalMem_v2|DeviceGetAttribute)$' |
		    sed 's/.*/int &(void) { return 999; }/'
	} >"$1/driver.c"
	# shellcheck disable=SC2086 # definitions and compilers are words
	$CC $2 -shared -fPIC -o "$1/libcuda.so.1" "$1/driver.c"
}

calls=$data/../../lib/dev/cuda/driver.h
if test $kernels != no && ! grep -q fsanitize "$BUILD/config"
then
	driver none '-DINIT=100 -DCOUNT=0' "$calls"
	refuses none cuda 'a driver without a GPU' 'the driver sees no GPU: .* use -d cpu'
	driver zero '-DINIT=0 -DCOUNT=0' "$calls"
	refuses zero cuda 'a driver that counts none' 'the driver sees no GPU: .* use -d cpu'
	driver broken '-DINIT=999 -DCOUNT=0' "$calls"
	refuses broken cuda 'a driver that does not start' 'the driver does not start: CUDA_ERROR_X'
	driver short '-DINIT=0 -DCOUNT=1' ''
	refuses short cuda 'a driver that lacks calls' \
	    'libcuda.so.1 has no cu[A-Za-z0-9_]*: the driver is too old'
	driver old '-DINIT=0 -DCOUNT=1' "$calls"
	refuses old cuda 'an old GPU' 'Old GPU has compute capability 7.5, and 8.0 is needed'
	refuses old cuda:1 'a GPU beyond the last' 'no such GPU: the driver sees 1 GPU'
fi
done_testing
