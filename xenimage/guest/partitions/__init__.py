"""Partition tables: MBR with logical partitions, GPT with its backup. Own code, for what no library tells."""
