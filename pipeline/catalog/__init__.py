"""Names of datasets, models and baselines (catalog.yaml), and where their files lie: on disk, or fetched and hashed."""
