"""Static files: they say what the engine says, change only where it does, and nothing else is touched, whenever it is killed."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from filelock import FileLock
from selectolax.lexbor import LexborHTMLParser
from typer.testing import CliRunner

from recommender import Article, Recommender, RecommenderError
from recommender.answers import RelatedList
from recommender.cli import app
from recommender.errors import ExportError
from recommender.web import fragments, tree
from recommender.web.exporting import Exported, ExportOptions, export
from tests.archives import newspaper, report

SCRIPT = "<script>alert(1)</script>"
HOSTILE = (
    *("../../etc/passwd", "/etc/passwd", "a/b", "..", ".", "a\\b", "CON", "a b\u00e9\u4e2d", "%2e%2e%2f", "x" * 400),
    *(SCRIPT, "a'b\"c&d", "\u202etxt", "-rf", "a?b#c", "a;b|c$(d)", "manifest.json", ".recommender-export", "']]>--><"),
)

TAGS = ["nav", "ul", "ol", "li", "a", "html", "head", "meta", "title", "link", "body", "main", "h1", "time", "p", "span", "style"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stories of three articles and two that stand alone."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(newspaper(3, 3, 2), folder).close()
    return folder


@pytest.fixture
def engine(built: Path, tmp_path: Path) -> Recommender:
    """A copy to write to."""
    return Recommender.open(shutil.copytree(built, tmp_path / "index"))


def files(folder: Path) -> dict[str, bytes]:
    """What an export shows to the web: path -> content."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path: content for path, content in found.items() if not path.startswith(".")}


def stamps(folder: Path) -> dict[str, int]:
    """Changes for every file that is written, even with what it held."""
    return {path: (folder / path).stat().st_ino for path in files(folder)}


def place(kind: str, id: str, ending: str) -> str:
    """The documented rule, worked out apart from the code."""
    digest = hashlib.sha256(id.encode("utf-8")).hexdigest()
    return f"{kind}/{digest[0]}{digest[1]}/{digest}{ending}"


def expected_paths(engine: Recommender) -> set[str]:
    articles = {place("related", one.id or "", ending) for one in engine.all_related() for ending in (".json", ".html")}
    kinds = (("threads", ".json"), ("threads", ".html"), ("feeds", ".xml"))
    return articles | {place(kind, one.id, ending) for one in engine.threads() for kind, ending in kinds} | {"manifest.json"}


