"""Files a second of an export: `python scripts/measure_export.py [ARTICLES]` makes articles up, builds, and exports twice."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from recommender import Recommender
from recommender.web.exporting import export
from tests.archives import newspaper


def main() -> None:
    """Print the seconds of a first export and of one that follows when nothing has changed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    with tempfile.TemporaryDirectory() as folder:
        engine = Recommender.build(newspaper(count // 10, 5, count // 2), Path(folder) / "index")
        for told in ("first", "again"):
            began = time.perf_counter()
            done = export(engine, Path(folder) / "out")
            spent = time.perf_counter() - began
            files = done.written + done.unchanged
            print(f"{told}: {done.articles:,} articles, {files:,} files in {spent:.1f} s: {files / spent:,.0f} files a second")


if __name__ == "__main__":
    main()
