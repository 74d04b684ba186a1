"""The page on which people review captions: static, offline, keyboard first.

`build` writes the folder; the script keeps decisions in the browser and gives them out as CSV or
JSON, which `tasks.captions.decisions` reads.
"""