class Parsed(HTMLParser):
    """The tags and links of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_each_list_and_thread_is_the_contracts_json_under_the_documented_name(engine: Recommender, tmp_path: Path) -> None:
    """Exactly the files that the rule gives, with the object that `related --json` and `thread --json` print."""
    done = export(engine, tmp_path / "out")
    found = files(tmp_path / "out")
    assert set(found) == expected_paths(engine)
    index = str(tmp_path / "index")
    for one in engine.all_related():
        printed = CliRunner().invoke(app, ["related", str(one.id), "--json", "--index", index]).stdout
        assert found[place("related", one.id or "", ".json")].decode() == printed
    for thread in engine.threads():
        printed = CliRunner().invoke(app, ["thread", thread.id, "--json", "--index", index]).stdout
        assert found[place("threads", thread.id, ".json")].decode() == printed
    manifest = json.loads(found["manifest.json"])
    assert (manifest["articles"], manifest["threads"], manifest["k"]) == (11, 3, 5)
    assert done == Exported(articles=11, threads=3, written=32, unchanged=0, removed=0)  # 2 * 11 + 3 * 3 + 1


def test_nothing_new_changes_no_file(engine: Recommender, tmp_path: Path) -> None:
    """A second export writes nothing, and its list of changes is empty."""
    export(engine, tmp_path / "out")
    before = stamps(tmp_path / "out")
    done = export(engine, tmp_path / "out", ExportOptions(changed_list=tmp_path / "changed"))
    assert (done.written, done.removed, done.unchanged) == (0, 0, 32)
    assert stamps(tmp_path / "out") == before
    assert (tmp_path / "changed").read_text() == ""


def test_only_what_differs_is_written_and_what_is_gone_is_removed(engine: Recommender, tmp_path: Path) -> None:
    """After an add and a removal the folder is that of a new export, and the list names just the paths that differ."""
    out, changed = tmp_path / "out", tmp_path / "changed"
    export(engine, out)
    former, old = files(out), stamps(out)
    engine.remove(["s00a0", "s01a0", "s01a1", "s01a2"])
    engine.add([report("s02a9", "story 2", 4)])
    done = export(engine, out, ExportOptions(changed_list=changed))
    now = files(out)
    export(engine, tmp_path / "fresh")
    assert now == files(tmp_path / "fresh")
    differing = {path for path in former | now if former.get(path) != now.get(path)}
    assert changed.read_text().splitlines() == sorted(differing)
    assert {path for path, stamp in stamps(out).items() if old.get(path) != stamp} == differing & set(now)
    assert (done.written, done.removed) == (len(differing & set(now)), len(set(former) - set(now)))
    assert place("related", "s01a0", ".html") in changed.read_text()
    assert place("related", "x0", ".json") not in changed.read_text()


def test_a_merged_thread_leads_to_the_one_that_goes_on_as_long_as_that_lasts(engine: Recommender, tmp_path: Path) -> None:
    """Page, JSON and feed under the former id; they go when the threads come apart, and the list of changes names them."""
    out, changed = tmp_path / "out", tmp_path / "changed"
    export(engine, out)
    before, was = files(out), {engine.thread_of(f"s0{n}a0").id for n in range(2)}  # type: ignore[union-attr]
    kept_rule = engine.add_rule("merge s00a0 s01a0")
    goes_on = engine.thread_of("s00a0")
    assert goes_on is not None
    (former,) = was - {goes_on.id}
    export(engine, out, ExportOptions(changed_list=changed, base_url="https://cdn.example/r"))
    assert set(files(out)) == set(before)
    assert {place("threads", former, ending) for ending in (".json", ".html")} <= set(changed.read_text().splitlines())
    told = json.loads(files(out)[place("threads", former, ".json")])
    assert told == {"id": former, "merged_into": goes_on.id, "path": place("threads", goes_on.id, ".json")}
    page_at = place("threads", former, ".html")
    page = LexborHTMLParser(files(out)[page_at].decode())
    (refresh,) = page.css("meta[http-equiv=refresh]")
    seconds, _, target = str(refresh.attributes["content"]).partition("; url=")
    assert seconds == "0"
    assert (out / page_at).parent.joinpath(target).resolve() == out / place("threads", goes_on.id, ".html")
    assert [link.attributes["href"] for link in page.css("main a")] == [target]
    canonical = f"https://cdn.example/r/{place('threads', goes_on.id, '.html')}"
    assert [link.attributes["href"] for link in page.css("link[rel=canonical]")] == [canonical]
    assert files(out)[place("feeds", former, ".xml")] == files(out)[place("feeds", goes_on.id, ".xml")]
    export(engine, tmp_path / "fresh", ExportOptions(base_url="https://cdn.example/r"))
    assert files(out) == files(tmp_path / "fresh")
    engine.drop_rule(kept_rule.number)
    engine.remove(["s01a0", "s01a1", "s01a2", "s00a0", "s00a1", "s00a2"])
    export(engine, out, ExportOptions(changed_list=changed))
    gone = {place("threads", former, ".json"), place("threads", former, ".html"), place("feeds", former, ".xml")}
    assert not gone & set(files(out))
    assert gone <= set(changed.read_text().splitlines())


def test_a_file_that_somebody_changed_is_put_right(engine: Recommender, tmp_path: Path) -> None:
    """Content of the same length counts too: files are compared, not their dates."""
    export(engine, tmp_path / "out")
    victim = tmp_path / "out" / place("related", "s00a0", ".json")
    rightly = victim.read_bytes()
    victim.write_bytes(rightly[::-1])
    assert export(engine, tmp_path / "out").written == 1
    assert victim.read_bytes() == rightly


@pytest.mark.parametrize("mark", ["index.html", ".git", "related", ".recommender-export.changed"])
def test_a_folder_with_anything_else_in_it_is_refused_untouched(engine: Recommender, tmp_path: Path, mark: str) -> None:
    """Whatever is there before the first export: it is not ours, even if it is named so."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / mark).write_text("mine")
    with pytest.raises(ExportError, match="no export has written"):
        export(engine, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [mark]


def test_the_index_folder_and_a_file_are_refused(engine: Recommender, tmp_path: Path) -> None:
    """Neither is changed."""
    before = sorted((tmp_path / "index").iterdir())
    with pytest.raises(ExportError):
        export(engine, tmp_path / "index")
    assert sorted((tmp_path / "index").iterdir()) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="it is a file"):
        export(engine, tmp_path / "file")


