"""Who is who in a federation: its certificate authority, certificates, SuperNodes' keys, and where they are kept."""
