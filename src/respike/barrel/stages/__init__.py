"""Stages of barrel: what the workflow rules call, one file each, with a function `run`. Nothing imports them."""
