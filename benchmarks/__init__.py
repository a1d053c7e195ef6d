"""fastnet against its peers: ``python -m benchmarks`` and ``pytest benchmarks`` (see README.md here)."""
