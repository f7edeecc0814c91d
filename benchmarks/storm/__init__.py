"""A storm over what is written and read: kills, damage, rubbish and two writers at a time."""
