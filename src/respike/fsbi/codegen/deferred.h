// Postsynaptic spikes whose effect on the weights of a connection is put off until a row of weights is next needed.
//
// A postsynaptic spike changes the weights of all synapses of its dendrite, which lie far apart in memory. Here it is only
// noted with its cell. When a presynaptic spike arrives, its row of weights, one contiguous piece, is brought up to date:
// for each synapse the noted spikes since the last visit, in their order, with the value that the presynaptic trace had at
// the time of each. These values come out bit by bit as if they had been read then: a trace only decays between arrivals,
// one multiplication per step, and is kept at every SEGMENT-th step, from where the multiplications are repeated.
#ifndef RESPIKE_DEFERRED_H
#define RESPIKE_DEFERRED_H

#include <cstdint>
#include <vector>
#include "lanes.h"

class Deferred
{
public:
    enum { EVENTS = 64, SEGMENT = 64 /* 2^6 */, EPOCH = 4096, SLOTS = 2 * EPOCH / SEGMENT + 2, WIDTH = (SLOTS / LANES + 1) * LANES };
    std::vector<uint32_t> count;  // spikes noted of each postsynaptic cell
    std::vector<uint16_t> done;   // of these, how many each synapse has seen (its lower 16 bits)
    uint64_t total;               // spikes noted of all cells

    Deferred() : total(0), n_pre(0) {}
    bool is_ready() const { return n_pre > 0; }

    void prepare(const int pre, const int post, const size_t synapses)
    {
        n_pre = pre;
        count.assign(post, 0);
        epoch_start.assign(post, 0);
        previous_start.assign(post, 0);
        events.assign((size_t)post * EVENTS + 1, 0);
        done.assign(synapses, 0);
        base.assign(pre, 0);
        at_base.assign(pre, 0.0f);
        after_base.assign(pre, 0.0f);
        seen.assign(pre, 0);
        kept.assign((size_t)SLOTS * pre, 0.0f);
    }

    // An arrival on `row` at step `now`; `x` is its trace before it counts this spike.
    void arrive(const int row, const int64_t now, const float x)
    {
        base[row] = now;
        at_base[row] = x;
        after_base[row] = x + 1;
    }

    // Called once per step before spikes are noted. True when it is time to catch up rows that have not been visited for long.
    bool begin(const int64_t now, const float *traces)
    {
        if (now % SEGMENT == 0) std::memcpy(&kept[(size_t)(now / SEGMENT % SLOTS) * n_pre], traces, n_pre * sizeof(float));
        return now % EPOCH == 0;
    }
    bool is_stale(const int row, const int64_t now) const { return base[row] < now - EPOCH; }
    void renew(const int row, const int64_t now, const float x)
    {
        base[row] = now;
        at_base[row] = after_base[row] = x;
    }
    void end_epoch()
    {
        previous_start.swap(epoch_start);
        epoch_start = count;
    }

    bool is_full(const int post) const { return count[post] - previous_start[post] >= EVENTS; }
    void all_seen() { previous_start = epoch_start = count; }
    void note(const int post, const int64_t now)
    {
        events[(size_t)post * EVENTS + count[post] % EVENTS] = (uint16_t)now;
        count[post]++;
        total++;
    }

    // Whether there is anything to do for `row`; if so, prepares the values of its trace from its base up to `now`.
    bool unfold(const int row, const int64_t now, const float keep)
    {
        if (seen[row] == total) return false;
        seen[row] = total;
        const int offset = base[row] % SEGMENT, n = (offset + (int)(now - base[row])) / SEGMENT + 1;
        origin = base[row] - offset;
        width = (n + LANES - 1) / LANES * LANES;
        float at[WIDTH] = {};
        for (int k = 1; k < n; k++) at[k] = kept[(size_t)((origin / SEGMENT + k) % SLOTS) * n_pre + row];
        const int steps = n > 1 ? (int)SEGMENT : offset + (int)(now - base[row]) + 1;
        if (n > 1)
            for (int first_lane = 0; first_lane < n; first_lane += LANES)
            {
                vf x = load(at + first_lane, LANES);
                for (int m = 0; m < SEGMENT; m++, x = x * keep) store(trace + m * width + first_lane, x, LANES);
            }
        float x = after_base[row];
        trace[offset * width] = at_base[row];
        for (int m = offset + 1; m < steps; m++) trace[m * width] = x = x * keep;
        return true;
    }

    // Spikes of the cells `post` that the synapses have not seen.
    vi pending(const vi post, const vi seen_by, const int n) const { return (gather(count.data(), post, n) - seen_by) & 0xffff; }

    // Trace at the time of the `number`-th spikes of the cells `post`.
    vf at(const vi post, const vi number, const int n) const
    {
        const vi step = gather(events.data(), post * (int)EVENTS + (number & (EVENTS - 1)), n);
        const vi since = (step - (int)(uint16_t)origin) & 0xffff;
        const vi inside = (since & (SEGMENT - 1)) * width + (since >> 6);
        return gather(trace, (vi)(inside & ((vi)(inside < SEGMENT * WIDTH))), n);
    }

private:
    int n_pre, width;
    int64_t origin;
    std::vector<uint32_t> epoch_start, previous_start;  // counts when the present and the previous epoch began
    std::vector<uint16_t> events;                       // last EVENTS spikes of each cell: step modulo 65536
    std::vector<int64_t> base;                          // step from which the trace of a row decays undisturbed
    std::vector<float> at_base, after_base;             // its value at that step and the value that decays from there
    std::vector<uint64_t> seen;                         // total at the last visit of a row
    std::vector<float> kept;                            // all traces at every SEGMENT-th step
    alignas(64) float trace[SEGMENT * WIDTH];           // [step in segment][segment]
};

#endif
