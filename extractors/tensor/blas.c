/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/tensor/blas.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* Values of CBLAS_LAYOUT and CBLAS_TRANSPOSE. */
enum { ROW_MAJOR = 101, AS_IT_IS = 111, TRANSPOSED = 112 };

/* Name the kernels for a CPU that the library may not know; an operator's own choice stays. */
static void
choose_kernels(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bf16"))
        setenv("OPENBLAS_CORETYPE", "COOPERLAKE", 0);
    else if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq"))
        setenv("OPENBLAS_CORETYPE", "SKYLAKEX", 0);
#endif
}

/* ISO C has no conversion from void * to a function pointer; POSIX has. */
static bool
symbol(void *library, const char *name, void *ret_function)
{
    void *address = dlsym(library, name);
    memcpy(ret_function, &address, sizeof(address));
    return address != NULL;
}

enum sl_err
sl_blas_open(uint32_t threads, struct sl_blas *ret_blas, const char **ret_why)
{
    struct sl_blas blas = {.threads = SL_MAX(threads, 1u)};
    char count[16];
    snprintf(count, sizeof(count), "%u", blas.threads);
    setenv("OPENBLAS_NUM_THREADS", count, 1);
    choose_kernels();
    blas.library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (blas.library == NULL) {
        *ret_why = dlerror();
        return SL_EUNAVAIL;
    }
    if (!symbol(blas.library, "cblas_sgemm", &blas.sgemm) ||
        !symbol(blas.library, "openblas_set_num_threads", &blas.set_num_threads) ||
        !symbol(blas.library, "openblas_get_config", &blas.get_config) ||
        !symbol(blas.library, "openblas_get_corename", &blas.get_corename)) {
        *ret_why = "libopenblas.so.0 lacks cblas_sgemm or openblas_set_num_threads";
        dlclose(blas.library);
        return SL_EUNAVAIL;
    }
    blas.set_num_threads((int)blas.threads); /* It may have been loaded already. */
    *ret_blas = blas;
    return SL_OK;
}

void
sl_blas_threads_set(struct sl_blas *blas, uint32_t threads)
{
    sl_assert(threads >= 1);
    if (blas->threads == threads)
        return;
    blas->set_num_threads((int)threads);
    blas->threads = threads;
}

void
sl_blas_gemm(const struct sl_blas *blas, const struct sl_gemm *g)
{
    if (g->m == 0 || g->n == 0 || g->k == 0)
        return;
    blas->sgemm(ROW_MAJOR, AS_IT_IS, g->is_b_transposed ? TRANSPOSED : AS_IT_IS, (int)g->m,
                (int)g->n, (int)g->k, 1.0f, g->a, (int)g->lda, g->b, (int)g->ldb, 0.0f, g->c,
                (int)g->ldc);
}
