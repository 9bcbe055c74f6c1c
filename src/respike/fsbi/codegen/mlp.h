// The two fixed layers of the mlp rule and its readout.
//
// One weight change needs 54 exponentials, so everything is written for blocks of LANES synapses at once: plain loops that
// the compiler turns into vector code. Every lane runs the same operations in the same order, hence a synapse gets
// the same bits alone (function `mlp`) and in a block.
namespace fixed_layers {

enum { LANES = 16, INPUTS = 6, FIRST = 50, SECOND = 4 };
typedef float Block[LANES];

// Logistic function: exp by 2^n * polynomial on [-ln2/2, ln2/2], relative error below 2e-7.
static inline float logistic(const float x)
{
    const float bounded_x = x < -80.0f ? -80.0f : (x > 80.0f ? 80.0f : x);
    const float scaled = -1.44269504f * bounded_x;
    const float shifted = scaled + 12582912.0f;  // 1.5 * 2^23: rounds to a whole number
    const float whole = shifted - 12582912.0f;
    const float f = (scaled - whole) * 0.693147181f;
    float p = 1.3888889e-3f;
    p = p * f + 8.3333333e-3f;
    p = p * f + 4.1666667e-2f;
    p = p * f + 1.6666667e-1f;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    union { int32_t bits; float value; } power;
    power.bits = ((int32_t)whole + 127) << 23;
    return 1.0f / (1.0f + p * power.value);
}

// Sum over the inputs of one side, for all units of the first layer: what the cells of a row share.
static inline void add_inputs(const float *weights, const int input, const float x, float *sums)
{
    for (int unit = 0; unit < FIRST; unit++) sums[unit] += weights[unit * INPUTS + input] * x;
}

}  // namespace fixed_layers

static inline float mlp(const float x_pre, const float x_post, const float w, const float v, const float c_exc,
                        const float c_inh, const float r0, const float r1, const float r2, const float r3, const float bias)
{
    using namespace fixed_layers;
    const float *first = brian::_array_hidden_weight;
    const float *second = first + INPUTS * FIRST;
    const float u[INPUTS] = {2.0f * x_pre, 2.0f * x_post, w, 15.0f * v, 15.0f * c_exc, 15.0f * c_inh};
    float sums[SECOND] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int unit = 0; unit < FIRST; unit++)
    {
        float sum = 0.0f;
        for (int input = 0; input < INPUTS; input++) sum += first[unit * INPUTS + input] * u[input];
        const float y = logistic(sum);
        for (int k = 0; k < SECOND; k++) sums[k] += second[k * FIRST + unit] * y;
    }
    return r0 * logistic(sums[0]) + r1 * logistic(sums[1]) + r2 * logistic(sums[2]) + r3 * logistic(sums[3]) + bias;
}
