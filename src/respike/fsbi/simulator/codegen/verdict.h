// Place of the outcome in OUTCOMES (params.py); stops the network when there is one, or when the run is over.
static int verdict(const bool blown_up, const bool silent, const int looks, const bool over)
{
    const int outcome = blown_up ? 1 : silent ? 2 : looks;
    if (outcome || over) Network::_globally_stopped = true;
    return outcome;
}
