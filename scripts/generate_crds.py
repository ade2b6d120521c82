"""Writes crds/ and the chart's copy of it: definitions and admission policies from the models.

`make crds` runs it; a test compares what is committed.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("crds", "charts/stratops/files/crds")  # a chart cannot read what is outside of it


def main() -> None:
    sys.path.insert(0, str(ROOT / "core"))
    from platform_spec.installation import files

    for folder in FOLDERS:
        for name, text in files().items():
            (ROOT / folder).mkdir(parents=True, exist_ok=True)
            (ROOT / folder / name).write_text(text)


if __name__ == "__main__":
    main()
