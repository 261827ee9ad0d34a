"""The fault matrix: what befalls a pod, many times over, and which callbacks arrive. On the stand-in or any cluster.

python -m tests.faults -h
"""
