"""How fast the gateway is, beside others, on the reader's own machine: `python -m benchmarks`. See README.md here.

The load and the provider are small C programs (load.c, mock.c), so that they are not what is measured. The rest is
Python: it starts one *subject* after the other on a core of its own, runs the same *workloads* through each in turn,
and reports medians and ratios. Imports nothing of the gateway: the gateway is a subject like any other, a command.
"""
