// Blocks of synapses, as many as fit into a register of the machine: numbers, and how they are read from and written to
// arrays. The first n lanes are in use; indices of the others are 0. Lane by lane the operations are those of single numbers,
// so results do not depend on the width of the machine.
#ifndef RESPIKE_LANES_H
#define RESPIKE_LANES_H

#include <cstdint>
#include <cstring>
#if defined(__SSE__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__)
enum { LANES = 16 };
#elif defined(__AVX2__) && defined(__FMA__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint16_t vh __attribute__((vector_size(4 * LANES)));

// Four 16-bit numbers of each lane: of the first half of the lanes, of the others.
struct Four { vh low, high; };

#if defined(__AVX512F__) && defined(__AVX512BW__)

static inline __mmask16 first(const int n) { return (__mmask16)((1u << n) - 1u); }
static inline vf load(const float *from, const int n) { return (vf)_mm512_maskz_loadu_ps(first(n), from); }
static inline void store(float *to, const vf x, const int n) { _mm512_mask_storeu_ps(to, first(n), (__m512)x); }
static inline vi load(const uint16_t *from, const int n)
{
    return (vi)_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(first(n), from));
}
static inline vi load(const int32_t *from, const int n) { return (vi)_mm512_maskz_loadu_epi32(first(n), from); }
static inline vf gather(const float *from, const vi index, const int n)
{
    return (vf)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), first(n), (__m512i)index, from, 4);
}
static inline vi gather(const uint32_t *from, const vi index, const int n)
{
    return (vi)_mm512_mask_i32gather_epi32(_mm512_setzero_si512(), first(n), (__m512i)index, from, 4);
}
// Reads two bytes beyond the last number.
static inline vi gather(const uint16_t *from, const vi index, const int n)
{
    const __m512i both = _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), first(n), (__m512i)index, from, 2);
    return (vi)_mm512_and_epi32(both, _mm512_set1_epi32(0xffff));
}
static inline void scatter(float *to, const vi index, const vf x, const int n)
{
    _mm512_mask_i32scatter_ps(to, first(n), (__m512i)index, (__m512)x, 4);
}
// As for single numbers: of two that are equal, or not numbers, these instructions take the second.
static inline vf bounded(const vf x, const float low, const float high)
{
    return (vf)_mm512_min_ps(_mm512_set1_ps(high), _mm512_max_ps(_mm512_set1_ps(low), (__m512)x));
}
static inline bool any_below(const vi x, const int limit)
{
    return _mm512_cmplt_epi32_mask((__m512i)x, _mm512_set1_epi32(limit)) != 0;
}

static inline Four gather_four(const uint64_t *from, const vi index)
{
    const __m256i low = _mm512_castsi512_si256((__m512i)index), high = _mm512_extracti64x4_epi64((__m512i)index, 1);
    return {(vh)_mm512_i32gather_epi64(low, from, 8), (vh)_mm512_i32gather_epi64(high, from, 8)};
}
template <int k> static inline vi pick(const Four &x)
{
    const vi even = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    const __m512i pair = _mm512_permutex2var_epi32((__m512i)x.low, (__m512i)(even + k / 2), (__m512i)x.high);
    return (vi)(k % 2 ? _mm512_srli_epi32(pair, 16) : _mm512_and_epi32(pair, _mm512_set1_epi32(0xffff)));
}
static inline vf fused(const vf a, const vf b, const vf c) { return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }

// 64 numbers in registers, from which lanes choose by their index modulo 64.
struct Table
{
    enum { SIZE = 64 };
    vf part[4];
    explicit Table(const float *from) { for (int k = 0; k < 4; k++) part[k] = load(from + k * LANES, LANES); }
    vf at(const vi index) const
    {
        const vf low = choose(part[0], part[1], index), high = choose(part[2], part[3], index);
        return (index & 32) != 0 ? high : low;
    }
    static vf choose(const vf first, const vf second, const vi index)
    {
        return (vf)_mm512_permutex2var_ps((__m512)first, (__m512i)index, (__m512)second);
    }
};

#else

// Number by number, as a block that is not full: there is one in a row of synapses.
template <class V, class T> static inline V load_each(const T *from, const int n)
{
    V x = {};
    for (int k = 0; k < n; k++) x[k] = from[k];
    return x;
}
static inline void store_each(float *to, const vf x, const int n) { for (int k = 0; k < n; k++) to[k] = x[k]; }
static inline void scatter(float *to, const vi index, const vf x, const int n)
{
    for (int k = 0; k < n; k++) to[index[k]] = x[k];
}

#if defined(__AVX2__) && defined(__FMA__)

