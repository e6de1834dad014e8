"""nbval compares the built notebooks; the student copies are made from them and have unrun cells."""

collect_ignore_glob = ["student/*"]
