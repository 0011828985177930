"""The page of ``vidrnn app``: clips to look at, labels to correct, in a browser on this machine."""
