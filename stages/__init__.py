"""The stages of dvc.yaml, cost/dvc.yaml and geometry/dvc.yaml, one script each: a stage reads its section of
params.yaml, calls the library, and writes.
"""

from pipeline.base.stopping import stop_quietly

stop_quietly()  # Ctrl-C while the rest is imported, which takes seconds

from pipeline.base.machine import configure_threads  # noqa: E402

configure_threads()  # before any of them imports torch
