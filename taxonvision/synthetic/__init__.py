"""Procedural organisms: demonstration, tests and benchmarks at any scale."""
