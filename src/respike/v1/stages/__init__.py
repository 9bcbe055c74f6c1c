"""Stages of v1: what the workflow rules call, one file each, with a function `run`. Nothing imports them."""
