{# Replaces the queue of synapses: a ring of lists of spiking cells, and the synapses of each cell as one row. #}
{% macro cpp_file() %}
{% endmacro %}

{% macro h_file() %}
#ifndef _BRIAN_SYNAPSES_H
#define _BRIAN_SYNAPSES_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>
#include "deferred.h"

using namespace std;  // the rest of the generated code expects it

// One direction of a connection. Row c holds the synapses of cell c: of its axon (forward: a contiguous piece of the
// storage, which is sorted by presynaptic cell) or of its dendrite (backward).
class SynapticPathway
{
public:
    std::vector<int> &sources;
    std::vector<int64_t> start;   // of each row
    std::vector<uint16_t> other;  // cell at the other end, row by row
    std::vector<int32_t> place;   // in the storage; backward only
    const std::vector<int32_t> *arrived;
    int now;

    SynapticPathway(std::vector<int> &_sources, int, int) : sources(_sources), arrived(0), now(0) {}

    template <class scalar>
    void prepare(const scalar *delays, const size_t n_delays, const double dt, const std::vector<int> &others,
                 const int n_rows, const bool forward, const bool needs_rows)
    {
        if (n_delays > 1) fail("needs one delay for all synapses");
        ring.resize(1 + (n_delays ? (int)(delays[0] / dt + 0.5) : 0));
        if (!needs_rows) return;
        if (n_rows > 65536) fail("holds at most 65536 cells");
        start.assign(n_rows + 1, 0);
        for (size_t s = 0; s < sources.size(); s++) start[sources[s] + 1]++;
        for (int row = 0; row < n_rows; row++) start[row + 1] += start[row];
        other.resize(sources.size());
        if (forward)
        {
            for (size_t s = 0; s < sources.size(); s++)
            {
                if (s && (sources[s] < sources[s - 1] || (sources[s] == sources[s - 1] && others[s] <= others[s - 1])))
                    fail("needs synapses sorted by cell, one for each pair");
                other[s] = others[s];
            }
            return;
        }
        place.resize(sources.size());
        std::vector<int64_t> next(start);
        for (size_t s = 0; s < sources.size(); s++)
        {
            const int64_t k = next[sources[s]]++;
            place[k] = s;
            other[k] = others[s];
        }
    }

    void push(const int32_t *spikes, const int n)
    {
        std::vector<int32_t> &last = ring[now];
        last.assign(spikes, spikes + n);
        now = now + 1 == (int)ring.size() ? 0 : now + 1;
        arrived = &ring[now];
    }

private:
    std::vector<std::vector<int32_t> > ring;
    static void fail(const char *why)
    {
        std::printf("this network cannot be run with the fast loops: a connection %s; set templates to stock\n", why);
        std::exit(1);
    }
};
#endif
{% endmacro %}
