"""The probe: what a simple classifier reads off a frozen representation."""
