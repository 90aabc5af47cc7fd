"""Every effect on users' folders, by folder descriptors: never through a path that somebody may have changed meanwhile."""
