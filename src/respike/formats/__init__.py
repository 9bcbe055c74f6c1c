"""Files that users bring, in the formats that several studies read: each fault is told with file, field, value and remedy.

`nwb` and `spike_times` give a `session.Session`, from which each study takes what it needs; `arrays`, `hdf5` and `matlab` read
what lies below. Knows no study.
"""
