"""app-name: a Flower App that learns handwritten digits with PyTorch."""
