"""The network as a program: equations (model), circuit, generated C++ (codegen), compilation (build), and runs (binary).

Only `build`, `circuit`, `model` and `codegen` import Brian2; a rule is run without it.
"""
