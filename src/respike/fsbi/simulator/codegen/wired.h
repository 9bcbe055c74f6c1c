// Whether the next pair of cells is connected, with a dead time between two synapses (see `wired` in circuit.py).
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
