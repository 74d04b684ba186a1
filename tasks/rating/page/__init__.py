"""The page on which people choose between pictures: static, offline, and without a name of a row.

`build` writes the folder to hand out; the script keeps each rater's answers in the browser, and
gives them out as CSV.
"""
