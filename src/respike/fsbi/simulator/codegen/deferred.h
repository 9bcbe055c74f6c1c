// Postsynaptic spikes whose effect on the weights of a connection is put off until a row of weights is next needed.
//
// A postsynaptic spike changes the weights of all synapses of its dendrite, which lie far apart in memory. Here it is only
// noted with its cell. When a presynaptic spike arrives, its row of weights, one contiguous piece, is brought up to date:
// for each synapse the spikes noted since the last visit of the row, in their order, with the value that the presynaptic
// trace had at the time of each. These values come out bit by bit as if they had been read then: between two arrivals the
// level of a trace changes only at its renewals, by one multiplication, and the fade is the same for all cells.
#ifndef RESPIKE_DEFERRED_H
#define RESPIKE_DEFERRED_H

#include <cstdint>
#include <vector>
#include "lanes.h"

class Deferred
{
public:
    enum
    {
        EVENTS = 64,   // noted spikes of a cell that are held
        LAST = 4,      // of these, the last ones that are held in one word as well
        RENEWAL = 64,  // steps between renewals (params.py), a multiple of LANES
        EPOCH = 4096,  // steps after which a row that was not visited is brought up to date
        LONGEST = 2 * EPOCH + 2 * RENEWAL,
        OLD = 1 << 15  // age in steps at which a noted spike stays: ages are known modulo 65536
    };
    std::vector<uint32_t> count;  // spikes noted of each postsynaptic cell
    uint64_t total;               // spikes noted of all cells

    Deferred() : total(0), n_pre(0) {}
    bool is_ready() const { return n_pre > 0; }

    void prepare(const int pre, const int post, const int64_t now, const float keep)
    {
        n_pre = pre;
        count.assign(post, 0);
        epoch_start.assign(post, 0);
        previous_start.assign(post, 0);
        events.assign((size_t)post * EVENTS + 1, (uint16_t)(now - OLD));
        last.assign(post, (uint16_t)(now - OLD) * 0x0001000100010001ull);
        base.assign(pre, now);
        unseen.assign(pre, now);
        at_base.assign(pre, 0.0f);
        after_base.assign(pre, 0.0f);
        seen.assign(pre, 0);
        fade[0] = 1.0f;
        for (int m = 1; m < RENEWAL; m++) fade[m] = fade[m - 1] * keep;
        renewal = fade[RENEWAL - 1] * keep;
    }

    // An arrival on `row` at step `now`; `level` is that of its trace before it counts this spike.
    void arrive(const int row, const int64_t now, const float level)
    {
        base[row] = now;
        at_base[row] = level;
        after_base[row] = level + 1 / fade[now % RENEWAL];
    }

    // Rows that have not been visited for an epoch start anew, and old spikes stop growing older.
    static bool is_epoch(const int64_t now) { return now % EPOCH == 0; }
    bool is_stale(const int row, const int64_t now) const { return base[row] < now - EPOCH; }
    void renew(const int row, const int64_t now, const float level)
    {
        base[row] = now;
        at_base[row] = after_base[row] = level;
    }
    void end_epoch(const int64_t now)
    {
        previous_start.swap(epoch_start);
        epoch_start = count;
        for (uint16_t &step : events) step = young(step, now);
        for (uint64_t &word : last)
        {
            const uint64_t steps = word;
            word = 0;
            for (int k = 0; k < LAST; k++) word |= (uint64_t)young((uint16_t)(steps >> 16 * k), now) << 16 * k;
        }
    }

    // Spikes of a cell that some row may not have seen fill all its places.
    bool is_full(const int post) const { return count[post] - previous_start[post] >= EVENTS; }
    void all_seen() { previous_start = epoch_start = count; }
    void note(const int post, const int64_t now)
    {
        events[(size_t)post * EVENTS + count[post] % EVENTS] = (uint16_t)now;
        last[post] = last[post] << 16 | (uint16_t)now;
        count[post]++;
        total++;
    }

    // Whether there is anything to do for `row`, which will then have seen all spikes before step `until`; if so, prepares
    // the values of its trace from its base up to `now`.
    bool unfold(const int row, const int64_t now, const int64_t until)
    {
        const int64_t first = unseen[row];
        unseen[row] = until;
        if (seen[row] == total) return false;
        seen[row] = total;
        const int offset = base[row] % RENEWAL, last = offset + (int)(now - base[row]);
        origin = base[row] - offset;
        from = (int)(first - origin);
        float level = after_base[row];
        for (int step = 0; step <= last; step += RENEWAL, level = level * renewal)
            for (int m = 0; m < RENEWAL; m += LANES) store(trace + step + m, load(fade + m, LANES) * level, LANES);
        trace[offset] = fade[offset] * at_base[row];
        return true;
    }

    // The last spikes of the cells `post`, the newest first, as steps modulo 65536.
    Four last_steps(const vi post) const { return gather_four(last.data(), post); }
    vi step(const vi post, const int k) const
    {
        const vi place = (gather((const uint32_t *)count.data(), post, LANES) - 1 - k) & (EVENTS - 1);
        return gather(events.data(), post * (int)EVENTS + place, LANES);
    }

    // Place of each of these steps in the unfolded trace; -1 where the row has seen its spike.
    vi place(const vi step) const
    {
        const vi since = (step - (int)(uint16_t)origin) & 0xffff;
        return (vu)(since - from) < (vu)((int)LONGEST - from - vi{}) ? since : vi{} - 1;
    }
    // Trace at these places.
    vf at(const vi place) const { return gather(trace, place < 0 ? vi{} : place, LANES); }

private:
    int n_pre;
    int64_t origin;
    int from;  // place of the first step whose spikes the row has not seen
    float renewal;
    std::vector<uint32_t> epoch_start, previous_start;  // counts when the present and the previous epoch began
    std::vector<uint16_t> events;                       // last EVENTS spikes of each cell: step modulo 65536
    std::vector<uint64_t> last;                         // last LAST of them, the newest in the lowest bits
    std::vector<int64_t> base;                          // step from which the trace of a row decays undisturbed
    std::vector<int64_t> unseen;                        // first step whose spikes a row has not seen
    std::vector<float> at_base, after_base;             // level of the trace at its base and after it
    std::vector<uint64_t> seen;                         // total at the last visit of a row
    alignas(64) float fade[RENEWAL], trace[LONGEST];

    static uint16_t young(const uint16_t step, const int64_t now)
    {
        return (uint16_t)(now - step) < OLD ? step : (uint16_t)(now - OLD);
    }
};

#endif
