{# USES_VARIABLES { N } #}
{# ALLOWS_SCALAR_WRITE #}
{# One cell does not depend on another: says so to the compiler, which otherwise gives up on loops over many arrays. #}
{% extends 'common_group.cpp' %}

{% block maincode %}
    const size_t _vectorisation_idx = -1;
    {{scalar_code|autoindent}}
    const int _N = {{constant_or_scalar('N', variables['N'])}};
    #pragma GCC ivdep
    for (int _idx = 0; _idx < _N; _idx++)
    {
        const size_t _vectorisation_idx = _idx;
        {{vector_code|autoindent}}
    }
{% endblock %}