def test_files_of_others_in_an_export_stay(engine: Recommender, tmp_path: Path) -> None:
    """What has no name of ours is left alone, in every folder."""
    out = tmp_path / "out"
    export(engine, out)
    shard = out / place("related", "s00a0", ".json").rpartition("/")[0]
    theirs = [out / "robots.txt", out / "related" / "style.css", out / "related" / "zz", shard / "note.json", shard / ("g" * 64)]
    for path in theirs:
        path.write_text("mine")
    engine.remove(["s00a0"])
    assert export(engine, out).removed == 2
    assert [path.read_text() for path in theirs] == ["mine"] * len(theirs)


def test_links_lead_nowhere_out_of_the_folder(engine: Recommender, tmp_path: Path) -> None:
    """A folder that is a link is refused; a file that is a link is replaced, not written through; nothing outside changes."""
    out, outside = tmp_path / "out", tmp_path / "outside"
    export(engine, out)
    shutil.copytree(out / "related", outside)
    (outside / "00").mkdir(exist_ok=True)
    (outside / "00" / f"{'00' * 32}.json").write_text("precious")
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    victim = out / place("threads", engine.threads()[0].id, ".html")
    victim.unlink()
    victim.symlink_to(next(iter(before)))
    for name in (tree.BESIDE, tree.JOURNAL):
        (out / name).symlink_to(next(iter(before)))
    export(engine, out)
    assert not victim.is_symlink()
    shutil.rmtree(out / "related")
    (out / "related").symlink_to(outside)
    with pytest.raises(ExportError, match="related is a file or a link"):
        export(engine, out)
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def test_two_exports_at_once_are_refused(engine: Recommender, tmp_path: Path) -> None:
    """The second ends with one line; the first is not disturbed."""
    export(engine, tmp_path / "out")
    with FileLock(tmp_path / "out" / tree.LOCK), pytest.raises(ExportError, match="another export writes to it"):
        export(engine, tmp_path / "out")
    assert export(engine, tmp_path / "out").written == 0


class StoppedError(Exception):
    """As if the process had ended there."""


