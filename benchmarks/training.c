/* The documented network, written by hand: the limit that compiled graphs are measured against.

   One sample per step, sigmoid layers, w -= alpha * gradient; all lengths are known to the compiler.
   gcc -O3 -march=native -ffast-math -shared -fPIC -DL0=65 -DL1=33 -DL2=17 -DL3=10 training.c -lm
*/
#include <math.h>

#ifndef REAL
#define REAL double
#define EXP exp
#endif

static inline void forward(int n, int m, const REAL *restrict a, const REAL *restrict w,
                           REAL *restrict out) {
    for (int j = 0; j < m; j++) out[j] = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) out[j] += a[i] * w[i * m + j];
    for (int j = 0; j < m; j++) out[j] = 1 / (1 + EXP(-out[j]));
}

static inline void backward(int n, int m, const REAL *restrict w, const REAL *restrict delta,
                            const REAL *restrict a, REAL *restrict out) {
    for (int i = 0; i < n; i++) {
        REAL sum = 0;
        for (int j = 0; j < m; j++) sum += w[i * m + j] * delta[j];
        out[i] = sum * a[i] * (1 - a[i]);
    }
}

static inline void update(int n, int m, REAL alpha, const REAL *restrict a,
                          const REAL *restrict delta, REAL *restrict w) {
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++) w[i * m + j] -= alpha * a[i] * delta[j];
}

void train(REAL *restrict w0, REAL *restrict w1, REAL *restrict w2, const REAL *restrict x,
           const REAL *restrict y, REAL alpha, long samples, long epochs) {
    for (long epoch = 0; epoch < epochs; epoch++)
        for (long s = 0; s < samples; s++) {
            const REAL *a0 = x + s * L0, *target = y + s * L3;
            REAL a1[L1], a2[L2], a3[L3], d1[L1], d2[L2], d3[L3];
            forward(L0, L1, a0, w0, a1);
            forward(L1, L2, a1, w1, a2);
            forward(L2, L3, a2, w2, a3);
            for (int j = 0; j < L3; j++) d3[j] = (a3[j] - target[j]) * a3[j] * (1 - a3[j]);
            backward(L2, L3, w2, d3, a2, d2);
            backward(L1, L2, w1, d2, a1, d1);
            update(L0, L1, alpha, a0, d1, w0);
            update(L1, L2, alpha, a1, d2, w1);
            update(L2, L3, alpha, a2, d3, w2);
        }
}
