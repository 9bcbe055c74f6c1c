"""The workflow as a whole: run it, verify its files, say how far it is. Knows no study.

`plan` asks Snakemake for its jobs, `verify` compares the files on disk with what those would write, `run` has Snakemake make
what is wrong, `head` keeps runs apart and cleans up after a killed one.
"""
