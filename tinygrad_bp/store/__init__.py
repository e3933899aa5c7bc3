"""Files of arrays and a description: `container` is the format, `files` the way to the disk."""
