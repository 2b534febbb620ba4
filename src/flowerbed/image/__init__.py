"""A Flower App becomes an image on top of a Flower release's SuperExec image: small to change, the same every time.

From a folder to a digest: what it needs is locked (`flowerbed.environments.app_lock`), the base is read (`base`), the
app's packages become a layer that is kept until the lock changes (`packages`), the app itself a thin one (`app_files`),
both written byte for byte the same on every machine (`layers`); then it is tried (`trying`), described (`bill`,
`provenance`), and pushed. What that cannot give, and pipelines of others, have another way: the same as a recipe for
container engines (`containerfile`, `by_recipe`), which one of them can be told to build (`engine`).
"""
