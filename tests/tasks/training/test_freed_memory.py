"""What becomes of freed memory, in a process of its own, which it is a setting of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json
from pathlib import Path
from tasks.training.freed_memory import give_back_freed_memory, keep_freed_memory

def resident_mb():
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in one)
    return int(line.split()[1]) / 1024

def after_use():
    bytearray(200 << 20)
    return resident_mb()

told = [resident_mb(), after_use()]
keep_freed_memory()
told.append(after_use())
give_back_freed_memory()
told.append(resident_mb())
print(json.dumps(told))
"""


def test_freed_memory_is_kept_where_asked_and_given_back_where_asked() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, check=True
    )
    before, without, kept, given_back = json.loads(done.stdout)
    assert without < before + 20
    assert kept > before + 180
    assert given_back < before + 20
