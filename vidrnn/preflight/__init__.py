"""What can be known before an hour is spent: files, splits, leaks, time and disk. The verb ``check``."""
