"""Load runs with their baselines; `docs/performance.md` says how to read them."""
