"""What runs in Flower's environments, on this machine and in Pods: the standard library and flwr are all it knows.

``python FOLDER MODULE [ARGUMENT …]`` starts a program of it: FOLDER is the package's own, and MODULE the dotted name of
a module below it that has a ``main``. Flower's own programs are started by launchers that lie on PATH under their
names; see `launch.script`.
"""
