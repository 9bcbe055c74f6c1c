{# USES_VARIABLES { _n_sources, _n_targets, delay, _source_dt} #}
{% extends 'common_group.cpp' %}

{% block before_code %}
    {% set _delays = get_array_name(variables['delay'], access_data=False) %}
    {% set _forward = owner.prepost == 'pre' %}
    {{owner.name}}.prepare({{_delays}}.empty() ? 0 : &{{_delays}}[0], {{_delays}}.size(), {{_source_dt}},
        {{get_array_name(owner.synapses.variables['_synaptic_post' if _forward else '_synaptic_pre'], access_data=False)}},
        {{constant_or_scalar('_n_sources', variables['_n_sources'])}},
        {{'true' if _forward else 'false'}}, {{'false' if owner.name in deferred else 'true'}});
{% endblock %}

{% block maincode %}
    {% set _eventspace = get_array_name(eventspace_variable) %}
    {{owner.name}}.push({{_eventspace}}, {{_eventspace}}[_num{{eventspace_variable.name}}-1]);
{% endblock %}
