"""Where we stand: cost of building, answering, adding and storing, beside the floor and the peers, in one run.

    python -m scripts.benchmark [--size small|medium|full] [--only ROW,...] [--articles FILE] [--json FILE] [--markdown FILE] ...

    __main__.py    arguments, the rows one after another
    sizes.py       how much is measured
    measures.py    a measure, its goal, whether it is met
    children.py    a function in a fresh process, with its peak memory
    workshop.py    the articles and indexes that the rows share
    builds.py      rows: build, bertopic, growth, memory, million, disk
    quality.py     row: bertopic-threads
    answers.py     rows: related-warm, related-cold, draft
    adds.py        row: add
    search.py      rows: search, usearch, txtai
    encoding.py    row: encoding
    curves.py      cost against size, for the plots
    machine.py     what it was measured on
    report.py      JSON and Markdown
    plots.py       PNG

What is timed runs in a process of its own, ours and the reference in turn. What is heavy is imported in that process only.
"""
