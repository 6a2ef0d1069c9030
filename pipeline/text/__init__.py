"""Text in: sentence pairs from the hub or from files (sources, pairs: contract C2), and token ids (tokenizers)."""
