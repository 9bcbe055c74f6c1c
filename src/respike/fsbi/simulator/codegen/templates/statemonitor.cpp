{# USES_VARIABLES { t, _clock_t, _indices, N } #}
{# WRITES_TO_READ_ONLY_VARIABLES { t, N } #}
{# Brings the sampled weights up to date before it reads them. #}
{% extends 'common_group.cpp' %}

{% block extra_headers %}
{% if is_deferred(owner.source) %}
#include <algorithm>
void _catch_up_{{owner.source.name}}_post(int row, bool after_spikes);
{% endif %}
{% endblock %}

{% block maincode %}
    {% if is_deferred(owner.source) %}
    {% set _rows_of = owner.source.name ~ '_pre' %}
    for (int _i = 0; _i < (int)_num_indices; _i++)
        _catch_up_{{owner.source.name}}_post(std::upper_bound({{_rows_of}}.start.begin(), {{_rows_of}}.start.end(), {{_indices}}[_i]) - {{_rows_of}}.start.begin() - 1, true);
    {% endif %}
    {{_dynamic_t}}.push_back({{_clock_t}});
    const size_t _new_size = {{_dynamic_t}}.size();
    {% for varname, var in _recorded_variables | dictsort %}
    {{get_array_name(var, access_data=False)}}.resize(_new_size, _num_indices);
    {% endfor %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    for (int _i = 0; _i < (int)_num_indices; _i++)
    {
        const size_t _idx = {{_indices}}[_i];
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
        {% for varname, var in _recorded_variables | dictsort %}
        {{get_array_name(var, access_data=False)}}(_new_size-1, _i) = _to_record_{{varname}};
        {% endfor %}
    }
    {{N}} = _new_size;
{% endblock %}
