"""On the path of a Python program: its clock is ahead by the seconds that the file AHEAD_FILE has, whenever it asks."""

import os
import time
from pathlib import Path

_real, _file = time.time, Path(os.environ["AHEAD_FILE"])
time.time = lambda: _real() + float(_file.read_text())
