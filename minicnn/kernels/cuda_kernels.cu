// The kernels for GPUs: one thread for each number of the output. No two threads write to the same address, and none
// waits for another: the order in which they run does not matter, so the same input gives the same bits.
//
// They are the functions of numpy_kernels.py, whose docstrings say what each computes; cuda_kernels.py launches them.
// In a backward pass, the thread of each input gathers its sum, in the order in which numpy_kernels.py adds.
//
// Letters: N images, C channels, H W height and width, KH KW kernel, SH SW stride, PH PW padding,
// DH DW dilation, OH OW output.
// All arrays are contiguous, and REAL is float or double.

#ifdef BIG_ARRAYS  // of more than a billion numbers; for others 32 bits are enough, and divisions are much faster
typedef long long Size;
#else
typedef int Size;
#endif

#ifdef BIG_WINDOWS  // of more than 16x16, where a byte cannot hold the index in a window
typedef int Place;
#else
typedef unsigned char Place;
#endif

typedef long long Label;
typedef unsigned long long Seed;

// A loop over `size` elements that all threads of all blocks share, as in: for (EACH(i, size)) ...
#define EACH(i, size) \
    Size i = blockIdx.x * (Size)blockDim.x + threadIdx.x; i < (size); i += gridDim.x * (Size)blockDim.x


// --- convolution ------------------------------------------------------------------------------------------------

// A thread writes one channel of one window.
extern "C" __global__ void im2col(
    const REAL* x, Size N, Size C, Size H, Size W, Size OH, Size OW,
    Size KH, Size KW, Size SH, Size SW, Size PH, Size PW, Size DH, Size DW, REAL* col
) {
    const Size windows = N * OH * OW;
    for (EACH(i, C * windows)) {
        const Size ow = i % OW, oh = i / OW % OH, n = i / OW / OH % N, c = i / windows;
        const REAL* image = x + (n * C + c) * H * W;
        REAL* place = col + c * (KH * KW * windows) + i % windows;
        for (Size kh = 0; kh < KH; kh++) {
            for (Size kw = 0; kw < KW; kw++) {
                const Size h = oh * SH - PH + kh * DH, w = ow * SW - PW + kw * DW;
                const bool inside = 0 <= h && h < H && 0 <= w && w < W;
                *place = inside ? image[h * W + w] : 0;
                place += windows;
            }
        }
    }
}

// A thread sums the gradient of one pixel. At position kh of a window, the pixel's row h belongs to the window that
// starts at oh SH - PH = h - kh DH, if there is one. Without dilation every SH-th kh has one, and no other is tried.
extern "C" __global__ void col2im(
    const REAL* col, Size N, Size C, Size H, Size W, Size OH, Size OW,
    Size KH, Size KW, Size SH, Size SW, Size PH, Size PW, Size DH, Size DW, REAL* x
) {
    const Size windows = N * OH * OW;
    for (EACH(i, N * C * H * W)) {
        const Size w = i % W, h = i / W % H, c = i / W / H % C, n = i / W / H / C;
        const Size step_h = DH == 1 ? SH : 1, step_w = DW == 1 ? SW : 1;
        REAL total = 0;
        for (Size kh = (h + PH) % step_h; kh < KH; kh += step_h) {
            const Size oh = (h + PH - kh * DH) / SH;
            for (Size kw = (w + PW) % step_w; kw < KW; kw += step_w) {
                const Size ow = (w + PW - kw * DW) / SW;
                const bool starts = oh * SH == h + PH - kh * DH && ow * SW == w + PW - kw * DW;
                if (starts && 0 <= oh && oh < OH && 0 <= ow && ow < OW) {
                    total += col[((c * KH + kh) * KW + kw) * windows + (n * OH + oh) * OW + ow];
                }
            }
        }
        x[i] = total;
    }
}

// A product has a row for each filter, and in it the windows of all images; the output has the filters within an image.
// A thread writes one number of y (B, A, S), and reads it from x (A, B, S).
extern "C" __global__ void exchange(const REAL* x, const REAL* b, bool adds, Size A, Size B, Size S, REAL* y) {
    for (EACH(i, B * A * S)) {
        const Size s = i % S, first = i / S % A, second = i / S / A;
        const REAL value = x[(first * B + second) * S + s];
        y[i] = adds ? value + b[first] : value;
    }
}


