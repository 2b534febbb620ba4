"""The objects of a federation as plain dicts, in the words of Kubernetes' API. Pure: nothing is read or sent."""
