"""The page of explained examples: Python makes views (plain dictionaries), templates/ make HTML of them.

Read in this order: `page` (what is on it, and `write_page`), `render` (jinja2 with autoescape, and
templates/*.j2), `numbers` (headlines and the confusion matrix), `scores` (the table of maps beside trivial
ones), `cards` and `event_cards` (an example each), `marks` (truth and prediction over an image), `controls`
(what a reader sets, and the legend), `figure_links` (files beside the page), `filters` (numbers as text) and
`png` (pictures inside the page). static/ has styles and scripts.
"""
