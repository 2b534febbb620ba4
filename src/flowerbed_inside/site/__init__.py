"""Starting the SuperNode of a kit, at a site."""
