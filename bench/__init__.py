"""What Flowerbed costs, against the same programs started by hand, side by side in one run.

Nothing here is a test: figures are told beside their target, and no figure makes it fail.
"""
