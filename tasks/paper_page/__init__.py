"""The report of `relume reproduce`: the paper's tables and figures on one page, ours beside them.

It computes nothing: it shows what the steps left, and says what is missing and how to get it.
"""
