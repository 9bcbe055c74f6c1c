// The two fixed layers of the mlp rule and its readout, for one synapse (V = float) or a block of them (V = vf).
//
// A change of weight takes 54 exponentials and as many divisions. Both versions run the same operations in the same order
// (fused multiply-adds are written out), so a synapse gets the same bits alone and in a block. The inputs of the
// postsynaptic cell come first in the sums: after a postsynaptic spike they are numbers that the whole block shares.
namespace fixed_layers {

enum { INPUTS = 6, FIRST = 50, SECOND = 4, PADDED = 64 };

// Weights as they are used: scaled by their inputs and by -1/ln 2, so that 1/(1 + 2^sum) is the logistic function.
struct Weights
{
    alignas(64) float by_input[INPUTS][PADDED], by_unit[FIRST][INPUTS], second[FIRST][SECOND];
    Weights()
    {
        const float scale[INPUTS] = {2.0f, 15.0f, 15.0f, 15.0f, 2.0f, 1.0f};
        const int column[INPUTS] = {1, 3, 4, 5, 0, 2};  // x_post, v, c_exc, c_inh, x_pre, w
        const float *from = brian::_array_hidden_weight;
        std::memset(by_input, 0, sizeof by_input);
        for (int unit = 0; unit < FIRST; unit++)
            for (int k = 0; k < INPUTS; k++)
                by_input[k][unit] = by_unit[unit][k] = -1.44269504f * scale[k] * from[unit * INPUTS + column[k]];
        for (int unit = 0; unit < FIRST; unit++)
            for (int k = 0; k < SECOND; k++) second[unit][k] = -1.44269504f * from[FIRST * INPUTS + k * FIRST + unit];
    }
};
static const Weights &weights()
{
    static const Weights all;
    return all;
}

static inline float limited(const float x) { return x < -60.0f ? -60.0f : (x > 60.0f ? 60.0f : x); }
static inline vf limited(const vf x) { return ::bounded(x, -60.0f, 60.0f); }
static inline float power_of_two(const float whole)
{
    const int32_t bits = ((int32_t)whole + 127) << 23;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
static inline vf power_of_two(const vf whole) { return (vf)((__builtin_convertvector(whole, vi) + 127) << 23); }
static inline float all(const float x, const float) { return x; }
static inline vf all(const float x, const vf) { return spread(x); }

// 2^x by a polynomial on [-1/2, 1/2]; relative error below 2e-7.
template <class V> static inline V exp2(const V x)
{
    const V shifted = limited(x) + 12582912.0f;  // 1.5 * 2^23: rounds to a whole number
    const V whole = shifted - 12582912.0f;
    const V f = limited(x) - whole;
    V p = all(1.5403530e-4f, f);
    p = fused(p, f, all(1.3333558e-3f, f));
    p = fused(p, f, all(9.6181291e-3f, f));
    p = fused(p, f, all(5.5504109e-2f, f));
    p = fused(p, f, all(2.4022651e-1f, f));
    p = fused(p, f, all(6.9314718e-1f, f));
    p = fused(p, f, all(1.0f, f));
    return p * power_of_two(whole);
}

// 1/(1 + 2^a) and 1/(1 + 2^b) with one division.
template <class V> static inline void logistic(V &a, V &b)
{
    const V u = exp2(a) + 1.0f, v = exp2(b) + 1.0f;
    const V one = all(1.0f, u) / (u * v);
    a = one * v;
    b = one * u;
}

template <class V> static inline V readout(V *sums, const float r0, const float r1, const float r2, const float r3, const float bias)
{
    logistic(sums[0], sums[1]);
    logistic(sums[2], sums[3]);
    V y = fused(all(r0, sums[0]), sums[0], all(bias, sums[0]));
    y = fused(all(r1, y), sums[1], y);
    y = fused(all(r2, y), sums[2], y);
    return fused(all(r3, y), sums[3], y);
}

template <class V> static inline void second_layer(const Weights &all_weights, const int unit, V a, V b, V *sums)
{
    logistic(a, b);
    for (int k = 0; k < SECOND; k++) sums[k] = fused(all(all_weights.second[unit][k], a), a, sums[k]);
    for (int k = 0; k < SECOND; k++) sums[k] = fused(all(all_weights.second[unit + 1][k], a), b, sums[k]);
}

// Sums of the first layer over the postsynaptic inputs, for one cell.
static inline void post_sums(const Weights &all_weights, const float *post, float *sums)
{
    for (int unit = 0; unit < PADDED; unit++) sums[unit] = all_weights.by_input[0][unit] * post[0];
    for (int k = 1; k < 4; k++)
        for (int unit = 0; unit < PADDED; unit++) sums[unit] = fused(all_weights.by_input[k][unit], post[k], sums[unit]);
}

}  // namespace fixed_layers

// After an arrival: a block of postsynaptic cells, one presynaptic trace.
template <class V>
static inline V mlp(const float x_pre, const V x_post, const V w, const V v, const V c_exc, const V c_inh, const float r0,
                    const float r1, const float r2, const float r3, const float bias)
{
    using namespace fixed_layers;
    const Weights &all_weights = weights();
    const V inputs[INPUTS] = {x_post, v, c_exc, c_inh, all(x_pre, w), w};
    V sums[SECOND] = {};
    for (int unit = 0; unit < FIRST; unit += 2)
    {
        V pair[2];
        for (int m = 0; m < 2; m++)
        {
            const float *row = all_weights.by_unit[unit + m];
            pair[m] = all(row[0], w) * inputs[0];
            for (int k = 1; k < INPUTS; k++) pair[m] = fused(all(row[k], w), inputs[k], pair[m]);
        }
        second_layer(all_weights, unit, pair[0], pair[1], sums);
    }
    return readout(sums, r0, r1, r2, r3, bias);
}

// After a postsynaptic spike: a block of presynaptic cells, one postsynaptic cell.
static inline vf mlp(const vf x_pre, const float x_post, const vf w, const float v, const float c_exc, const float c_inh,
                     const float r0, const float r1, const float r2, const float r3, const float bias)
{
    using namespace fixed_layers;
    const Weights &all_weights = weights();
    const float post[4] = {x_post, v, c_exc, c_inh};
    float shared[PADDED];
    post_sums(all_weights, post, shared);
    vf sums[SECOND] = {};
    for (int unit = 0; unit < FIRST; unit += 2)
    {
        vf pair[2];
        for (int m = 0; m < 2; m++)
        {
            const float *row = all_weights.by_unit[unit + m];
            pair[m] = fused(spread(row[4]), x_pre, spread(shared[unit + m]));
            pair[m] = fused(spread(row[5]), w, pair[m]);
        }
        second_layer(all_weights, unit, pair[0], pair[1], sums);
    }
    return readout(sums, r0, r1, r2, r3, bias);
}