@pytest.mark.parametrize("after", [0, 1, 7, 20])
def test_an_export_that_stopped_is_ended_by_the_next(
    engine: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """The folder is that of a new export, and what the first had changed already is in the list of changes too."""
    out, changed = tmp_path / "out", tmp_path / "changed"
    export(engine, out)
    former = files(out)
    engine.remove(["s00a0", "s00a1"])
    seen = 0

    def fail(stage: str, done: int, total: int) -> None:
        if stage == "removing":
            raise StoppedError

    def render(found: RelatedList, *, thread_url: str | None = None) -> str:
        nonlocal seen
        seen += 1
        if seen > after:
            raise StoppedError
        return rendered(found, thread_url=thread_url)

    rendered = fragments.related_html
    monkeypatch.setattr(fragments, "related_html", render)
    with pytest.raises(StoppedError):
        export(engine, out, ExportOptions(progress=fail))
    monkeypatch.undo()
    export(engine, out, ExportOptions(changed_list=changed))
    export(engine, tmp_path / "fresh")
    assert files(out) == files(tmp_path / "fresh")
    now = files(out)
    assert changed.read_text().splitlines() == sorted(path for path in former | now if former.get(path) != now.get(path))
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == [tree.MARKER, tree.LOCK]


@pytest.mark.slow
def test_an_export_that_was_killed_is_ended_by_the_next(engine: Recommender, tmp_path: Path) -> None:
    """SIGKILL at ten moments of the first export: every file is whole whenever it is looked at, and the next one ends it."""
    export(engine, tmp_path / "fresh")
    rightly = files(tmp_path / "fresh")
    code = (
        "import sys, time; from recommender import Recommender; from recommender.web import exporting as e, tree as t\n"
        "write = t.Tree.write\n"
        "def slow(*a): write(*a); print('.', flush=True); time.sleep(0.01)\n"
        "t.Tree.write = slow; e.export(Recommender.open(sys.argv[1]), sys.argv[2])\n"
    )
    for kill in range(10):
        out = tmp_path / f"out{kill}"
        command = [sys.executable, "-c", code, str(tmp_path / "index"), str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(3 * kill + 1):
                process.stdout.readline()
            time.sleep(0.001 * kill)
            process.send_signal(signal.SIGKILL)
        left = files(out)
        assert left
        assert len(left) < len(rightly)
        assert all(rightly[path] == content for path, content in left.items())
        export(engine, out, ExportOptions(changed_list=tmp_path / "changed"))
        assert files(out) == rightly
        assert (tmp_path / "changed").read_text().splitlines() == sorted(rightly)


def test_all_files_are_of_one_moment(engine: Recommender, tmp_path: Path) -> None:
    """What is removed from the index while an export runs is in it, list and thread."""
    export(engine, tmp_path / "before")
    writer = Recommender.open(tmp_path / "index")

    def remove(stage: str, done: int, total: int) -> None:
        if stage == "articles" and done == 0:
            writer.remove(["s00a0", "s01a0", "s01a1"])

    export(engine, tmp_path / "during", ExportOptions(progress=remove))
    assert files(tmp_path / "during") == files(tmp_path / "before")
    assert len(engine) == 8


def test_hostile_ids_and_titles_stay_inside_and_are_escaped(tmp_path: Path) -> None:
    """Ids that are paths, titles that are markup, addresses that are scripts: one file each, and no tag of theirs in a page."""
    urls = ["javascript:alert(1)", "data:text/html,x", "//evil.example/", "https://ok.example/?a=1&b=\"'<", "vbscript:x"]
    articles = [
        Article(id=name, title=f"{SCRIPT} ferry Kartika sank {number} ]]> \x00\x08", body=f"the ferry Kartika sank {number}",
                url=urls[number % len(urls)])
        for number, name in enumerate(HOSTILE)
    ]  # fmt: skip
    engine = Recommender.build(articles, tmp_path / "index")
    engine.add_rule(f'rename "{HOSTILE[2]}" "{SCRIPT}"')
    for one, other in pairwise(HOSTILE):
        engine.add_rule(f"merge {json.dumps(one)} {json.dumps(other)}")
    around = sorted(tmp_path.iterdir())
    export(engine, tmp_path / "out", ExportOptions(base_url="https://cdn.example/r/"))
    assert sorted(tmp_path.iterdir()) == sorted([*around, tmp_path / "out"])
    assert set(files(tmp_path / "out")) == expected_paths(engine)
    assert engine.threads()
    shown = 0
    for path, content in files(tmp_path / "out").items():
        if path.endswith(".html"):
            page = Parsed(content.decode())
            assert page.tags <= set(TAGS)
            assert all(link.startswith(("https://ok.example/", "https://cdn.example/r/")) for link in page.links)
            shown += SCRIPT in page.text
        if path.endswith(".xml"):
            links = [one.text or "" for one in ET.fromstring(content).iter("link")]
            assert all(link.startswith("https://") for link in links)
    assert shown


def test_an_empty_list_is_an_empty_fragment(engine: Recommender, tmp_path: Path) -> None:
    """A template can include it unseen; the JSON has no items."""
    export(engine, tmp_path / "out")
    found = files(tmp_path / "out")
    assert found[place("related", "x0", ".html")] == b""
    assert json.loads(found[place("related", "x0", ".json")])["items"] == []


def test_the_fragment_links_to_the_thread_only_where_it_knows_the_address(engine: Recommender, tmp_path: Path) -> None:
    """With --base-url the link is that of the file; a page of another site could not use a relative one."""
    export(engine, tmp_path / "out")
    name = place("related", "s00a0", ".html")
    assert "threads/" not in files(tmp_path / "out")[name].decode()
    export(engine, tmp_path / "out", ExportOptions(base_url="https://cdn.example/r"))
    thread = engine.thread_of("s00a0")
    assert thread is not None
    page = f"https://cdn.example/r/{place('threads', thread.id, '.html')}"
    assert page in Parsed(files(tmp_path / "out")[name].decode()).links


def test_a_feed_has_the_newest_article_first(engine: Recommender, tmp_path: Path) -> None:
    """Its guids are the ids; readers that parse XML find them all."""
    export(engine, tmp_path / "out")
    for thread in engine.threads():
        feed = ET.fromstring(files(tmp_path / "out")[place("feeds", thread.id, ".xml")])
        assert [one.text for one in feed.iter("guid")] == list(reversed(thread.article_ids))


BAD_BASES = (
    *(
        "",
        "cdn.example",
        "ftp://cdn.example",
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        'https://a/"x',
        "https://a/?q=1",
    ),
    *("https://a/#f", "//cdn.example/", "https://[", "https://a/\n", "https://a/<b>"),
)


@pytest.mark.parametrize("base", BAD_BASES)
def test_addresses_that_are_none_are_refused(engine: Recommender, tmp_path: Path, base: str) -> None:
    """Before anything is written."""
    with pytest.raises(RecommenderError, match="is no address"):
        export(engine, tmp_path / "out", ExportOptions(base_url=base))
    assert not (tmp_path / "out").exists()


def test_a_list_of_changes_that_cannot_be_written_loses_nothing(engine: Recommender, tmp_path: Path) -> None:
    """The next export that can names all that has changed."""
    with pytest.raises(ExportError, match="list of what changed"):
        export(engine, tmp_path / "out", ExportOptions(changed_list=tmp_path / "none" / "changed"))
    export(engine, tmp_path / "out", ExportOptions(changed_list=tmp_path / "changed"))
    assert (tmp_path / "changed").read_text().splitlines() == sorted(expected_paths(engine))


def test_a_full_disk_is_one_line_and_the_next_export_ends_it(
    engine: Recommender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours that says what to do; the tenth file is the first that does not fit."""
    opened = tree._open_new
    count = iter(range(10))

    def full(place: Path) -> int:
        if next(count, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(place)

    monkeypatch.setattr(tree, "_open_new", full)
    with pytest.raises(ExportError, match=r"No space left on device.*make room"):
        export(engine, tmp_path / "out")
    monkeypatch.undo()
    assert export(engine, tmp_path / "out").unchanged == 9  # the tenth is the marker
    assert set(files(tmp_path / "out")) == expected_paths(engine)


def test_the_command_says_what_it_has_done(built: Path, tmp_path: Path) -> None:
    """Counts on stderr, or as JSON on stdout; a refused folder is exit code 1, an index that is none 4."""
    run = CliRunner().invoke
    out = str(tmp_path / "out")
    done = run(app, ["export", out, "--index", str(built)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "11 articles and 3 threads: 32 files written, 0 unchanged, 0 removed\n"
    done = run(app, ["export", out, "--index", str(built), "-k", "1", "--json", "--quiet"])
    assert json.loads(done.stdout)["unchanged"] < 32
    assert run(app, ["export", str(built), "--index", str(built)]).exit_code == 1
    assert run(app, ["export", out, "--index", str(tmp_path / "none")]).exit_code == 4
    assert run(app, ["export", out, "--index", str(built), "-k", "0"]).exit_code == 2
