"""The workflow as a whole: run it, verify its files, say how far it is. Knows no study.

Snakemake is called as a program, and its logger plugin tells what it plans and does. `plan` asks it for its jobs, `verify`
compares the files on disk with what those would write, `run` has it make what is wrong, `head` cleans up after a killed run.
"""
