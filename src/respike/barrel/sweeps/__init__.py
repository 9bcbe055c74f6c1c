"""Simulated whisker sweeps: what stands in for the published forces and torques, in the same layout.

whiskers.py    geometry of the 31 whiskers
shapes.py      the objects: three families, or meshes of users (meshes.py)
objects.py     an object in its pose, on its way through the array
simulation.py  one sweep in MuJoCo
"""