// --- pooling ----------------------------------------------------------------------------------------------------

// A thread searches one window, which has at least one pixel.
extern "C" __global__ void max_pool2d_forward(
    const REAL* x, Size planes, Size H, Size W, Size OH, Size OW,
    Size KH, Size KW, Size SH, Size SW, Size PH, Size PW, Size DH, Size DW, REAL* y, Place* index
) {
    for (EACH(i, planes * OH * OW)) {
        const Size top = i / OW % OH * SH - PH, left = i % OW * SW - PW;
        const REAL* image = x + i / OW / OH * H * W;
        const Size first_kh = top < 0 ? (DH - 1 - top) / DH : 0, first_kw = left < 0 ? (DW - 1 - left) / DW : 0;
        REAL best = image[(top + first_kh * DH) * W + left + first_kw * DW];
        Size place = first_kh * KW + first_kw;
        for (Size kh = first_kh; kh < KH && top + kh * DH < H; kh++) {
            for (Size kw = first_kw; kw < KW && left + kw * DW < W; kw++) {
                const REAL value = image[(top + kh * DH) * W + left + kw * DW];
                if (value > best || value != value) {  // NaN is the one number that is not itself
                    best = value;
                    place = kh * KW + kw;
                }
            }
        }
        y[i] = best;
        index[i] = place;
    }
}

// A thread goes through the windows that contain its pixel, and takes the gradient where it was the maximum.
extern "C" __global__ void max_pool2d_backward(
    const REAL* grad_y, const Place* index, Size planes, Size H, Size W, Size OH, Size OW,
    Size KH, Size KW, Size SH, Size SW, Size PH, Size PW, Size DH, Size DW, REAL* grad_x
) {
    for (EACH(i, planes * H * W)) {
        const Size w = i % W, h = i / W % H;
        const Size plane = i / W / H * OH * OW;
        const Size step_h = DH == 1 ? SH : 1, step_w = DW == 1 ? SW : 1;  // as in col2im
        REAL total = 0;
        for (Size kh = (h + PH) % step_h; kh < KH; kh += step_h) {
            const Size oh = (h + PH - kh * DH) / SH;
            for (Size kw = (w + PW) % step_w; kw < KW; kw += step_w) {
                const Size ow = (w + PW - kw * DW) / SW;
                const bool starts = oh * SH == h + PH - kh * DH && ow * SW == w + PW - kw * DW;
                if (starts && 0 <= oh && oh < OH && 0 <= ow && ow < OW) {
                    const Size window = plane + oh * OW + ow;
                    if (index[window] == kh * KW + kw) {
                        total += grad_y[window];
                    }
                }
            }
        }
        grad_x[i] = total;
    }
}

extern "C" __global__ void avg_pool2d_forward(
    const REAL* x, Size planes, Size H, Size W, Size OH, Size OW,
    Size KH, Size KW, Size SH, Size SW, Size PH, Size PW, const REAL* divisor, REAL* y
) {
    for (EACH(i, planes * OH * OW)) {
        const Size top = i / OW % OH * SH - PH, left = i % OW * SW - PW;
        const REAL* image = x + i / OW / OH * H * W;
        REAL total = 0;
        for (Size h = max(top, (Size)0); h < min(top + KH, H); h++) {
            for (Size w = max(left, (Size)0); w < min(left + KW, W); w++) {
                total += image[h * W + w];
            }
        }
        y[i] = total / divisor[i % (OH * OW)];
    }
}

extern "C" __global__ void avg_pool2d_backward(
    const REAL* grad_y, Size planes, Size H, Size W, Size OH, Size OW,
    Size KH, Size KW, Size SH, Size SW, Size PH, Size PW, const REAL* divisor, REAL* grad_x
) {
    for (EACH(i, planes * H * W)) {
        const Size w = i % W, h = i / W % H;
        const Size plane = i / W / H * OH * OW;
        REAL total = 0;
        for (Size kh = (h + PH) % SH; kh < KH; kh += SH) {
            const Size oh = (h + PH - kh) / SH;
            for (Size kw = (w + PW) % SW; kw < KW; kw += SW) {
                const Size ow = (w + PW - kw) / SW;
                if (0 <= oh && oh < OH && 0 <= ow && ow < OW) {
                    total += grad_y[plane + oh * OW + ow] / divisor[oh * OW + ow];
                }
            }
        }
        grad_x[i] = total;
    }
}


