// What ends a simulation early, looked at every sample interval. MONITORS is replaced by the names of the weight samples.
namespace {

static bool is_finite(const float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u;
}

// Share of the weights of the last sample that stand at a bound, mean over the types; negative when one is not a number.
static float share_at_bound(const float high)
{
    double total = 0.0;
    int types = 0;
    for (DynamicArray2D<float> *samples : {MONITORS})
    {
        int at_bound = 0;
        for (int k = 0; k < samples->m; k++)
        {
            const float w = (*samples)(samples->n - 1, k);
            if (!is_finite(w)) return -1.0f;
            at_bound += w == 0.0f || w == high;
        }
        total += samples->m ? (double)at_bound / samples->m : 0.0;
        types++;
    }
    return types ? total / types : 0.0f;
}

static bool cells_are_finite()
{
    for (int k = 0; k < brian::_num__array_E_v; k++)
        if (!is_finite(brian::_array_E_v[k])) return false;
    for (int k = 0; k < brian::_num__array_I_v; k++)
        if (!is_finite(brian::_array_I_v[k])) return false;
    return true;
}

}  // namespace

// Outcome of the samples so far: 0 go on, 3 saturated, 4 nan, 5 CPU limit (the places of OUTCOMES in params.py).
static int inspect(const float high, const float full_share, const int full_samples, const float cpu_limit)
{
    static int full = 0;
    const float share = share_at_bound(high);
    if (share < 0.0f || !cells_are_finite()) return 4;
    full = share > full_share ? full + 1 : 0;
    if (full >= full_samples) return 3;
    return (float)std::clock() / CLOCKS_PER_SEC > cpu_limit ? 5 : 0;
}
