"""One manifest from its file to main's exit code: on the embedded stand-in, or on a real cluster.

request    the file's objects: what is run, and what goes with it            pure
news       two states of a pod to the sentences that a person wants to read  pure
summary    how a pod ended, and each of its callbacks                        pure
verdict    the exit code and the last line                                   pure
layout     all of that as styled text                                        pure
display    that text on a terminal, or as plain lines
backend    what a cluster must be able to do; stand_in and cluster do it
follower   watches, logs, signals and time, until everything is over
"""