// --- response normalisation -------------------------------------------------------------------------------------

// D^-beta, for the paper's 3/4 (and for 1/2 and 1) by square roots, which are faster than a power.
__device__ REAL lrn_power(REAL D, REAL beta) {
    if (beta == (REAL)0.75) {
        const REAL root = sqrt(1 / D);
        return root * sqrt(root);
    }
    if (beta == (REAL)0.5) {
        return sqrt(1 / D);
    }
    return beta == 1 ? 1 / D : pow(D, -beta);
}

// k + a times the sum of squares over the channels c - below ... c + above. `x` is the first channel's number at a
// position, and the next channel's is `step` further. Each sum is computed from scratch, from numbers that are in the
// cache: a running sum would keep the rounding error of a large number, and any NaN, after it has left the window.
__device__ REAL lrn_denominator(const REAL* x, Size step, Size c, Size C, Size below, Size above, REAL k, REAL a) {
    REAL total = 0;
    for (Size near = max(c - below, (Size)0); near <= min(c + above, C - 1); near++) {
        const REAL value = x[near * step];
        total += value * value;
    }
    return k + a * total;
}

// A thread computes all channels at one position.
extern "C" __global__ void lrn_forward(
    const REAL* x, Size N, Size C, Size S, Size below, Size above, REAL k, REAL a, REAL beta, REAL* y
) {
    for (EACH(i, N * S)) {
        const Size first = i / S * C * S + i % S;
        for (Size c = 0; c < C; c++) {
            const REAL D = lrn_denominator(x + first, S, c, C, below, above, k, a);
            const Size place = first + c * S;
            y[place] = x[place] * lrn_power(D, beta);
        }
    }
}

// A thread computes all channels at one position, and is `below` channels ahead of the one that it finishes. What a
// channel contributes to others, grad_y x D^-(beta + 1), is needed by below + above + 1 of them, and stays that long in
// `recent`, a circular buffer of as many rows of N S numbers.
extern "C" __global__ void lrn_backward(
    const REAL* x, const REAL* grad_y, Size N, Size C, Size S, Size below, Size above, REAL k, REAL a, REAL beta,
    REAL* recent, REAL* grad_x
) {
    const Size rows = below + above + 1;
    const REAL factor = 2 * a * beta;
    for (EACH(i, N * S)) {
        const Size first = i / S * C * S + i % S;
        for (Size ahead = 0; ahead < C + below; ahead++) {
            if (ahead < C) {
                const REAL D = lrn_denominator(x + first, S, ahead, C, below, above, k, a);
                const Size place = first + ahead * S;
                const REAL direct = grad_y[place] * lrn_power(D, beta);
                grad_x[place] = direct;
                recent[ahead % rows * (N * S) + i] = direct * x[place] / D;
            }
            const Size c = ahead - below;
            if (c >= 0) {
                REAL total = 0;
                for (Size near = max(c - above, (Size)0); near <= min(c + below, C - 1); near++) {
                    total += recent[near % rows * (N * S) + i];
                }
                const Size place = first + c * S;
                grad_x[place] -= factor * x[place] * total;
            }
        }
    }
}


// --- element by element -----------------------------------------------------------------------------------------

extern "C" __global__ void relu_backward(const REAL* y, const REAL* grad_y, Size size, REAL* grad_x) {
    for (EACH(i, size)) {
        grad_x[i] = y[i] <= 0 ? 0 : grad_y[i];
    }
}

// A number from 0 to 1, of as many bits as REAL holds: SplitMix64 of a seed and a position.
__device__ REAL hashed_uniform(Seed seed, Size position) {
    Seed z = seed + ((Seed)position + 1) * 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    z ^= z >> 31;
    const int bits = sizeof(REAL) == 4 ? 24 : 53;
    return (REAL)(z >> (64 - bits)) / (REAL)((Seed)1 << bits);
}

extern "C" __global__ void dropout(const REAL* x, Size size, Seed seed, REAL p, REAL scale, REAL* y) {
    for (EACH(i, size)) {
        y[i] = x[i] * (hashed_uniform(seed, i) >= p ? scale : 0);
    }
}


