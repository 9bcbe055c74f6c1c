// Whether the next pair of cells is connected, of pairs that follow one another presynaptic cell first.
//
// The gap between two synapses is 1 + an exponential with mean 1/p - 1, and what rounding leaves over goes into the next
// one, as in the published program. Each pair is connected with probability p, but the number of synapses among n pairs has
// the variance n p (1 - p)^2, where that of independent pairs is n p (1 - p): in the reduced network, with p = 0.8, this
// halves the spread of rates between seeds; with the published p = 0.1 it hardly matters.
static bool wired(const float p, const int64_t)
{
    static int64_t between = -1;  // pairs to pass over before the next synapse
    static double left_over = 0;
    if (p <= 0) return false;
    const auto exponential = [p]() { return -std::log(1 - brian::_random_generators[0].rand()) * (1.0 / p - 1); };
    if (between < 0) between = (int64_t)exponential();
    if (between-- > 0) return false;
    const double gap = left_over + 1 + exponential();
    between = (int64_t)gap - 1;
    left_over = gap - (int64_t)gap;
    return true;
}
