{# USES_VARIABLES { N } #}
{# Few cells spike in a step: tests blocks of cells without branches and looks only into those with a spike. #}
{% extends 'common_group.cpp' %}

{% block maincode %}
    const int _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    {% set _eventspace = get_array_name(eventspace_variable) %}
    enum { BLOCK = 64 };
    long _count = 0;
    for (int _first = 0; _first < N; _first += BLOCK)
    {
        const int _last = _first + BLOCK < N ? _first + BLOCK : N;
        int _any = 0;
        #pragma GCC ivdep
        for (int _idx = _first; _idx < _last; _idx++)
        {
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
            _any |= _cond;
        }
        if (!_any) continue;
        for (int _idx = _first; _idx < _last; _idx++)
        {
            const size_t _vectorisation_idx = _idx;
            {{vector_code|autoindent}}
            if (_cond) {{_eventspace}}[_count++] = _idx;
        }
    }
    {{_eventspace}}[N] = _count;
{% endblock %}

{% block after_code %}
{% set _eventspace = get_array_name(eventspace_variable) %}
{{_eventspace}}[N] = 0;
{% endblock %}
