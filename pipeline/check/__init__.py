"""What can be wrong in params.yaml and catalog.yaml, found before anything runs; and what params.yaml no longer
names, put away.
"""
