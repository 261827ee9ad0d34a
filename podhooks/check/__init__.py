"""Whether a cluster is fit for Podhooks, and whether Podhooks works in it: reads objects, changes none.

finding    one check's outcome, and how outcomes add up            pure
reader     the requests that checks make
api, doors, rescuer, rights, pods    the checks of one category each: what was read in, findings out
run        all categories, in order
"""
