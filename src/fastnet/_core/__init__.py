"""The compiled core. Private: what Python may use of it is in the modules above."""
