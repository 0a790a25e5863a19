"""The commands of `lottery`, one file each; a file imports torch only when its command runs."""
