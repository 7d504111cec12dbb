// CUDA C for a C++ compiler: the threads of all blocks run one after the other, in a loop, the last one first. A kernel
// in which a thread waits for another one cannot run so. As on a GPU, subnormal numbers of single precision become 0.

#include <algorithm>
#include <cmath>

#ifdef __SSE2__
#include <pmmintrin.h>
#endif

#define __global__
#define __device__ static

struct Coordinates {
    unsigned x;
};

static Coordinates gridDim, blockDim, blockIdx, threadIdx;

using std::exp;
using std::log;
using std::max;
using std::min;
using std::pow;
using std::sqrt;

template <class Kernel>
void every_thread(unsigned blocks, unsigned threads, Kernel kernel) {
#ifdef __SSE2__
    const unsigned before = _mm_getcsr();
    if (sizeof(REAL) == sizeof(float)) {
        _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
        _MM_SET_DENORMALS_ZERO_MODE(_MM_DENORMALS_ZERO_ON);
    }
#endif
    gridDim.x = blocks;
    blockDim.x = threads;
    for (blockIdx.x = blocks; blockIdx.x-- > 0;) {
        for (threadIdx.x = threads; threadIdx.x-- > 0;) {
            kernel();
        }
    }
#ifdef __SSE2__
    _mm_setcsr(before);
#endif
}
