"""Stages of rate2lif: what the workflow rules call, one file each, with a function `run`. Nothing imports them."""
