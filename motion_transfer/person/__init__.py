"""The photographed person: matte and background plate."""