static inline vf load(const float *from, const int n)
{
    return n == LANES ? (vf)_mm256_loadu_ps(from) : load_each<vf>(from, n);
}
static inline vi load(const uint16_t *from, const int n)
{
    return n == LANES ? (vi)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from)) : load_each<vi>(from, n);
}
static inline vi load(const int32_t *from, const int n)
{
    return n == LANES ? (vi)_mm256_loadu_si256((const __m256i *)from) : load_each<vi>(from, n);
}
static inline void store(float *to, const vf x, const int n)
{
    if (n == LANES) _mm256_storeu_ps(to, (__m256)x);
    else store_each(to, x, n);
}
static inline vf gather(const float *from, const vi index, const int)
{
    return (vf)_mm256_i32gather_ps(from, (__m256i)index, 4);
}
static inline vi gather(const uint32_t *from, const vi index, const int)
{
    return (vi)_mm256_i32gather_epi32((const int *)from, (__m256i)index, 4);
}
// Reads two bytes beyond the last number.
static inline vi gather(const uint16_t *from, const vi index, const int)
{
    return (vi)_mm256_i32gather_epi32((const int *)from, (__m256i)index, 2) & 0xffff;
}
// As for single numbers: of two that are equal, or not numbers, these instructions take the second.
static inline vf bounded(const vf x, const float low, const float high)
{
    return (vf)_mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), (__m256)x));
}
static inline bool any_below(const vi x, const int limit)
{
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(_mm256_set1_epi32(limit), (__m256i)x)) != 0;
}
static inline Four gather_four(const uint64_t *from, const vi index)
{
    const __m128i low = _mm256_castsi256_si128((__m256i)index), high = _mm256_extracti128_si256((__m256i)index, 1);
    const long long *const words = (const long long *)from;
    return {(vh)_mm256_i32gather_epi64(words, low, 8), (vh)_mm256_i32gather_epi64(words, high, 8)};
}
template <int k> static inline vi pick(const Four &x)
{
    const __m256 halves = _mm256_shuffle_ps((__m256)x.low, (__m256)x.high, k / 2 ? 0xdd : 0x88);
    const vu pair = (vu)_mm256_permute4x64_epi64((__m256i)halves, 0xd8);
    return (vi)(k % 2 ? pair >> 16 : pair & 0xffff);
}
static inline vf fused(const vf a, const vf b, const vf c) { return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }

#else

static inline vf load(const float *from, const int n) { return load_each<vf>(from, n); }
template <class T> static inline vi load(const T *from, const int n) { return load_each<vi>(from, n); }
static inline void store(float *to, const vf x, const int n) { store_each(to, x, n); }
template <class V, class T> static inline V gather_each(const T *from, const vi index)
{
    V x;
    for (int k = 0; k < LANES; k++) x[k] = from[index[k]];
    return x;
}
static inline vf gather(const float *from, const vi index, const int) { return gather_each<vf>(from, index); }
template <class T> static inline vi gather(const T *from, const vi index, const int) { return gather_each<vi>(from, index); }
static inline vf bounded(const vf x, const float low, const float high)
{
    const vf lowest = low - vf{}, highest = high - vf{};
    const vf above = x < lowest ? lowest : x;
    return above > highest ? highest : above;
}
static inline bool any_below(const vi x, const int limit)
{
    for (int lane = 0; lane < LANES; lane++) if (x[lane] < limit) return true;
    return false;
}
static inline Four gather_four(const uint64_t *from, const vi index)
{
    uint64_t each[LANES];
    for (int k = 0; k < LANES; k++) each[k] = from[index[k]];
    Four x;
    std::memcpy(&x, each, sizeof x);
    return x;
}
template <int k> static inline vi pick(const Four &x)
{
    enum { HALF = LANES / 2 };
    vi y;
    for (int lane = 0; lane < LANES; lane++) y[lane] = (lane < HALF ? x.low : x.high)[lane % HALF * 4 + k];
    return y;
}
static inline vf fused(const vf a, const vf b, const vf c)
{
    vf x;
    for (int k = 0; k < LANES; k++) x[k] = __builtin_fmaf(a[k], b[k], c[k]);
    return x;
}

#endif

// 64 numbers, from which lanes choose by their index modulo 64.
struct Table
{
    enum { SIZE = 64 };
    const float *from;
    explicit Table(const float *_from) : from(_from) {}
    vf at(const vi index) const { return gather(from, index & (SIZE - 1), LANES); }
};

#endif

// Adds lanes to the numbers at `index`, all of them different; one by one, as this is faster than to gather and scatter.
static inline void add_each(float *to, const uint16_t *index, const vf x, const int n)
{
    float each[LANES];
    std::memcpy(each, &x, sizeof each);
    if (n == LANES)
    {
#pragma GCC unroll 16
        for (int k = 0; k < LANES; k++) to[index[k]] += each[k];
    }
    else
        for (int k = 0; k < n; k++) to[index[k]] += each[k];
}

static inline float fused(const float a, const float b, const float c) { return __builtin_fmaf(a, b, c); }
// Fetches a piece of memory into the second level of the cache.
template <class T> static inline void ask_for(const T *from, const T *to)
{
    for (const char *line = (const char *)from; line < (const char *)to; line += 64) __builtin_prefetch(line, 0, 2);
}
static inline vf spread(const float x) { return x - vf{}; }

#endif
