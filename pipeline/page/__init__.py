"""Tables, scores and sentences -> results/report.html: one page with the figures of a run and a browser of its pairs.

Like `report`, it computes no statistics: figures come from the tables, their text from `report.numbers`, sentences from
the pages in Markdown. Charts are Vega-Lite (Altair), the frame is a Jinja2 template, and nothing is loaded from a
network.
"""
