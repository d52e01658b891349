"""Related articles and story threads for a news site.

The way of the data, which is the way of the imports:

    pipeline/articles.py     1  a row of outside data -> Article        checked here and nowhere else
    pipeline/formats.py      1  files -> rows                           JSON Lines, JSON, CSV, Parquet
    pipeline/reading.py      1  rows -> articles, with what is wrong    one error for all invalid rows
    sources/wxr.py           1  a WordPress export -> rows              published posts, as a stream
    sources/feeds.py         1  RSS, Atom, JSON Feed -> rows
    sources/pagefields.py    1  a page -> its fields             JSON-LD, Open Graph, marks of themes
    sources/pagetext.py      1  a page -> its text               trafilatura, without what stands around it
    sources/pages.py         1  both -> a row
    sources/markdown.py      1  Markdown with front matter -> rows
    sources/folders.py       1  folders of pages or Markdown -> rows
    sources/recognising.py   1  a source's ending and first bytes -> what it is
    sources/opening.py       1  any source -> rows, articles            what it holds is recognised and said
    pipeline/content.py      2  Article -> Content                      plain text without repeated lines
    pipeline/terms.py        3  the terms of an archive                 what is known of each, what each weighs
    pipeline/counting.py     3  Content -> counts of terms              words, names, numbers
    pipeline/models.py       4  what --model was given -> the full name of a model
    pipeline/embedding.py    4  Content, terms -> unit vectors          LSA, fitted on the archive
    pipeline/transformer.py  4  the same by a sentence-transformers model
    pipeline/index.py        5  vectors -> neighbours                   FAISS
    pipeline/candidates.py   6  neighbours, rare terms -> pairs worth a look
    pipeline/products.py     7  pairs of sparse rows -> inner products
    pipeline/evidence.py     7  pairs -> evidence                       cosines, names, numbers, days apart
    pipeline/scoring.py      7  evidence -> probabilities               weights.json
    pipeline/linking.py      7  probabilities -> story threads
    pipeline/rules.py        7  lines of editors -> rules               pins, bans, merges, splits, labels, locks
    pipeline/overruling.py   7  rules -> what they ask of threads and lists
    pipeline/history.py      7  threads before and after -> what happened to them
    pipeline/wording.py      7  terms -> reasons, keywords, labels
    pipeline/ranking.py      8  candidates, threads -> lists
    sources/urls.py             addresses as they are asked for
    sources/limits.py           no more of an answer than was bargained for
    sources/proxies.py          the proxy of the environment, if there is one
    sources/connections.py      where a connection may lead, and until when
    sources/http.py             addresses of one site -> what stands there, fetched with manners
    sources/wordpress.py        a WordPress site -> rows                REST API
    sources/sitemaps.py         sitemaps, lists of addresses -> pages
    sources/addresses.py        an address -> which of them it is, and its rows
    sources/known.py            what is kept of a source between one sync and the next
    sources/changes.py          both -> what is new, changed or gone there
    errors.py                   what is refused, and what to do next
    answers.py                  what a reader gets: lists, threads, explanations
    reports.py                  what the site is told of its index: measures, findings, what was saved
    evaluation.py               B-cubed, nDCG, recall: measures that know nothing of the engine
    distinct.py                 integers, each once
    growing.py                  arrays that grow at their end
    parallel.py                 pieces of work, one after another, on all cores
    progress.py                 the progress of long work on a terminal
    storage/schema.py           the tables of a store
    storage/packing.py          the links of an article in one blob
    storage/damage.py           errors of SQLite -> what is wrong with an index
    storage/folder.py           the index folder: which store counts, and how another takes its place
    storage/claiming.py         a folder for one process at a time
    storage/file.py             an SQLite file, read as of one moment, written all or nothing
    storage/store.py            the one durable truth, and what it answers
    archives/links.py           links between articles as arrays
    archives/packed.py          those of many articles, out of what the store keeps and back
    archives/graph.py           all links of an archive, and who is in a thread with whom
    archives/archive.py         all articles of an index in memory
    archives/spool.py           the texts of an archive in a nameless file, while it is built
    archives/loading.py         a store -> its archive, its graph
    archives/memory.py          both, kept between one question or write and the next
    archives/rulebook.py        the rules that an index keeps
    archives/rejoining.py       the threads around what has come, changed or gone
    writing/writer.py           who may write, and in what transaction
    writing/room.py             free memory back to the system
    writing/records.py          rows of the store: articles, terms, vectors, links
    writing/stories.py          threads into the store
    writing/telling.py          what the store keeps of links, with reasons, brought up to date
    writing/sidebars.py         lists into the store
    writing/following.py        what follows from a change: threads, lists, the saved neighbour search
    writing/building.py         build, rebuild: all articles down the pipeline, into a new store
    writing/updating.py         add, remove, reweigh, overrule: what came, changed or went
    upkeep/findings.py          what does not fit together, a kind at a time
    upkeep/linkage.py           links compared with their other sides, lists and threads
    upkeep/integrity.py         everything in an index compared with everything else in it
    upkeep/compaction.py        an index made anew of its own rows, without a trace of what was removed
    upkeep/backups.py           an index in one checked file, and back
    upkeep/repairing.py         what can be saved of a damaged index
    upkeep/comparing.py         two indexes of the same articles -> how far they agree
    judging/gold.py             a truth of the site's own: story labels, judged pairs or graded lists
    judging/baselines.py        the latest, TF-IDF and chance, over the same articles
    judging/figures.py          intervals -> the table of an evaluation, and its sentences
    judging/measuring.py        an index and a truth -> measures, beside the baselines
    judging/graded.py           graded lists -> measures of what a reader sees, beside the baselines
    judging/learning.py         a truth -> pairs to learn from -> the weights that fit them
    judging/tuning.py           a truth -> weights of the site's own, and what they gain
    drafts.py                   answers that need the archive: a draft's list, a pair's evidence
    opening.py                  an index kept open between one question and the next
    engine.py                   Recommender
    syncing.py                  an index brought up to date with a source on the web
    demo.py                     the sample newsroom, before and after
    drawing.py                  answers, reports -> text for a terminal
    shell.py                    streams, exit codes and words of a command
    web/fragments.py            lists, threads -> HTML and feeds
    web/answering.py            a path and its query -> the bytes of an answer, kept while the index is the same
    web/contract.py             what the server can be asked, as OpenAPI
    web/application.py          answers over HTTP: paths, headers, counts
    web/connections.py          connections of uvicorn, with limits to patience and number
    web/server.py               the server as processes on a socket
    web/tree.py                 the folder of an export, and what may be touched in it
    web/exporting.py            all answers as static files
    web/sessions.py             who is logged in to the desk, and who guesses
    web/guard.py                who may ask the desk for what: names, origins, tokens
    web/desk.py                 the editor's pages and forms
    commands/writing.py         build, add, remove
    commands/sync.py            sync
    commands/reading.py         related, threads, thread, changes, explain
    commands/judging.py         evaluate, tune
    commands/upkeep.py          rebuild, compare, info, check, compact, backup, restore, repair
    commands/rules.py           rules and its commands
    commands/demo.py            demo
    commands/serving.py         serve
    commands/export.py          export
    commands/desk.py            desk
    cli.py                      the `recommender` command, which has them all
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

from recommender.answers import Explanation, Related, RelatedList, StoryThread
from recommender.engine import Recommender
from recommender.errors import RecommenderError

if TYPE_CHECKING:
    from recommender.pipeline.articles import Article
    from recommender.sources.opening import read_articles

__all__ = [
    "Article", "Explanation", "Recommender", "RecommenderError", "Related", "RelatedList", "StoryThread", "read_articles",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Article and read_articles, which reading an index does not need, on first use."""
    if name == "Article":
        from recommender.pipeline.articles import Article

        return Article
    if name == "read_articles":
        from recommender.sources.opening import read_articles

        return read_articles
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
