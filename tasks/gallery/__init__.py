"""A gallery: a folder of static pages through which a dataset is looked at, straight from disk.

`rows` gathers what is known of every sample, `attributes` makes the filters, `chunk` is one unit of
work (the pictures and details of some rows), `index` is what the page reads first and searches,
`report` takes over an audit's tables and figures, `folder` puts it all in its place. The page
itself lies in `assets`: plain HTML, CSS and JavaScript, copied as it is.
"""
