{# USES_VARIABLES { _n_sources, _n_targets, delay, _source_dt} #}
{# What a delayed spike will need is asked for when it is sent: its row of synapses comes from far memory meanwhile. #}
{% extends 'common_group.cpp' %}
{% set _sends_early = owner.prepost == 'pre' and 'w' in owner.synapses.variables %}

{% block extra_headers %}
#include "lanes.h"
{% endblock %}

{% block before_code %}
    {% set _delays = get_array_name(variables['delay'], access_data=False) %}
    {% set _forward = owner.prepost == 'pre' %}
    {{owner.name}}.prepare({{_delays}}.empty() ? 0 : &{{_delays}}[0], {{_delays}}.size(), {{_source_dt}},
        {{get_array_name(owner.synapses.variables['_synaptic_post' if _forward else '_synaptic_pre'], access_data=False)}},
        {{constant_or_scalar('_n_sources', variables['_n_sources'])}},
        {{'true' if _forward else 'false'}}, {{'false' if not _forward and is_deferred(owner.synapses) else 'true'}});
{% endblock %}

{% block maincode %}
    {% set _eventspace = get_array_name(eventspace_variable) %}
    const int32_t _n_spikes = {{_eventspace}}[_num{{eventspace_variable.name}}-1];
    {{owner.name}}.push({{_eventspace}}, _n_spikes);
    {% if _sends_early %}
    for (int32_t _k = 0; _k < _n_spikes; _k++)
    {
        const int64_t _first = {{owner.name}}.start[{{_eventspace}}[_k]], _last = {{owner.name}}.start[{{_eventspace}}[_k] + 1];
        ask_for(&{{owner.name}}.other[_first], &{{owner.name}}.other[_last]);
        ask_for(&{{get_array_name(owner.synapses.variables['w'], access_data=False)}}[_first],
                &{{get_array_name(owner.synapses.variables['w'], access_data=False)}}[_last]);
    }
    {% elif owner.prepost == 'pre' %}
    for (int32_t _k = 0; _k < _n_spikes; _k++)
        ask_for(&{{owner.name}}.other[{{owner.name}}.start[{{_eventspace}}[_k]]],
                &{{owner.name}}.other[{{owner.name}}.start[{{_eventspace}}[_k] + 1]]);
    {% endif %}
{% endblock %}
