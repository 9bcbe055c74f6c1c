{# One list of functions to call in every step, one of those of slower clocks; no look at the time in between. #}
{% macro cpp_file() %}
#include "network.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>

double Network::_last_run_time = 0.0;
double Network::_last_run_completed_fraction = 0.0;
bool Network::_globally_stopped = false;
bool Network::_globally_running = false;

Network::Network() { t = 0.0; }
void Network::clear() { objects.clear(); }
void Network::add(Clock *clock, codeobj_func func) { objects.push_back(std::make_pair(clock, func)); }

void Network::run(const double duration, void (*)(const double, const double, const double, const double), const double)
{
    const std::clock_t start = std::clock();
    const double t_start = t, t_end = t + duration;
    std::set<Clock*> clocks;
    for (size_t i = 0; i < objects.size(); i++) clocks.insert(objects[i].first);
    Clock *fastest = 0;
    for (Clock *clock : clocks)
    {
        clock->set_interval(t_start, t_end);
        if (!fastest || clock->dt[0] < fastest->dt[0]) fastest = clock;
    }
    struct Call { codeobj_func function; Clock *clock; int64_t every; };
    std::vector<Call> calls;
    for (size_t i = 0; i < objects.size(); i++)
    {
        const double ratio = objects[i].first->dt[0] / fastest->dt[0];
        const Call call = {objects[i].second, objects[i].first, (int64_t)(ratio + 0.5)};
        if (std::fabs(ratio - call.every) > 1e-6)
        {
            std::printf("the time step of a clock is not a multiple of the smallest one; set templates to stock\n");
            std::exit(1);
        }
        if (call.function) calls.push_back(call);
    }
    Network::_globally_running = true;
    Network::_globally_stopped = false;
    while (fastest->running() && !Network::_globally_stopped)
    {
        const int64_t step = fastest->timestep[0];
        t = fastest->t[0];
        for (const Call &call : calls)
            if (call.every == 1 || step % call.every == 0) call.function();
        for (Clock *clock : clocks)
            if (clock == fastest || step % (int64_t)(clock->dt[0] / fastest->dt[0] + 0.5) == 0) clock->tick();
    }
    Network::_globally_running = false;
    t = Network::_globally_stopped ? fastest->t[0] : t_end;
    _last_run_time = (double)(std::clock() - start) / CLOCKS_PER_SEC;
    _last_run_completed_fraction = duration > 0 ? (t - t_start) / duration : 1.0;
}
{% endmacro %}

{% macro h_file() %}
#ifndef _BRIAN_NETWORK_H
#define _BRIAN_NETWORK_H

#include <set>
#include <utility>
#include <vector>
#include "brianlib/clocks.h"

typedef void (*codeobj_func)();

class Network
{
public:
    std::vector< std::pair< Clock*, codeobj_func > > objects;
    double t;
    static double _last_run_time;
    static double _last_run_completed_fraction;
    static bool _globally_stopped;
    static bool _globally_running;

    Network();
    void clear();
    void add(Clock *clock, codeobj_func func);
    void run(const double duration, void (*report_func)(const double, const double, const double, const double), const double report_period);
};
#endif
{% endmacro %}
