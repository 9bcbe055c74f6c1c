static inline float bounded(const float x, const float low, const float high)
{
    const float above = x < low ? low : x;
    return above > high ? high : above;
}
