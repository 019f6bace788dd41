"""A cloud for tests: real servers on loopback, from the environments that ``tools/functional.sh`` makes."""
