"""Why a model answers as it does: which moments count, by occluding them, and an honest check of that."""
