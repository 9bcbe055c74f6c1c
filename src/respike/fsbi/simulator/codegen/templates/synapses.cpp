{# USES_VARIABLES { _synaptic_pre } #}
{# Runs the generated code on blocks of the synapses of each spiking cell. The postsynaptic spikes of a deferred connection
   are only noted; deferred.h says when and how they are applied. #}
{% extends 'common_group.cpp' %}
{% set _forward = pathway.prepost == 'pre' %}
{% set _kind = pathway.synapses.name %}
{% set _deferred = is_deferred(pathway.synapses) %}
{% set _late = _deferred and not _forward %}
{% set _level = '_array_' ~ pathway.synapses.source.name ~ '_x_pre_' ~ _kind %}
{% set _keep = '_array_' ~ pathway.synapses.source.name ~ '_keep_x_pre_' ~ _kind ~ '[0]' %}
{% set _weights = '_ptr_array_' ~ _kind ~ '_w' %}
{% set _no_change = '_array_%s_beta[0] == 0.0f && _array_%s_gamma[0] == 0.0f' % (_kind, _kind) %}
{% set _only_delivers = '_array_%s_alpha[0] == 0.0f && _array_%s_kappa[0] == 0.0f' % (_kind, _kind) %}

{% block extra_headers %}
#include "lanes.h"
#include "deferred.h"
{% if _forward and _deferred %}
void _arrive_{{_kind}}_post(int row);
{% endif %}
{% if _late %}
void _catch_up_{{pathway.name}}(int row, bool after_spikes);
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
    const int64_t _now = defaultclock.timestep[0];
    if ({{_no_change}}) return;
    if (!_deferred.is_ready()) _deferred.prepare(_n_pre, {{pathway.synapses.target|length}}, _now, {{_keep}});
    if (_deferred.is_epoch(_now))
    {
        for (int _row = 0; _row < _n_pre; _row++)
        {
            if (!_deferred.is_stale(_row, _now)) continue;
            _catch_up_{{pathway.name}}(_row, false);
            _deferred.renew(_row, _now, {{_level}}[_row]);
        }
        _deferred.end_epoch(_now);
    }
    const std::vector<int32_t> &_spikes = *{{pathway.name}}.arrived;
    bool _full = false;
    for (size_t _k = 0; _k < _spikes.size(); _k++) _full |= _deferred.is_full(_spikes[_k]);
    if (_full)
    {
        _catch_up_all_{{pathway.name}}();
        _deferred.all_seen();
    }
    for (size_t _k = 0; _k < _spikes.size(); _k++) _deferred.note(_spikes[_k], _now);
    {% else %}
    {{scalar_code|autoindent}}
    const std::vector<int32_t> &_rows = *{{pathway.name}}.arrived;
    {% if _deferred %}
    const bool _only_delivers = {{_only_delivers}};
    {% endif %}
    for (size_t _k = 0; _k < _rows.size(); _k++)
    {
        const int32_t _row = _rows[_k];
        {% if _forward and _deferred %}
        _arrive_{{_kind}}_post(_row);
        {% endif %}
        const int64_t _end = {{pathway.name}}.start[_row + 1];
        {% if _deferred %}
        if (_only_delivers)
        {
            for (int64_t _idx = {{pathway.name}}.start[_row]; _idx < _end; _idx++)
            {
                {{vector_code|one_by_one(pathway.name)|autoindent}}
            }
            continue;
        }
        {% endif %}
        {% if _forward and 'w_max' not in pathway.synapses.equations %}
        for (int64_t _idx = {{pathway.name}}.start[_row]; _idx < _end; _idx++)
        {
            {{vector_code|one_by_one(pathway.name)|autoindent}}
        }
        {% else %}
        for (int64_t _s = {{pathway.name}}.start[_row]; _s < _end; _s += LANES)
        {
            const int _n = _end - _s < LANES ? (int)(_end - _s) : (int)LANES;
            const uint16_t *const _others = &{{pathway.name}}.other[_s];
            const vi _other = load(_others, _n);
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
// Applies to the synapses of one presynaptic cell the postsynaptic spikes noted since they were last up to date;
// `_after_spikes` when those of the present step have been noted.
void _catch_up_{{pathway.name}}(const int _row, const bool _after_spikes)
{
    using namespace brian;
    %CONSTANTS%
    {{pointers_lines|autoindent}}
    Deferred &_deferred = _deferred_{{pathway.name}};
    const int64_t _now = defaultclock.timestep[0];
    if (!_deferred.is_ready() || !_deferred.unfold(_row, _now, _now + _after_spikes)) return;
    const Deferred::Trace _past = _deferred.trace(_row);
    const auto _unseen = [](const vi place) { return any_below(place, Deferred::SEEN); };
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    const int64_t _end = {{_rows_of}}.start[_row + 1];
    for (int64_t _s = {{_rows_of}}.start[_row]; _s < _end; _s += LANES)
    {
        const int _n = _end - _s < LANES ? (int)(_end - _s) : (int)LANES;
        const vi _other = load(&{{_rows_of}}.other[_s], _n);
        const Four _newest = _past.places(_deferred.last_steps(_other, 0));
        if (!_unseen(pick<0>(_newest))) continue;
        vf w = load(&{{_weights}}[_s], _n);
        const auto _change = [&](const vi place) {
            const vf _before = w;
            const vf _trace = _past.at(place);
            {{vector_code|on_lanes('deferred')|autoindent}}
            w = place < (int)Deferred::SEEN ? w : _before;
        };
        // Four spikes of each lane, the oldest first, after those `earlier` than the fourth.
        const auto _change_four = [&](const Four &places, const auto &earlier) {
            const vi _first = pick<0>(places), _second = pick<1>(places), _third = pick<2>(places), _fourth = pick<3>(places);
            if (_unseen(_third))
            {
                if (_unseen(_fourth))
                {
                    earlier();
                    _change(_fourth);
                }
                _change(_third);
            }
            _change(_second);
            _change(_first);
        };
        const auto _change_oldest = [&]() {
            int _k = Deferred::LAST;
            while (_k < Deferred::EVENTS && _unseen(_past.places(_deferred.step(_other, _k)))) _k++;
            while (_k-- > Deferred::LAST) _change(_past.places(_deferred.step(_other, _k)));
        };
        const auto _change_older = [&]() {
            const Four _older = _past.places(_deferred.last_steps(_other, 1));
            if (_unseen(pick<0>(_older))) _change_four(_older, _change_oldest);
        };
        _change_four(_newest, _change_older);
        store(&{{_weights}}[_s], w, _n);
    }
}

void _catch_up_all_{{pathway.name}}()
{
    for (size_t _row = 0; _row + 1 < brian::{{_rows_of}}.start.size(); _row++) _catch_up_{{pathway.name}}(_row, false);
}

// A presynaptic spike is about to read the row: bring it up to date.
void _arrive_{{pathway.name}}(const int _row)
{
    using namespace brian;
    Deferred &_deferred = _deferred_{{pathway.name}};
    if ({{_no_change}}) return;
    if (!_deferred.is_ready()) return;
    _catch_up_{{pathway.name}}(_row, false);
    _deferred.arrive(_row, defaultclock.timestep[0], {{_level}}[_row]);
}
{% endif %}
{% endblock %}
