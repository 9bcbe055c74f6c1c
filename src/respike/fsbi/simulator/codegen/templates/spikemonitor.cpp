{# USES_VARIABLES { N, _clock_t, count, _source_start, _source_stop} #}
{# WRITES_TO_READ_ONLY_VARIABLES { N, count } #}
{# Records only the cells and the times that will be looked at. #}
{% extends 'common_group.cpp' %}

{% block maincode %}
    {% set _eventspace = get_array_name(eventspace_variable) %}
    if (defaultclock.timestep[0] < _array_control_record_step[0]) return;
    const int32_t _num_events = {{_eventspace}}[_num{{eventspace_variable.name}}-1];
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    for (int32_t _j = 0; _j < _num_events; _j++)
    {
        const int32_t _idx = {{_eventspace}}[_j];
        if (_idx >= _array_control_n_recorded_{{owner.source.name|lower}}[0]) break;
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
        {% for varname, var in record_variables | dictsort %}
        {{get_array_name(var, access_data=False)}}.push_back(_to_record_{{varname}});
        {% endfor %}
        {{count}}[_idx]++;
        {{N}} += 1;
    }
{% endblock %}
