{# USES_VARIABLES { _synaptic_pre } #}
{# Runs the generated code on blocks of the synapses of each spiking cell. The postsynaptic spikes of a deferred connection
   are only noted; deferred.h says when and how they are applied. #}
{% extends 'common_group.cpp' %}
{% set _forward = pathway.prepost == 'pre' %}
{% set _twin = pathway.synapses.name ~ '_post' %}
{% set _late = deferred.get(pathway.name) %}

{% block extra_headers %}
#include "lanes.h"
#include "deferred.h"
{% if _forward and _twin in deferred %}
void _arrive_{{_twin}}(int row);
{% endif %}
{% if _late %}
void _catch_up_{{pathway.name}}(int row);
void _catch_up_all_{{pathway.name}}();
static Deferred _deferred_{{pathway.name}};
{% endif %}
{% endblock %}

{% block maincode %}
    const size_t _vectorisation_idx = -1;
    {% if _late %}
    Deferred &_deferred = _deferred_{{pathway.name}};
    {% set _rows_of = pathway.synapses.name ~ '_pre' %}
    const int _n_pre = {{_rows_of}}.start.size() - 1;
    if ({{_late.null}}) return;
    if (!_deferred.is_ready()) _deferred.prepare(_n_pre, {{_late.n_post}}, {{_rows_of}}.other.size(), {{_late.keep}});
    const int64_t _now = defaultclock.timestep[0];
    if (_deferred.is_epoch(_now))
    {
        for (int _row = 0; _row < _n_pre; _row++)
        {
            if (!_deferred.is_stale(_row, _now)) continue;
            _catch_up_{{pathway.name}}(_row);
            _deferred.renew(_row, _now, {{_late.level}}[_row]);
        }
        _deferred.end_epoch();
    }
    const std::vector<int32_t> &_spikes = *{{pathway.name}}.arrived;
    for (size_t _k = 0; _k < _spikes.size(); _k++)
    {
        if (_deferred.is_full(_spikes[_k]))
        {
            _catch_up_all_{{pathway.name}}();
            _deferred.all_seen();
        }
        _deferred.note(_spikes[_k], _now);
    }
    {% else %}
    {{scalar_code|autoindent}}
    const std::vector<int32_t> &_rows = *{{pathway.name}}.arrived;
    {% set _null = null_arrival.get(pathway.name) %}
    {% if _null %}
    const bool _only_delivers = {{_null}};
    {% endif %}
    for (size_t _k = 0; _k < _rows.size(); _k++)
    {
        const int32_t _row = _rows[_k];
        {% if _forward and _twin in deferred %}
        _arrive_{{_twin}}(_row);
        {% endif %}
        const int64_t _end = {{pathway.name}}.start[_row + 1];
        {% if _null %}
        if (_only_delivers)
        {
            for (int64_t _idx = {{pathway.name}}.start[_row]; _idx < _end; _idx++)
            {
                {{vector_code|one_by_one(pathway.name, skip='w')|autoindent}}
            }
            continue;
        }
        {% endif %}
        {% if _forward and not vector_code|is_plastic %}
        for (int64_t _idx = {{pathway.name}}.start[_row]; _idx < _end; _idx++)
        {
            {{vector_code|one_by_one(pathway.name)|autoindent}}
        }
        {% else %}
        for (int64_t _s = {{pathway.name}}.start[_row]; _s < _end; _s += LANES)
        {
            const int _n = _end - _s < LANES ? (int)(_end - _s) : (int)LANES;
            const vi _other = load(&{{pathway.name}}.other[_s], _n);
            {% if not _forward %}
            const vi _place = load(&{{pathway.name}}.place[_s], _n);
            for (int64_t _ahead = _s + 2 * LANES; _ahead < _s + 3 * LANES && _ahead < _end; _ahead++)
                __builtin_prefetch(&{{get_array_name(pathway.synapses.variables['w'])}}[{{pathway.name}}.place[_ahead]]);
            {% endif %}
            {{vector_code|on_lanes('forward' if _forward else 'backward')|autoindent}}
        }
        {% endif %}
    }
    {% endif %}
{% endblock %}

{% block extra_functions_cpp %}
{% if _late %}
{% set _rows_of = pathway.synapses.name ~ '_pre' %}
// Applies to the synapses of one presynaptic cell the postsynaptic spikes noted since they were last up to date.
void _catch_up_{{pathway.name}}(const int _row)
{
    using namespace brian;
    %CONSTANTS%
    {{pointers_lines|autoindent}}
    Deferred &_deferred = _deferred_{{pathway.name}};
    if (!_deferred.is_ready() || !_deferred.unfold(_row, defaultclock.timestep[0])) return;
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    const int64_t _end = {{_rows_of}}.start[_row + 1];
    for (int64_t _s = {{_rows_of}}.start[_row]; _s < _end; _s += LANES)
    {
        const int _n = _end - _s < LANES ? (int)(_end - _s) : (int)LANES;
        const vi _other = load(&{{_rows_of}}.other[_s], _n);
        const vi _seen = load(&_deferred.done[_s], _n);
        const vi _pending = _deferred.pending(_other, _seen, _n);
        if (!any_above(_pending, 0)) continue;
        vf w = load(&{{_late.weights}}[_s], _n);
        const auto _change = [&](const vi step, const int number) {
            const vf _before = w;
            const vf _trace = _deferred.at(step, _n);
            {{vector_code|on_lanes('deferred')|autoindent}}
            w = number < _pending ? w : _before;
        };
        if (any_above(_pending, Deferred::LAST))
            for (int _k = 0; any_above(_pending, _k); _k++) _change(_deferred.step(_other, _seen + _k, _n), _k);
        else
        {
            const Four _last = _deferred.last_steps(_other, _n);
            for (int _k = 0; any_above(_pending, _k); _k++) _change(pick(_last, _seen + _k), _k);
        }
        store(&{{_late.weights}}[_s], w, _n);
        store(&_deferred.done[_s], _seen + _pending, _n);
    }
}

void _catch_up_all_{{pathway.name}}()
{
    for (size_t _row = 0; _row + 1 < brian::{{_rows_of}}.start.size(); _row++) _catch_up_{{pathway.name}}(_row);
}

void _ask_for_{{pathway.name}}(const int64_t first, const int64_t last)
{
    if (_deferred_{{pathway.name}}.is_ready()) _deferred_{{pathway.name}}.ask(first, last);
}

// A presynaptic spike is about to read the row: bring it up to date.
void _arrive_{{pathway.name}}(const int _row)
{
    using namespace brian;
    Deferred &_deferred = _deferred_{{pathway.name}};
    if ({{_late.null}}) return;
    if (!_deferred.is_ready()) return;
    _catch_up_{{pathway.name}}(_row);
    _deferred.arrive(_row, defaultclock.timestep[0], {{_late.level}}[_row]);
}
{% endif %}
{% endblock %}