// --- the step of stochastic gradient descent --------------------------------------------------------------------

// The arrays that one launch updates, as if they stood one behind the other. They come as addresses in an argument
// (a kernel's arguments have room for 4096 bytes), so that nothing has to be copied to the GPU first.
struct Updates {
    REAL* parameter[64];
    const REAL* gradient[64];
    REAL* velocity[64];
    Size stop[64];  // where each array ends in the row of all
};

extern "C" __global__ void sgd_plain(const Updates all, Size size, REAL lr, REAL weight_decay) {
    Size which = 0;
    for (EACH(i, size)) {
        while (i >= all.stop[which]) {
            which++;
        }
        const Size place = i - (which > 0 ? all.stop[which - 1] : 0);
        REAL* parameter = all.parameter[which] + place;
        *parameter -= lr * (all.gradient[which][place] + weight_decay * *parameter);
    }
}

extern "C" __global__ void sgd_momentum(
    const Updates all, Size size, REAL lr, REAL momentum, REAL weight_decay, bool nesterov, bool paper
) {
    Size which = 0;
    for (EACH(i, size)) {
        while (i >= all.stop[which]) {
            which++;
        }
        const Size place = i - (which > 0 ? all.stop[which - 1] : 0);
        REAL *parameter = all.parameter[which] + place, *velocity = all.velocity[which] + place;
        const REAL slope = all.gradient[which][place] + weight_decay * *parameter;
        if (paper) {
            *velocity = momentum * *velocity - lr * slope;
            *parameter += *velocity;
        } else {
            *velocity = momentum * *velocity + slope;
            *parameter -= lr * (nesterov ? slope + momentum * *velocity : *velocity);
        }
    }
}


// --- softmax and cross-entropy ----------------------------------------------------------------------------------

// q v: the target of a class, times its weight v, for a row with this label.
__device__ REAL weighted_target(Size c, Label label, Label ignored, REAL v, Size C, REAL smoothing) {
    const REAL share = smoothing / C;
    return label == ignored ? 0 : (c == label ? 1 - smoothing + share : share) * v;
}

// A thread goes over a row three times: for the largest score, for the sum of exponentials, and for the results.
extern "C" __global__ void cross_entropy_forward(
    const REAL* x, const Label* labels, const REAL* v, Size M, Size C, Label ignored, REAL smoothing,
    REAL* p, REAL* totals, REAL* sums
) {
    for (EACH(m, M)) {
        const REAL* scores = x + m * C;
        REAL largest = scores[0];
        for (Size c = 1; c < C; c++) {
            if (scores[c] > largest || scores[c] != scores[c]) {  // NaN is the one number that is not itself
                largest = scores[c];
            }
        }
        REAL sum = 0;
        for (Size c = 0; c < C; c++) {
            sum += exp(scores[c] - largest);
        }
        const REAL log_sum = log(sum);
        const Label label = labels[m];
        const bool is_class = 0 <= label && label < C;
        REAL total = 0, loss = is_class || label == ignored ? 0 : sqrt((REAL)-1);
        for (Size c = 0; c < C; c++) {
            const REAL qv = weighted_target(c, label, ignored, v[c], C, smoothing);
            const REAL log_p = scores[c] - largest - log_sum;
            p[m * C + c] = exp(log_p);
            total += qv;
            loss -= qv == 0 ? 0 : qv * log_p;  // 0 times the -inf of an impossible class would be NaN
        }
        totals[m] = total;
        sums[m] = loss;
        sums[M + m] = is_class && label != ignored ? v[label] : 0;
    }
}

extern "C" __global__ void cross_entropy_backward(
    const REAL* p, const REAL* totals, const Label* labels, const REAL* v, Size M, Size C,
    Label ignored, REAL smoothing, const REAL* grad, bool one_grad, const REAL* divisor, bool divided, REAL* grad_x
) {
    for (EACH(i, M * C)) {
        const Size m = i / C, c = i % C;
        const REAL slope = p[i] * totals[m] - weighted_target(c, labels[m], ignored, v[c], C, smoothing);
        const REAL scale = grad[one_grad ? 0 : m];
        grad_x[i] = slope * (!divided ? scale : *divisor == 0 ? 0 : scale / *divisor);
    }
}
