"""python -m millstream"""

from __future__ import annotations

import sys

from millstream.cli import main

sys.exit(main(sys.argv[1:]))
