"""A bank of damaged images, and how well scores order them as people do."""
