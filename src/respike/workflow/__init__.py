"""The workflow as a whole: run it, verify its files, say how far it is. Knows no study.

Snakemake is the engine and is called as a program. `plan` asks it for its jobs, `verify` compares the files on disk with
what those jobs would write, `run` has Snakemake make what is wrong, `head` sees to it that one run at a time is at work and
cleans up after a killed one, `progress` reads what Snakemake says, `status` tells it to a person.
"""
