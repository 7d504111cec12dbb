// CUDA C for a C++ compiler: the threads of all blocks run one after the other, in a loop, the last one first. A kernel
// in which a thread waits for another one cannot run so.

#include <algorithm>
#include <cmath>

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
    gridDim.x = blocks;
    blockDim.x = threads;
    for (blockIdx.x = blocks; blockIdx.x-- > 0;) {
        for (threadIdx.x = threads; threadIdx.x-- > 0;) {
            kernel();
        }
    }
}
