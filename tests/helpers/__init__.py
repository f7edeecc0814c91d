"""What several tests share: tiny data, toy models, writers of files, a mirror on this machine."""
