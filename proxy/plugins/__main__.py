"""`python -m proxy.plugins docs/bundled-plugins.md`: bring the tables in the named files up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from proxy.plugins.reference import with_reference

for name in sys.argv[1:]:
    path = Path(name)
    path.write_text(with_reference(path.read_text(encoding="utf-8")), encoding="utf-8")
