"""What a federation's file is called. Who only looks for it need not know what may stand in it, which takes long."""

FEDERATION_FILE = "federation.yaml"
"""What it is called in its folder."""
