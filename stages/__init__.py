"""The stages of dvc.yaml, one script each: read settings, call the library, write. Run as `python -m stages.NAME`."""
