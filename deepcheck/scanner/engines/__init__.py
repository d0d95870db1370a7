"""Where a scan computes: each engine is a class that is made from a `Judging`, and that gives each file its result.

`basis()` is what its verdicts rest on; `results(files)` yields (index into `files`, result with its SHA-256) for pairs
of path and stamp, each as soon as it is there, in no promised order; `close()` lets go of what it holds.
"""

from deepcheck.registry import Registry

ENGINES = Registry(
    "engine",
    {
        "local": "deepcheck.scanner.engines.local:Local",
        "ray": "deepcheck.scanner.engines.ray:Ray",
    },
)
